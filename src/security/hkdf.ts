/** HKDF with SHA-256 (RFC 5869). */

import { primitives } from '#crypto'
import { concat } from '../common/bytes.ts'
import { AfpSecurityError } from '../common/errors.ts'
import type { Bytes } from './primitives.ts'

/** Length of SHA-256's output. */
const HASH_BYTES = 32
/** What one key can be expanded to (RFC 5869, section 2.3). */
const MAX_BYTES = 255 * HASH_BYTES

/** HKDF-Extract (RFC 5869, section 2.2): 32 bytes of even entropy. Without a salt: an empty array. */
export async function extract(salt: Uint8Array, secret: Uint8Array): Promise<Bytes> {
  return primitives.hmacSha256(salt, secret)
}

/**
 * HKDF-Expand (RFC 5869, section 2.3).
 * @throws AfpSecurityError INVALID_KEY for a length that is not from 1 to 8,160
 */
export async function expand(key: Uint8Array, info: Uint8Array, length: number): Promise<Bytes> {
  if (!Number.isInteger(length) || length < 1 || length > MAX_BYTES) {
    throw new AfpSecurityError('INVALID_KEY', `HKDF gives 1 to ${MAX_BYTES} bytes, not ${length}`)
  }
  const out = new Uint8Array(length)
  let block: Uint8Array = new Uint8Array(0)
  for (let at = 0, count = 1; at < length; at += HASH_BYTES, count++) {
    block = await primitives.hmacSha256(key, concat([block, info, Uint8Array.of(count)]))
    out.set(block.subarray(0, length - at), at)
  }
  return out
}

/** Extract, then expand: `length` bytes of key from a secret, different for each `info`. */
export async function hkdfSha256(
  secret: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): Promise<Bytes> {
  return expand(await extract(salt, secret), info, length)
}
