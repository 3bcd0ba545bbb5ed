/** What stands for `#ed25519` in the simulation of meshes: keyed hashes, unless the run is one with the real signatures. */

import { concat, equal } from '../../../src/common/bytes.ts'
import * as real from '../../../src/identity/ed25519.ts'
import { sha256, usesRealCrypto } from './crypto.ts'

export type { Signer } from '../../../src/identity/ed25519.ts'

/** Below the prime in both its halves, as the coordinates of real ones are. */
function bounded(bytes: Uint8Array): Uint8Array {
  bytes[31] = (bytes[31] as number) & 0x3f
  return bytes
}

const signatureOf = (publicKey: Uint8Array, data: Uint8Array): Uint8Array =>
  bounded(concat([sha256(Uint8Array.of(5), publicKey, data), sha256(Uint8Array.of(6), publicKey, data)]))

/** The public key of a seed and a signer. Whoever knows the public key could sign: nobody here forges. */
export async function keyPair(seed: Uint8Array): Promise<{ publicKey: Uint8Array; sign: real.Signer }> {
  if (usesRealCrypto()) return real.keyPair(seed)
  const publicKey = bounded(sha256(Uint8Array.of(4), seed))
  return { publicKey, sign: async data => signatureOf(publicKey, data) }
}

/** Whether a signature is that of a public key over data. */
export async function verify(publicKey: Uint8Array, signature: Uint8Array, data: Uint8Array): Promise<boolean> {
  if (usesRealCrypto()) return real.verify(publicKey, signature, data)
  return equal(signatureOf(publicKey, data), signature)
}
