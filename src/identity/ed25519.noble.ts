/** Ed25519 for pages without WebCrypto, which load it when they need it: noble's, judging signatures as everybody else does. */

import { ed25519 } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { concat, equal, toHex } from '../common/bytes.ts'

/** The signature of a 32-byte seed's key over data. */
export const sign = (data: Uint8Array, seed: Uint8Array): Uint8Array => ed25519.sign(data, seed)

/**
 * Whether a signature holds, as WebCrypto and OpenSSL see it. noble checks the equation times the cofactor: for keys with a
 * part of small order the answers would differ, and who forwards what another refuses is blamed for it.
 */
export function verify(publicKey: Uint8Array, signature: Uint8Array, data: Uint8Array): boolean {
  if (!ed25519.verify(signature, data, publicKey, { zip215: false })) return false
  const { Point } = ed25519
  const r = signature.subarray(0, 32)
  const k = numberOf(sha512(concat([r, publicKey, data]))) % Point.Fn.ORDER
  const s = numberOf(signature.subarray(32))
  return equal(Point.BASE.multiplyUnsafe(s).subtract(Point.fromBytes(publicKey).multiplyUnsafe(k)).toBytes(), r)
}

const numberOf = (littleEndian: Uint8Array): bigint => BigInt(`0x${toHex(littleEndian.toReversed())}`)
