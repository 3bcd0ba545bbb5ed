/**
 * Nonces of a feed key. A position of the epoch gives one, a message without a position (at-most-once) another: the
 * first bit tells the two counters apart, so they never meet.
 *
 * ```
 * byte  0         0x00 numbered, 0x80 unnumbered
 *       1 to 5    zero
 *       6 to 11   the number, big-endian
 * ```
 */

import { AfpSecurityError } from '../common/errors.ts'
import { type Bytes, NONCE_BYTES } from './primitives.ts'

/** The highest number: 48 bits. */
export const MAX_NUMBER = 2 ** 48 - 1

const UNNUMBERED = 0x80

/** What makes a nonce: a number of one of the two counters of an epoch. */
export interface Counted {
  /** 1 to 2^48 - 1. */
  readonly number: number
  /** Whether the message holds a position of the feed; false: it counts among the at-most-once ones. */
  readonly numbered: boolean
}

/**
 * The nonce of a message.
 * @throws AfpSecurityError INVALID_OPTION for a number that no message of an epoch can have
 */
export function nonceOf({ number, numbered }: Counted): Bytes {
  if (!Number.isInteger(number) || number < 1 || number > MAX_NUMBER) {
    throw new AfpSecurityError('INVALID_OPTION', `the numbers of an epoch go from 1 to 2^48 - 1: ${number}`)
  }
  const nonce = new Uint8Array(NONCE_BYTES)
  if (!numbered) nonce[0] = UNNUMBERED
  const view = new DataView(nonce.buffer)
  view.setUint16(6, Math.floor(number / 2 ** 32))
  view.setUint32(8, number % 2 ** 32)
  return nonce
}
