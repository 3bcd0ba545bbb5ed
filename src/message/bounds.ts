/**
 * How much there may be in what a stranger sends, where it is more than the default of `decode`: what is checked before
 * anything is built. The numbers are those of the CDDL in docs/protocol.md; a document of the default, 256 items, costs
 * less than the signature that most of them have.
 *
 * No bound of its own has JSON: it lies in a message as one byte string, and each of its values takes a byte at least.
 */

import type { DecodeLimits } from './codec.ts'

/** Epochs that one frame may speak of. */
const EPOCHS = 128
/** A set of so many ranges: the array of two, the floor, the list, and a gap and a length for each. */
const setOf = (ranges: number): number => 3 + 2 * ranges

/** See the head of this file. */
export const BOUNDS = {
  /** A body has 7 and up to 256 payloads. Twice as many, since of another version nothing but its number is looked at. */
  gossip: { items: 512 },
  /** Each state is an array, three values and its skips. */
  states: { items: 1 + EPOCHS * (4 + setOf(1_024)), others: 1 + EPOCHS * 4 },
  /** Each acknowledgement is an array, the epoch, three sets and 1,024 refusals: more than fit, if few are other than numbers. */
  acks: {
    items: 3 + EPOCHS * (2 + 3 * setOf(2_048) + 1 + 1_024 * 3),
    others: 2 + EPOCHS * (2 + 3 * 2 + 1 + 1_024 * 2),
  },
  /** Rows of one's own store: whoever writes them bounds what is in them. */
  own: { items: Number.POSITIVE_INFINITY },
} as const satisfies Record<string, DecodeLimits>

/** Beside its recipients a message has 82 items, and up to 16 extensions of four. */
export const messageItems = (recipients: number): number => 82 + 16 * 4 + recipients
