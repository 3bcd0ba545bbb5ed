/** Ed25519 (RFC 8032) in Node: synchronous, on OpenSSL. The browser's variant has the same three functions. */

import { createPrivateKey, createPublicKey, sign as nodeSign, verify as nodeVerify } from 'node:crypto'

/** DER in front of a raw seed: PKCS #8 with the Ed25519 object identifier (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
/** DER in front of a raw public key: SubjectPublicKeyInfo (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** Signs `data`. */
export type Signer = (data: Uint8Array) => Promise<Uint8Array>

const withPrefix = (prefix: Uint8Array, raw: Uint8Array): Buffer => Buffer.concat([prefix, raw])

/** The public key (32 bytes) and a signer for a 32-byte seed. */
export async function keyPair(seed: Uint8Array): Promise<{ publicKey: Uint8Array; sign: Signer }> {
  const privateKey = createPrivateKey({ key: withPrefix(PKCS8_PREFIX, seed), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return {
    publicKey: new Uint8Array(spki.subarray(SPKI_PREFIX.length)),
    sign: async data => new Uint8Array(nodeSign(null, data, privateKey)),
  }
}

/** Whether `signature` is the one of `publicKey` over `data`. False, not an error, for keys and signatures of a wrong form. */
export async function verify(publicKey: Uint8Array, signature: Uint8Array, data: Uint8Array): Promise<boolean> {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  try {
    const key = createPublicKey({ key: withPrefix(SPKI_PREFIX, publicKey), format: 'der', type: 'spki' })
    return nodeVerify(null, data, key, signature)
  } catch {
    return false
  }
}
