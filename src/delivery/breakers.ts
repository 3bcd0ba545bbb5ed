/** The circuit breakers of one agent, by name: one for each recipient, and what an application adds. */

import { utf8Length } from '../common/bytes.ts'
import { checkOption, STRING } from '../common/check-options.ts'
import type { Clock } from '../common/clock.ts'
import { AfpError, AfpRoutingError, AfpTimeoutError } from '../common/errors.ts'
import { TypedEventTarget } from '../common/events.ts'
import { type BreakerEvents, type BreakerOptions, type BreakerState, CircuitBreaker } from './breaker.ts'

/** The longest name of a breaker, bytes of UTF-8: that of one that is forced open is kept, as the key of a row. */
const MAX_NAME_BYTES = 4_000

/** Options of {@link CircuitBreakers}. */
export interface BreakersOptions extends BreakerOptions {
  readonly clock: Clock
  /** The most that are kept at a time, those lent out or forced open not counted. Default 1,024. */
  readonly limit?: number | undefined
}

/**
 * See the head of this file. Names can be a stranger's choice, so the number is bounded: the closed one that was asked
 * for longest ago gives way, and if none is closed the open one; a breaker that is lent out or forced open never does.
 * One that gave way begins anew when it is next asked for, so ask for it each time instead of keeping it. Events: those of
 * all breakers that are kept.
 */
export class CircuitBreakers extends TypedEventTarget<BreakerEvents> {
  readonly #options: BreakersOptions
  readonly #limit: number
  /** The one that was asked for longest ago first. */
  readonly #breakers = new Map<string, Kept>()
  /** How many are lent out. */
  #lent = 0

  /** @throws AfpError INVALID_OPTION */
  constructor(options: BreakersOptions) {
    super()
    this.#options = options
    this.#limit = options.limit ?? 1_024
    if (!Number.isSafeInteger(this.#limit) || this.#limit < 1) {
      throw new AfpError('INVALID_OPTION', 'the limit of circuit breakers has to be a positive integer')
    }
    // Refuses bad defaults here instead of at the first message.
    new CircuitBreaker('', options.clock, options)
  }

  /** How many are kept. */
  get size(): number {
    return this.#breakers.size
  }

  /**
   * The breaker of this name, made if there is none. `options` replace the defaults for a new one and do nothing to one
   * that exists, but for one that is there since it was forced open in an earlier run: the first call for it in this run
   * says what its options are, and it stays open. A name has at most 4,000 bytes of UTF-8 and no lone surrogates.
   * @throws AfpError INVALID_OPTION for another name, or options that make no sense: then none was made, or changed
   */
  getOrCreate(name: string, options: BreakerOptions = {}): CircuitBreaker {
    const kept = this.#renew(name, options)
    if (kept.restored) kept.breaker.configure(this.#with(options))
    kept.restored = false
    kept.known = true
    return kept.breaker
  }

  /** Forces open the breaker of this name, as it was in an earlier run; its options are not known yet. @internal */
  restore(name: string): void {
    const kept = this.#renew(name, {})
    kept.restored = true
    kept.breaker.forceOpen()
  }

  /** The breaker of this name, if there is one. */
  get(name: string): CircuitBreaker | undefined {
    const kept = this.#breakers.get(name)
    if (kept !== undefined) kept.known = true
    return kept?.breaker
  }

  /** As {@link getOrCreate}, for one who goes by it until {@link giveBack}: it stays the one of its name. @internal */
  borrow(name: string): CircuitBreaker {
    const kept = this.#renew(name, {})
    if (!kept.lent) this.#lent++
    kept.lent = true
    return kept.breaker
  }

  /** Removes a breaker that has nothing to say, unless somebody asked for it by its name and may go by it. @internal */
  giveBack(name: string): void {
    const kept = this.#breakers.get(name)
    if (kept === undefined) return
    if (kept.lent) this.#lent--
    kept.lent = false
    if (!kept.known && isAtRest(kept.breaker)) this.remove(name)
  }

  /**
   * Removes a breaker; false when there was none. Calls it let through go on. One that is forced open is closed first;
   * one that delivery goes by, since something waits for its recipient or did not long ago, is reset and stays.
   */
  remove(name: string): boolean {
    const kept = this.#breakers.get(name)
    if (kept === undefined) return false
    if (kept.lent || kept.breaker.forced) kept.breaker.reset()
    if (kept.lent) {
      kept.known = false
      return true
    }
    kept.detach.abort()
    return this.#breakers.delete(name)
  }

  /** The agent of this name can be reached again: it is tried at once, whatever its breaker waits for. @internal */
  tryNow(name: string): void {
    this.#breakers.get(name)?.breaker.halfOpen()
  }

  /** What refuses a message to an agent that is left alone for `patience` ms or longer. @internal */
  refusal(name: string, patience = 0): AfpRoutingError | undefined {
    const breaker = this.#breakers.get(name)?.breaker
    if (breaker?.state !== 'open' || breaker.retryAfter < patience) return undefined
    const cause = breaker.error()
    return new AfpRoutingError('CIRCUIT_OPEN', cause.message, { recipients: [name], details: cause.details, cause })
  }

  /** An error of one who has waited for an agent: with what was in the way, if something is. @internal */
  explain(error: unknown, name: string): unknown {
    const breaker = this.#breakers.get(name)?.breaker
    if (!(error instanceof AfpTimeoutError) || breaker === undefined || breaker.state === 'closed') return error
    const cause = breaker.error()
    const { message, messageId, timeoutSeconds } = error
    const { details } = cause
    return new AfpTimeoutError(`${message}: ${cause.message}`, { messageId, timeoutSeconds, details, cause })
  }

  /** All breakers, the one that was asked for longest ago first. */
  all(): CircuitBreaker[] {
    return [...this.#breakers.values()].map(({ breaker }) => breaker)
  }

  /** The state of each, by name. */
  states(): Map<string, BreakerState> {
    return new Map(this.all().map(breaker => [breaker.name, breaker.state]))
  }

  /** Closes all, also those forced open. */
  resetAll(): void {
    for (const breaker of this.all()) breaker.reset()
  }

  #renew(name: string, options: BreakerOptions): Kept {
    const kept = this.#breakers.get(name) ?? this.#create(name, options)
    this.#breakers.delete(name)
    this.#breakers.set(name, kept)
    return kept
  }

  #create(name: string, options: BreakerOptions): Kept {
    const { clock } = this.#options
    checkOption('the name of a circuit breaker', name, STRING)
    if (!name.isWellFormed() || utf8Length(name) > MAX_NAME_BYTES) {
      const why = `has at most ${MAX_NAME_BYTES} bytes of UTF-8 and no lone surrogates`
      throw new AfpError('INVALID_OPTION', `the name of a circuit breaker ${why}; this one was not made`)
    }
    const breaker = new CircuitBreaker(name, clock, this.#with(options))
    const detach = new AbortController()
    for (const type of ['change', 'threw'] as const) {
      breaker.addEventListener(type, ({ detail }) => this.emit(type, detail), { signal: detach.signal })
    }
    this.#makeRoom()
    return { breaker, detach, restored: false, known: false, lent: false }
  }

  #with(options: BreakerOptions): BreakerOptions {
    return { ...this.#options, ...defined(options) }
  }

  #makeRoom(): void {
    if (this.#breakers.size - this.#lent < this.#limit) return
    const candidates = [...this.#breakers.values()].filter(({ breaker, lent }) => !lent && !breaker.forced)
    if (candidates.length < this.#limit) return
    const leaving = candidates.find(({ breaker }) => breaker.state === 'closed') ?? candidates[0]
    if (leaving !== undefined) this.remove(leaving.breaker.name)
  }
}

interface Kept {
  readonly breaker: CircuitBreaker
  /** Stops the forwarding of its events. */
  readonly detach: AbortController
  /** It is of an earlier run, and nobody has said in this one what its options are. */
  restored: boolean
  /** Somebody asked for it by its name. */
  known: boolean
  /** Somebody goes by it who does not ask again. */
  lent: boolean
}

/** Whether a breaker is as a new one would be. */
const isAtRest = ({ state, forced, failureCount }: CircuitBreaker): boolean =>
  state === 'closed' && !forced && failureCount === 0

/** Options left undefined keep their defaults. */
const defined = (options: BreakerOptions): BreakerOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
