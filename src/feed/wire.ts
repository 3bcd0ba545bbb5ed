/**
 * What the two ends of an epoch tell each other: the author its state, the reader its acknowledgement. Both are whole
 * and repeated, never increments: one that is lost, doubled or late does no harm.
 */

import { isNumber, MAX_RANGES, malformed, RangeSet, type RangeWire } from './ranges.ts'

/** Priority classes: 0 to 9. */
export const CLASSES = 10

/**
 * Ranges that an acknowledgement may have. A reader takes nothing new beyond {@link MAX_RANGES}; the rest is for what
 * was on its way to the disk when it said so.
 */
export const MAX_ACK_RANGES = 2 * MAX_RANGES

/** Refusals that an acknowledgement tells at once; the others follow as the author's base passes these. */
export const MAX_REFUSED = 1_024

/** Characters that the reason for a refusal may have. */
export const MAX_REASON = 64

/** Where an envelope stands in its epoch. */
export interface Position {
  /** From 1. */
  readonly number: number
  /** The number before it in its priority class; 0: it is the first of its class in this epoch. */
  readonly prev: number
  /** 0 to 9. */
  readonly priority: number
}

/** The author's word on an epoch. */
export interface FeedState {
  /** Id of the epoch, hex. */
  readonly epoch: string
  /** Of every number up to here the author knows the end: processed, refused, or confirmed as skipped. */
  readonly base: number
  /** The last number that was given out. */
  readonly last: number
  /** Numbers above the base that will never come. */
  readonly skips: RangeWire
}

/** The reader's word on an epoch. */
export interface FeedAck {
  /** Id of the epoch, hex. */
  readonly epoch: string
  /** What the reader has, durably; refused ones among them. Skipped ones join them once the base has passed them. */
  readonly delivered: RangeWire
  /** What its handlers are done with; refused ones join them once the base has passed them. */
  readonly processed: RangeWire
  /** What ended in a refusal, until the base has passed it; ascending, the lowest {@link MAX_REFUSED}. */
  readonly refused: readonly (readonly [number: number, reason: string])[]
  /** What the reader will never take, because the author said that it skips it; until the base has passed it. */
  readonly skipped: RangeWire
}

/** A {@link FeedState} that was read. */
export interface ReadState {
  readonly epoch: string
  readonly base: number
  readonly last: number
  readonly skips: RangeSet
}

/** A {@link FeedAck} that was read. */
export interface ReadAck {
  readonly delivered: RangeSet
  readonly processed: RangeSet
  readonly refused: readonly (readonly [number, string])[]
  readonly skipped: RangeSet
}

/** A position that a stranger may have sent. @throws AfpMessageError MALFORMED */
export function readPosition(position: Position): Position {
  const { number, prev, priority } = position
  if (isNumber(number) && isNumber(prev) && prev < number && Number.isInteger(priority)) {
    if (priority >= 0 && priority < CLASSES) return position
  }
  throw malformed('a position that no feed has')
}

/** Reads a state that a stranger may have sent. @throws AfpMessageError MALFORMED */
export function readState(state: FeedState): ReadState {
  const { epoch, base, last } = state
  if (!isNumber(base) || !isNumber(last) || base > last) throw malformed('the base of a state is above its last number')
  const skips = RangeSet.fromWire(state.skips)
  if (skips.max > last) throw malformed('a state that skips more than there is')
  return { epoch, base, last, skips }
}

/** Reads an acknowledgement that a stranger may have sent. @throws AfpMessageError MALFORMED */
export function readAck(ack: FeedAck): ReadAck {
  const options = { maxRanges: MAX_ACK_RANGES }
  return {
    delivered: RangeSet.fromWire(ack.delivered, options),
    processed: RangeSet.fromWire(ack.processed, options),
    refused: readRefused(ack.refused),
    skipped: RangeSet.fromWire(ack.skipped, options),
  }
}

/** @throws AfpMessageError MALFORMED */
export function readRefused(value: unknown, max: number = MAX_REFUSED): (readonly [number, string])[] {
  if (!Array.isArray(value) || value.length > max) throw malformed(`not a list of at most ${max} refusals`)
  let before = 0
  return value.map((entry: unknown) => {
    if (!Array.isArray(entry) || entry.length !== 2) throw malformed('a refusal')
    const [number, reason] = entry as unknown[]
    if (!isNumber(number) || number <= before) throw malformed('the number of a refusal')
    before = number
    if (typeof reason !== 'string' || reason.length === 0 || reason.length > MAX_REASON) {
      throw malformed('the reason for a refusal')
    }
    return [number, reason] as const
  })
}
