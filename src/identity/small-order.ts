/** Public keys of X25519 that are none: points of small order, with which every private key agrees on zero. */

import { toHex } from '../common/bytes.ts'

/** The prime of Curve25519 (RFC 7748, section 4.1). */
const P = (1n << 255n) - 19n
/** Their u-coordinates, on the curve and on its twist. */
const SMALL_ORDER = new Set([
  0n,
  1n,
  P - 1n,
  0x00b8495f16056286fdb1329ceb8d09da6ac49ff1fae35616aeb8413b7c7aebe0n,
  0x57119fd0dd4e22d8868e1c58c45c44045bef839c55b1d0b1248c50a3bc959c5fn,
])

/** Whether X25519 with this key comes to zero: it is read as RFC 7748, section 5, does, without its highest bit and modulo P. */
export function agreesOnNothing(publicKey: Uint8Array): boolean {
  const u = BigInt(`0x${toHex(publicKey.toReversed())}`) & ((1n << 255n) - 1n)
  return SMALL_ORDER.has(u % P)
}
