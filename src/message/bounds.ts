/**
 * How much there may be in what a stranger sends, where it is more than the default of `decode`: what is checked before
 * anything is built. The numbers are those of the CDDL in docs/protocol.md; a document of the default, 256 items, costs
 * less than the signature that most of them have.
 *
 * No bound of its own has JSON: it lies in a message as one byte string, and each of its values takes a byte at least.
 */

import type { DecodeLimits } from './codec.ts'
import { LEAST_FRAME_BYTES } from './validate.ts'

/** See the head of this file. */
export const BOUNDS = {
  /** A body has 7 and up to 256 payloads. Twice as many, since of another version nothing but its number is looked at. */
  gossip: { items: 512 },
  /** Acknowledgements and states have many numbers: what bounds them is that they fit the least frame, beside its type. */
  words: { bytes: LEAST_FRAME_BYTES - 1, items: LEAST_FRAME_BYTES },
  /** Rows of one's own store: whoever writes them bounds what is in them. */
  own: { items: Number.POSITIVE_INFINITY },
} as const satisfies Record<string, DecodeLimits>

/** Beside its recipients a message has 82 items, and up to 16 extensions of four. */
export const messageItems = (recipients: number): number => 82 + 16 * 4 + recipients
