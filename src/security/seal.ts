/**
 * The seal of a direct message: AES-256-GCM under the feed key of its epoch. The number is the nonce, the header bytes are
 * authenticated with it, and the plaintext is padded. No public-key operation: the epoch's opening had it.
 */

import { type Counted, nonceOf } from './nonce.ts'
import { pad, unpad } from './padding.ts'
import type { AeadKey, Awaitable, Bytes } from './primitives.ts'

/**
 * Seals a message. The same number must never seal two different plaintexts under one key.
 * @throws AfpSecurityError INVALID_OPTION for a number that no message can have
 */
export function sealDirect(
  key: AeadKey,
  counted: Counted,
  header: Uint8Array,
  plaintext: Uint8Array,
): Awaitable<Bytes> {
  return key.seal(nonceOf(counted), header, pad(plaintext))
}

/**
 * Opens a message: whoever has the key sealed exactly this header and this plaintext under this number.
 * @throws AfpSecurityError UNDECRYPTABLE when one bit of anything differs; INVALID_OPTION for a number that no message
 * can have
 */
export function openDirect(key: AeadKey, counted: Counted, header: Uint8Array, sealed: Uint8Array): Awaitable<Bytes> {
  const padded = key.open(nonceOf(counted), header, sealed)
  return padded instanceof Uint8Array ? unpad(padded) : padded.then(unpad)
}
