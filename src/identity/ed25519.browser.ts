/**
 * Ed25519 (RFC 8032) in browsers: WebCrypto, eight times as fast as JavaScript. Pages served over plain http have no
 * WebCrypto; for them there is ed25519.noble.ts, on the implementation that libp2p brings into every page anyway.
 */

import { ed25519 } from '@noble/curves/ed25519.js'

/** Signs `data`. */
export type Signer = (data: Uint8Array) => Promise<Uint8Array>

/** DER in front of a raw seed: PKCS #8 with the Ed25519 object identifier (RFC 8410). */
const PKCS8_PREFIX = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]

// Decided once: whether this page has WebCrypto with Ed25519 (secure contexts of current browsers do).
const subtle: Promise<SubtleCrypto | undefined> = Promise.resolve(globalThis.crypto?.subtle)
  .then(async candidate => {
    await candidate?.importKey('raw', new Uint8Array(32), 'Ed25519', false, ['verify'])
    return candidate
  })
  .catch(() => undefined)

const fallback = () => import('./ed25519.noble.ts')

/** The public key (32 bytes) and a signer for a 32-byte seed. */
export async function keyPair(seed: Uint8Array): Promise<{ publicKey: Uint8Array; sign: Signer }> {
  const native = await subtle
  // WebCrypto tells the public half only of keys that can be taken out of it: this way none can.
  const publicKey = ed25519.getPublicKey(seed)
  if (native === undefined) return { publicKey, sign: async data => (await fallback()).sign(data, seed) }
  const pkcs8 = Uint8Array.from([...PKCS8_PREFIX, ...seed])
  const key = await native.importKey('pkcs8', pkcs8, 'Ed25519', false, ['sign'])
  pkcs8.fill(0)
  return { publicKey, sign: async data => new Uint8Array(await native.sign('Ed25519', key, data as BufferSource)) }
}

/** Whether `signature` is the one of `publicKey` over `data`. False, not an error, for keys and signatures of a wrong form. */
export async function verify(publicKey: Uint8Array, signature: Uint8Array, data: Uint8Array): Promise<boolean> {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  const native = await subtle
  try {
    if (native === undefined) return (await fallback()).verify(publicKey, signature, data)
    const key = await native.importKey('raw', publicKey as BufferSource, 'Ed25519', false, ['verify'])
    return await native.verify('Ed25519', key, signature as BufferSource, data as BufferSource)
  } catch {
    return false
  }
}
