/** Public keys that are none: points of small order, of X25519 and of Ed25519, and encodings that are not the only one. */

import { toHex } from '../common/bytes.ts'

/** The prime of Curve25519 (RFC 7748, section 4.1). */
const P = (1n << 255n) - 19n
/** Of X25519: with them every private key agrees on zero. Their u-coordinates, on the curve and on its twist. */
const SMALL_ORDER = new Set([
  0n,
  1n,
  P - 1n,
  0x00b8495f16056286fdb1329ceb8d09da6ac49ff1fae35616aeb8413b7c7aebe0n,
  0x57119fd0dd4e22d8868e1c58c45c44045bef839c55b1d0b1248c50a3bc959c5fn,
])

/** Whether X25519 with this key comes to zero: it is read as RFC 7748, section 5, does, without its highest bit and modulo P. */
export function agreesOnNothing(publicKey: Uint8Array): boolean {
  return SMALL_ORDER.has(coordinateIn(publicKey) % P)
}

/** Of Ed25519: the y-coordinate of two of its four points of order 8; the others have its negative. */
const ORDER_8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n
/** The y-coordinates of its eight points of small order (RFC 8032, section 5.1). */
const SMALL_ORDER_Y = new Set([0n, 1n, P - 1n, ORDER_8, P - ORDER_8])

/**
 * Whether 32 bytes may be a key of Ed25519, or the R of a signature. Of points of small order, and of a y that is not below
 * P, platforms disagree on which signatures hold: who forwards what another refuses would be blamed for it. No honest
 * signer comes to either.
 */
export function mayBePoint(bytes: Uint8Array): boolean {
  const y = coordinateIn(bytes)
  return y < P && !SMALL_ORDER_Y.has(y)
}

/** A number in 32 bytes, little-endian, without its highest bit. */
const coordinateIn = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes.toReversed())}`) & ((1n << 255n) - 1n)
