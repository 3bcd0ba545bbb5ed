/**
 * What the two ends of an epoch tell each other: the author its state, the reader its acknowledgement. Both are whole
 * and repeated, never increments: one that is lost, doubled or late does no harm.
 */

import { utf8Length } from '../common/bytes.ts'
import { headLength } from '../message/codec.ts'
import { LEAST_FRAME_BYTES } from '../message/validate.ts'
import { isNumber, MAX_RANGES, malformed, RangeSet, type RangeWire, rangesBytes } from './ranges.ts'

/** Priority classes: 0 to 9. */
export const CLASSES = 10

/**
 * Ranges that an acknowledgement may have. A reader takes nothing new beyond {@link MAX_RANGES}; the rest is for what
 * was on its way to the disk when it said so.
 */
export const MAX_ACK_RANGES = 2 * MAX_RANGES

/** Ranges that a reader never handled and its author has settled which are told all the same, the highest: see `unhandled.ts`. */
export const MAX_UNHANDLED = 32

/** Ranges of skips that a reader has: as many, the first of what has no end, and what its author has settled. */
export const MAX_SKIP_RANGES = MAX_RANGES + 1 + MAX_UNHANDLED

/** Refusals that an acknowledgement tells at once; the others follow as the author's base passes these. */
export const MAX_REFUSED = 1_024

/** Characters that the reason for a refusal may have. */
export const MAX_REASON = 64

/**
 * Bytes that the acknowledgements of one frame may take, and the states of one: it fits the least that an agent takes,
 * with its type and the credit.
 */
export const MAX_WORDS_BYTES = LEAST_FRAME_BYTES - 16

/** Bytes of an acknowledgement beside its ranges and refusals, at most: heads, the epoch and three floors. */
const ACK_BYTES = 60

/** Bytes of a state beside its ranges, at most: heads, the epoch, its base, its last number and a floor. */
export const STATE_BYTES = 49

/** A number that a reader ended, and why. */
export type Refused = readonly [number: number, reason: string]

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
  /**
   * What its handlers are done with, the lowest that there is room for; refused ones join them once the base has passed
   * them.
   */
  readonly processed: RangeWire
  /** What ended in a refusal, until the base has passed it; ascending, of more than there is room for the lowest. */
  readonly refused: readonly Refused[]
  /** What the reader will never take, because the author said that it skips it; until the base has passed it. */
  readonly skipped: RangeWire
}

/** Bytes of an acknowledgement, at most. */
export function ackBytes({ delivered, processed, refused, skipped }: FeedAck): number {
  let bytes = ACK_BYTES + rangesBytes(delivered) + rangesBytes(processed) + rangesBytes(skipped)
  for (const refusal of refused) bytes += refusalBytes(refusal)
  return bytes
}

function refusalBytes([number, reason]: Refused): number {
  const text = utf8Length(reason)
  return 1 + headLength(number) + headLength(text) + text
}

/** A {@link FeedState} that was read. */
export interface ReadState {
  readonly epoch: string
  readonly base: number
  readonly last: number
  readonly skips: RangeSet
}

/** A {@link FeedAck} that was read, or is to be written. */
export interface ReadAck {
  readonly delivered: RangeSet
  readonly processed: RangeSet
  readonly refused: readonly Refused[]
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

/**
 * An acknowledgement that fits a frame: whole in what was delivered and skipped, since its author takes what it was told
 * once, and is not told again, for lost. Of the others there is room for the lowest, however long these are, and with
 * them the author's base goes on.
 */
export function writeAck(epoch: string, ack: ReadAck): FeedAck {
  const delivered = ack.delivered.toWire(MAX_ACK_RANGES)
  const skipped = ack.skipped.toWire(MAX_SKIP_RANGES)
  let left = MAX_WORDS_BYTES - ACK_BYTES - rangesBytes(delivered) - rangesBytes(skipped)
  const processed = ack.processed.toWire(MAX_ACK_RANGES, left / 2)
  left -= rangesBytes(processed)
  const refused = ack.refused.slice(0, MAX_REFUSED)
  const beyond = refused.findIndex(refusal => {
    left -= refusalBytes(refusal)
    return left < 0
  })
  return { epoch, delivered, processed, refused: beyond < 0 ? refused : refused.slice(0, beyond), skipped }
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
export function readRefused(value: unknown, max: number = MAX_REFUSED): Refused[] {
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
