/** What can be asked of dead letters, and what they tell. */

import { AfpError } from '../common/errors.ts'
import type { DeadLetter, LetterSide } from './dead-letter.ts'
import type { LetterFilter } from './dead-letter-index.ts'
import type { RetryOutcome } from './dead-letter-retries.ts'

/**
 * How many letters are kept. On the recipient's side one author has at most as many of them that nobody has dealt with,
 * and as many bytes, as are left free there: half of all where it is the only one.
 */
export interface LetterLimits {
  /** The most letters of each side. Default 10,000. */
  readonly maxEntries?: number | undefined
  /** The most bytes of each side, at least `limits.messageBytes` and 8 KiB. Default 64 MiB. */
  readonly maxBytes?: number | undefined
  /**
   * Where there is no room, letters older than this give way though nobody has dealt with them, the oldest first, ms.
   * Default: none does, whatever its age.
   */
  readonly maxAge?: number | undefined
}

const DEFAULT_ENTRIES = 10_000
const DEFAULT_BYTES = 2 ** 26
/** What a letter has beside its message, bytes: names, its last error, how it is tried again. */
const ENTRY_BYTES = 8_192

/** The bounds of each side. @throws AfpError INVALID_OPTION for one that is no positive integer, and an age below 0 */
export function letterBounds({ maxEntries = DEFAULT_ENTRIES, maxBytes = DEFAULT_BYTES, maxAge }: LetterLimits): {
  readonly maxEntries: number
  readonly maxBytes: number
} {
  for (const [name, value] of Object.entries({ maxEntries, maxBytes })) {
    if (Number.isSafeInteger(value) && value > 0) continue
    throw new AfpError('INVALID_OPTION', `${name} of dead letters has to be a positive integer`)
  }
  if (maxAge !== undefined && !(maxAge >= 0))
    throw new AfpError('INVALID_OPTION', 'maxAge of dead letters is a time from 0 ms')
  return { maxEntries, maxBytes }
}

/** @throws AfpError INVALID_OPTION where the largest message would never find room among the letters */
export function checkLetterLimits({ maxBytes = DEFAULT_BYTES }: LetterLimits, messageBytes: number): void {
  const needed = messageBytes + ENTRY_BYTES
  if (maxBytes >= needed) return
  const why = `deadLetters.maxBytes is ${maxBytes}; the letter of a message of limits.messageBytes, ${messageBytes}, may need ${needed}`
  throw new AfpError('INVALID_OPTION', why)
}

/** What `deadLetters` tells. */
export interface DeadLetterEvents {
  'dead-letter:added': { letter: DeadLetter }
  /**
   * There was no room, or its author has its share of it, see {@link LetterLimits}: the letter's message stays where it was
   * until there is, and takes up room there. Told once of each message.
   */
  'dead-letter:refused': { letter: DeadLetter; error: AfpError }
  /**
   * There is little room left on a side: letters that nobody has dealt with take nine tenths of it. Told once, until there
   * is room: mark, discard or purge some.
   */
  'dead-letter:low': { side: LetterSide; entries: number; bytes: number; maxEntries: number; maxBytes: number }
  'dead-letter:processed': { id: string; note: string | undefined }
  /** Letters are gone: `discarded` and `purged` by hand, `room` because new ones needed their place. */
  'dead-letter:removed': { ids: readonly string[]; why: 'discarded' | 'purged' | 'room' }
  'dead-letter:retried': { id: string; outcome: RetryOutcome }
  /** A retry failed; `nextAt` is the next automatic one, ms since 1970, if there is one. */
  'dead-letter:retry-failed': { id: string; error: unknown; nextAt: number | undefined }
}

/** Which letters `list` gives. */
export interface ListLettersOptions extends LetterFilter {
  /** At most this many, the newest. Default 100. */
  readonly limit?: number | undefined
  /** Only letters older than the one with this id: the last id of the page before. */
  readonly before?: string | undefined
}

/** Which letters `purge` deletes. */
export interface PurgeOptions {
  /** Only those made more than this many ms ago. */
  readonly olderThan?: number | undefined
  /** Default: true, only processed ones. */
  readonly processed?: boolean | 'any' | undefined
}
