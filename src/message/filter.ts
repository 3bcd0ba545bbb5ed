/**
 * Filters: which messages a subscription or handler gets. User patterns never reach a backtracking engine: globs are
 * matched by `glob.ts`, regular expressions by RE2, whose time is linear, loaded when the first one is compiled.
 */

import { type AfpErrorCode, AfpSubscriptionError } from '../common/errors.ts'
import { matchesGlob } from './glob.ts'
import { jsonEqual } from './json-value.ts'
import { parseMediaType } from './media-type.ts'
import type { Json, Message, SecurityLevel } from './message.ts'
import { DEFAULT_LIMITS, isThenable, type Limits, validateTopic } from './validate.ts'

/** What a message has to be. Everything that is named has to hold. */
export interface Filter {
  /** Exactly this topic. Without it only direct messages and broadcasts match, never a topic's. */
  topic?: string | undefined
  /** One of these senders, by id or, with an agent, by name: who has it then, or is the first to come with it. */
  sender?: string | readonly string[] | undefined
  /**
   * An exact MIME type, a pattern with `*` and `?`, or a regular expression (RE2 syntax: no backreferences, no
   * look-around). Matched against `type/subtype` and against the whole with its parameters, in either case.
   */
  contentType?: string | RegExp | undefined
  /** Entries that the metadata has: a JSON value equal to it, or a regular expression for a string. */
  metadata?: Readonly<Record<string, Json | RegExp>> | undefined
  /** Id of the message that is answered. */
  parentId?: string | undefined
  /** The least security level. */
  securityLevel?: SecurityLevel | undefined
  /** Has the last word. One that throws counts as no match. */
  where?: ((message: Message) => boolean) | undefined
}

/** A filter that can be asked. */
export interface CompiledFilter {
  /**
   * Resolves when {@link CompiledFilter.matches} may be called; undefined when it may at once. Rejects with
   * `INVALID_FILTER` when RE2 cannot do a pattern. Messages that come before are to be kept by the caller.
   */
  readonly ready: Promise<void> | undefined
  /** Whether all but regular expressions and the predicate hold; may always be called. */
  mayMatch(message: Message): boolean
  /** @throws AfpSubscriptionError INVALID_FILTER when it is not ready */
  matches(message: Message): boolean
}

/** Options of {@link compileFilter}. */
export interface CompileOptions {
  /** `patternLength` counts. Default: {@link DEFAULT_LIMITS}. */
  readonly limits?: Pick<Limits, 'patternLength'>
  /** Who the senders of the filter are, asked once; default: they are ids. */
  readonly senders?: ((senders: readonly string[]) => (id: string) => boolean) | undefined
  /** Told when a predicate, or something else of the filter's own, throws; that counts as no match. */
  readonly onError?: (error: unknown, message: Message) => void
}

type Check = (message: Message) => boolean

const LEVELS: readonly SecurityLevel[] = ['none', 'low', 'medium', 'high']

function invalid(why: string, cause?: unknown, code: AfpErrorCode = 'INVALID_FILTER'): AfpSubscriptionError {
  return new AfpSubscriptionError(code, why, { cause })
}

/**
 * Compiles a filter whose values are of the right types; keys that it does not know are left alone.
 * @throws AfpSubscriptionError INVALID_FILTER, INVALID_TOPIC
 */
export function compileFilter(filter: Filter, options: CompileOptions = {}): CompiledFilter {
  const { topic, sender, contentType, metadata, parentId, securityLevel, where } = filter
  const maxLength = (options.limits ?? DEFAULT_LIMITS).patternLength
  const checks: Check[] = [message => message.topic === topic]
  const patterns: { pattern: RegExp; ignoreCase: boolean; check: (test: (text: string) => boolean) => Check }[] = []

  if (topic !== undefined) {
    try {
      validateTopic(topic)
    } catch (cause) {
      throw invalid((cause as Error).message, cause, 'INVALID_TOPIC')
    }
  }
  if (sender !== undefined) {
    const named = typeof sender === 'string' ? [sender] : sender
    const senders = new Set(named)
    const from = options.senders?.(named) ?? (id => senders.has(id))
    checks.push(message => from(message.sender))
  }
  if (parentId !== undefined) checks.push(message => message.parentId === parentId.toLowerCase())
  if (securityLevel !== undefined) {
    const least = LEVELS.indexOf(securityLevel)
    if (least < 0) throw invalid(`no security level '${securityLevel}'`)
    checks.push(message => LEVELS.indexOf(message.security.level) >= least)
  }
  if (contentType instanceof RegExp) {
    patterns.push({
      pattern: contentType,
      ignoreCase: true,
      check: test => message => spellings(message.contentType).some(test),
    })
  } else if (contentType !== undefined) {
    if (contentType.length > maxLength) throw invalid(`a pattern is longer than ${maxLength}`)
    const wanted = spellings(contentType).at(-1) as string
    const holds = /[*?]/.test(wanted)
      ? (text: string): boolean => matchesGlob(wanted, text)
      : (text: string): boolean => text === wanted
    checks.push(message => spellings(message.contentType).some(holds))
  }
  for (const [key, wanted] of Object.entries(metadata ?? {})) {
    const entry = (message: Message): unknown =>
      Object.hasOwn(message.metadata, key) ? message.metadata[key] : undefined
    if (wanted instanceof RegExp) {
      const check = (test: (text: string) => boolean) => (message: Message) => {
        const value = entry(message)
        return typeof value === 'string' && test(value)
      }
      patterns.push({ pattern: wanted, ignoreCase: false, check })
    } else checks.push(message => jsonEqual(entry(message), wanted))
  }
  for (const { pattern } of patterns) checkPattern(pattern, maxLength)

  let late: Check[] | undefined = patterns.length === 0 ? [] : undefined
  const ready =
    late === undefined
      ? loadEngine(patterns).then(tests => {
          late = patterns.map(({ check }, i) => check(tests[i] as (text: string) => boolean))
        })
      : undefined
  // Whoever needs the outcome awaits it; nobody else is to hear of an unhandled rejection.
  ready?.catch(() => {})

  const guarded =
    (check: Check): Check =>
    message => {
      try {
        return check(message)
      } catch (error) {
        options.onError?.(error, message)
        return false
      }
    }
  const allHold = (message: Message): boolean => checks.every(check => check(message))
  const matches = (message: Message): boolean => {
    if (!allHold(message) || !late?.every(check => check(message))) return false
    if (where === undefined) return true
    const verdict: unknown = where(message)
    // A promise is always truthy: taken for a verdict it would let everything through.
    if (isThenable(verdict)) throw invalid('where has to answer at once, not with a promise')
    return Boolean(verdict)
  }
  const matchesGuarded = guarded(matches)
  return {
    ready,
    mayMatch: guarded(allHold),
    matches(message) {
      if (late === undefined) throw invalid('the filter is not ready')
      return matchesGuarded(message)
    },
  }
}

/**
 * What a content type or pattern is compared as: `type/subtype`, then the whole; both lower-case up to the parameters.
 * Spelling of the parameters is evened out where it is a MIME type.
 */
function spellings(contentType: string): string[] {
  const at = contentType.indexOf(';')
  if (at < 0) return [contentType.toLowerCase()]
  const essence = contentType.slice(0, at).trim().toLowerCase()
  return [essence, parseMediaType(contentType)?.canonical ?? essence + contentType.slice(at).replaceAll('; ', ';')]
}

function checkPattern(pattern: RegExp, maxLength: number): void {
  if (pattern.source.length > maxLength) throw invalid(`a pattern is longer than ${maxLength}`)
  // What these two mean RE2 has no words for: matching at a position, and arithmetic on character classes.
  if (pattern.sticky || pattern.unicodeSets) throw invalid('a regular expression cannot have the flags y or v')
}

/** Compiles with RE2: 46 KB that a page without such filters never loads. */
async function loadEngine(
  patterns: readonly { pattern: RegExp; ignoreCase: boolean }[],
): Promise<((text: string) => boolean)[]> {
  const { RE2JS } = await import('re2js')
  return patterns.map(({ pattern, ignoreCase }) => {
    try {
      const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern), ignoreCase ? RE2JS.CASE_INSENSITIVE : 0)
      return text => compiled.test(text)
    } catch (cause) {
      throw invalid(`${pattern} is beyond RE2`, cause)
    }
  })
}
