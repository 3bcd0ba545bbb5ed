/**
 * Padding of plaintexts, so that sizes say little: 256 bytes at least, then eight sizes to each doubling. The bytes are
 * padded as ISO/IEC 7816-4 does it: 0x80, then zeros.
 */

import { undecryptable } from './primitives.ts'

/** The smallest padded plaintext. */
export const MIN_PADDED = 256

const MARK = 0x80

/** The size that `length` bytes and the mark are padded to: at most an eighth more, once there are 256. */
export function paddedLength(length: number): number {
  const needed = length + 1
  if (needed <= MIN_PADDED) return MIN_PADDED
  // The highest power of two below `needed` is parted in eight; below 2^31 clz32 knows it.
  const step = 2 ** (31 - Math.clz32(needed - 1) - 3)
  return Math.ceil(needed / step) * step
}

/** A padded copy. */
export function pad(plaintext: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(paddedLength(plaintext.length))
  out.set(plaintext)
  out[plaintext.length] = MARK
  return out
}

/**
 * What was padded, as a view. Only after its seal was checked: how long this takes depends on the content.
 * @throws AfpSecurityError UNDECRYPTABLE unless it is exactly what {@link pad} makes
 */
export function unpad(padded: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  let end = padded.length - 1
  while (end > 0 && padded[end] === 0) end--
  if (padded[end] !== MARK || paddedLength(end) !== padded.length) throw undecryptable()
  return padded.subarray(0, end)
}
