/**
 * What a reader keeps of an epoch: arrays and numbers, small as long as the feed is mostly in order. What was delivered
 * and has no end is not in it: the rows of the inbox tell that.
 *
 * ```
 * [1, base, last, delivered, skipped, given up, passed: ranges, [* [number, reason]], free: bool]
 * ```
 */

import { AfpDataStoreError } from '../common/errors.ts'
import { isNumber, RangeSet } from './ranges.ts'
import { type Refused, readRefused } from './wire.ts'

const VERSION = 1

/** See the head of this file; the fields are those of `ReaderFeed`. */
export interface Kept {
  readonly base: number
  readonly last: number
  readonly delivered: RangeSet
  readonly skipped: RangeSet
  readonly givenUp: RangeSet
  readonly passed: RangeSet
  /** Ascending. */
  readonly refused: readonly Refused[]
  readonly free: boolean
}

/** What is to be stored of an epoch, beside the rows of its inbox. */
export interface Snapshot {
  /** Arrays, numbers, strings and booleans. */
  readonly value: unknown[]
  /** To be called when it is on the disk: the skips and refusals in it are told from then on. */
  readonly committed: () => void
}

/** The form that is stored. */
export const writeSnapshot = (kept: Kept): unknown[] => [
  VERSION,
  kept.base,
  kept.last,
  kept.delivered.toWire(),
  kept.skipped.toWire(),
  kept.givenUp.toWire(),
  kept.passed.toWire(),
  kept.refused,
  kept.free,
]

/**
 * Reads what was stored; nothing stored is an epoch that begins.
 * @throws AfpDataStoreError STORE_FAILED for what is damaged or of another version
 */
export function readSnapshot(value: unknown): Kept {
  if (value === undefined) return keptOf([VERSION, 0, 0, EMPTY, EMPTY, EMPTY, EMPTY, [], false])
  if (!Array.isArray(value) || value.length !== 9 || value[0] !== VERSION) throw damaged('its shape')
  try {
    return keptOf(value)
  } catch (cause) {
    throw cause instanceof AfpDataStoreError ? cause : damaged('its sets', cause)
  }
}

const EMPTY = [0, []]

function keptOf([, base, last, delivered, skipped, givenUp, passed, refused, free]: readonly unknown[]): Kept {
  if (!isNumber(base) || !isNumber(last) || typeof free !== 'boolean') throw damaged('its numbers')
  return {
    base,
    last,
    delivered: setOf(delivered),
    skipped: setOf(skipped),
    givenUp: setOf(givenUp),
    passed: setOf(passed),
    refused: readRefused(refused, Number.POSITIVE_INFINITY),
    free,
  }
}

const setOf = (value: unknown): RangeSet => RangeSet.fromWire(value, { maxRanges: Number.POSITIVE_INFINITY })

/** What is thrown for a snapshot that is none. */
export const damaged = (what: string, cause?: unknown): AfpDataStoreError =>
  new AfpDataStoreError('STORE_FAILED', `the snapshot of an epoch is damaged: ${what}`, { cause })
