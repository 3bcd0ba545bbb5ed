/**
 * Ed25519 (RFC 8032) in browsers: WebCrypto, eight times as fast as JavaScript. Pages served over plain http have no
 * WebCrypto; for them the noble implementation is loaded.
 */

import { fromBase64 } from '../message/base64.ts'

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

const noble = async () => (await import('@noble/curves/ed25519.js')).ed25519

const bytes = (data: Uint8Array): Uint8Array<ArrayBuffer> => data as Uint8Array<ArrayBuffer>

/** The public key (32 bytes) and a signer for a 32-byte seed. */
export async function keyPair(seed: Uint8Array): Promise<{ publicKey: Uint8Array; sign: Signer }> {
  const native = await subtle
  if (native === undefined) {
    const ed25519 = await noble()
    return { publicKey: ed25519.getPublicKey(seed), sign: async data => ed25519.sign(data, seed) }
  }
  // The public key comes out of an extractable copy that is dropped at once; the key that signs stays inside.
  const pkcs8 = Uint8Array.from([...PKCS8_PREFIX, ...seed])
  const extractable = await native.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign'])
  const { x } = await native.exportKey('jwk', extractable)
  const key = await native.importKey('pkcs8', pkcs8, 'Ed25519', false, ['sign'])
  pkcs8.fill(0)
  return {
    publicKey: fromBase64(`${(x as string).replaceAll('-', '+').replaceAll('_', '/')}=`) as Uint8Array,
    sign: async data => new Uint8Array(await native.sign('Ed25519', key, bytes(data))),
  }
}

/** Whether `signature` is the one of `publicKey` over `data`. False, not an error, for keys and signatures of a wrong form. */
export async function verify(publicKey: Uint8Array, signature: Uint8Array, data: Uint8Array): Promise<boolean> {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  const native = await subtle
  try {
    if (native === undefined) return (await noble()).verify(signature, data, publicKey, { zip215: false })
    const key = await native.importKey('raw', bytes(publicKey), 'Ed25519', false, ['verify'])
    return await native.verify('Ed25519', key, bytes(signature), bytes(data))
  } catch {
    return false
  }
}
