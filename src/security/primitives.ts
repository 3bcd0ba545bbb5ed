/**
 * What the room needs of a platform's cryptography, in Node (`crypto.ts`), in browsers (`crypto.browser.ts`) and, where a
 * page has no WebCrypto, in JavaScript (`crypto.noble.ts`). `#crypto` chooses; nothing else differs between them.
 */

import { AfpSecurityError } from '../common/errors.ts'

/** At once where the platform can (Node, JavaScript), later where it cannot (WebCrypto). */
export type Awaitable<T> = T | Promise<T>

/** Bytes with a buffer of their own kind, as the platform's interfaces ask for. */
export type Bytes = Uint8Array<ArrayBuffer>

/** Length of an AES-256 key, of an X25519 key or shared secret, and of a SHA-256 hash. */
export const KEY_BYTES = 32
/** Length of a nonce of AES-GCM; other lengths are refused (NIST SP 800-38D, section 8.2.1: deterministic, 96 bits). */
export const NONCE_BYTES = 12
/** Length of the tag at the end of what AES-GCM seals. */
export const TAG_BYTES = 16

/** An AES-256-GCM key (NIST SP 800-38D, RFC 5116). One nonce seals one plaintext, ever. */
export interface AeadKey {
  /** Encrypts and authenticates: ciphertext, then a tag of 16 bytes. `aad` is authenticated and travels elsewhere. */
  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Awaitable<Bytes>
  /** What was sealed. Throws (or rejects with) AfpSecurityError UNDECRYPTABLE when one bit of anything differs. */
  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Awaitable<Bytes>
}

/** What scrypt costs (RFC 7914, section 2): 128 * `N` * `r` bytes of memory, `p` times in a row. */
export interface ScryptCost {
  readonly N: number
  readonly r: number
  readonly p: number
}

/**
 * See the head of this file. Lengths of keys are checked by those who call. Arguments are read before a call returns:
 * they may be changed or wiped afterwards, also while a promise is under way.
 */
export interface Primitives {
  /** Takes 32 bytes of key in; they are copied. */
  importKey(key: Uint8Array): Awaitable<AeadKey>
  /** SHA-256 (FIPS 180-4). */
  sha256(data: Uint8Array): Awaitable<Bytes>
  /** HMAC-SHA256 (RFC 2104); the key may have any length, also none. */
  hmacSha256(key: Uint8Array, data: Uint8Array): Awaitable<Bytes>
  /** The public key of a private one (RFC 7748, section 6.1). Any 32 bytes are a private key. */
  x25519PublicKey(privateKey: Uint8Array): Awaitable<Bytes>
  /**
   * The secret that both sides compute (RFC 7748, section 6.1). Throws (or rejects with) AfpSecurityError INVALID_KEY
   * where it would be zero, whatever the private key: such a public key is no key.
   */
  x25519(privateKey: Uint8Array, publicKey: Uint8Array): Awaitable<Bytes>
  /** scrypt (RFC 7914). */
  scrypt(password: Uint8Array, salt: Uint8Array, length: number, cost: ScryptCost): Promise<Bytes>
}

/** @throws AfpSecurityError INVALID_KEY for another length */
export function checkNonce(nonce: Uint8Array): void {
  if (nonce.length !== NONCE_BYTES) {
    throw new AfpSecurityError('INVALID_KEY', `a nonce has ${NONCE_BYTES} bytes, this one ${nonce.length}`)
  }
}

/** Without a cause or a detail: what exactly differs is nobody's business. */
export const undecryptable = (): AfpSecurityError =>
  new AfpSecurityError('UNDECRYPTABLE', 'sealed with another key, for another place, or changed on the way')

/** A public key that leads every private key to the same secret, or that the platform refuses. */
export const badPublicKey = (): AfpSecurityError =>
  new AfpSecurityError('INVALID_KEY', 'that public key agrees on no secret')

/** A shared secret that is not zero (RFC 7748, section 6.1). @throws AfpSecurityError INVALID_KEY */
export function checkedSecret(secret: Bytes): Bytes {
  let any = 0
  for (const byte of secret) any |= byte
  if (secret.length !== KEY_BYTES || any === 0) throw badPublicKey()
  return secret
}
