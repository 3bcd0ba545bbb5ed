/**
 * The primitives in JavaScript, synchronous: for pages without WebCrypto, those served over plain http. Constant time as
 * far as JavaScript goes, which is less far than the platform's own.
 */

import { gcm } from '@noble/ciphers/aes.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { hmac } from '@noble/hashes/hmac.js'
import { scryptAsync } from '@noble/hashes/scrypt.js'
import { sha256 } from '@noble/hashes/sha2.js'
import {
  type AeadKey,
  type Bytes,
  badPublicKey,
  checkedSecret,
  checkNonce,
  type Primitives,
  TAG_BYTES,
  undecryptable,
} from './primitives.ts'

/** The library's types leave the kind of buffer open; it allocates all of them itself. */
const own = (bytes: Uint8Array): Bytes => bytes as Bytes

class NobleAeadKey implements AeadKey {
  readonly #key: Uint8Array

  constructor(key: Uint8Array) {
    this.#key = Uint8Array.from(key)
  }

  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Bytes {
    checkNonce(nonce)
    return own(gcm(this.#key, nonce, aad).encrypt(plaintext))
  }

  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Bytes {
    checkNonce(nonce)
    if (sealed.length < TAG_BYTES) throw undecryptable()
    try {
      return own(gcm(this.#key, nonce, aad).decrypt(sealed))
    } catch {
      throw undecryptable()
    }
  }
}

/** See {@link Primitives}. */
export const primitives: Primitives = {
  importKey: key => new NobleAeadKey(key),
  sha256: data => own(sha256(data)),
  hmacSha256: (key, data) => own(hmac(sha256, key, data)),
  x25519PublicKey: privateKey => own(x25519.getPublicKey(privateKey)),
  x25519: (privateKey, publicKey) => {
    let secret: Bytes
    try {
      secret = own(x25519.getSharedSecret(privateKey, publicKey))
    } catch {
      throw badPublicKey()
    }
    return checkedSecret(secret)
  },
  scrypt: async (password, salt, length, { N, r, p }) => {
    // The library reads its password once more at the end.
    const copies = [new Uint8Array(password), new Uint8Array(salt)] as const
    return own(await scryptAsync(...copies, { N, r, p, dkLen: length, maxmem: 2 * 128 * N * r }))
  },
}
