/** AES-256-GCM, by whatever the platform has. */

import { primitives } from '#crypto'
import { AfpSecurityError } from '../common/errors.ts'
import { type AeadKey, type Awaitable, KEY_BYTES } from './primitives.ts'

export type { AeadKey, Awaitable } from './primitives.ts'

/**
 * A key to seal and open with, from 32 bytes, which are copied.
 * @throws AfpSecurityError INVALID_KEY for another length
 */
export function importKey(key: Uint8Array): Awaitable<AeadKey> {
  if (key.length !== KEY_BYTES) {
    throw new AfpSecurityError('INVALID_KEY', `a key of AES-256 has ${KEY_BYTES} bytes, this one ${key.length}`)
  }
  return primitives.importKey(key)
}
