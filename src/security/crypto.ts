/** The primitives in Node: OpenSSL, synchronous. The browser's variant is `crypto.browser.ts`. */

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  type KeyObject,
  scrypt,
} from 'node:crypto'
import {
  type AeadKey,
  type Bytes,
  badPublicKey,
  checkedSecret,
  checkNonce,
  KEY_BYTES,
  type Primitives,
  TAG_BYTES,
  undecryptable,
} from './primitives.ts'

const ALGORITHM = 'aes-256-gcm'
/** DER in front of a raw private key: PKCS #8 with the X25519 object identifier (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex')
/** DER in front of a raw public key: SubjectPublicKeyInfo (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex')

/** Plain bytes: a Buffer compares, prints and slices differently. Copied only out of memory that others share. */
const plain = (buffer: Buffer): Bytes =>
  buffer.buffer.byteLength === buffer.length ? new Uint8Array(buffer.buffer as ArrayBuffer) : new Uint8Array(buffer)

class NodeAeadKey implements AeadKey {
  readonly #key: KeyObject

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key)
  }

  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Bytes {
    checkNonce(nonce)
    // Without options, which cost a fifth of the whole: the tag has 16 bytes by default, and exactly 16 are given below.
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce)
    cipher.setAAD(aad)
    const out = new Uint8Array(plaintext.length + TAG_BYTES)
    out.set(cipher.update(plaintext))
    cipher.final()
    out.set(cipher.getAuthTag(), plaintext.length)
    return out
  }

  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Bytes {
    checkNonce(nonce)
    const end = sealed.length - TAG_BYTES
    if (end < 0) throw undecryptable()
    const decipher = createDecipheriv(ALGORITHM, this.#key, nonce)
    decipher.setAAD(aad)
    decipher.setAuthTag(sealed.subarray(end))
    const out = decipher.update(sealed.subarray(0, end))
    try {
      decipher.final()
    } catch {
      throw undecryptable()
    }
    return plain(out)
  }
}

const privateKeyOf = (raw: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, raw]), format: 'der', type: 'pkcs8' })

const publicKeyOf = (raw: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' })

/** See {@link Primitives}. */
export const primitives: Primitives = {
  importKey: key => new NodeAeadKey(key),
  sha256: data => plain(createHash('sha256').update(data).digest()),
  hmacSha256: (key, data) => plain(createHmac('sha256', key).update(data).digest()),
  x25519PublicKey: privateKey =>
    plain(createPublicKey(privateKeyOf(privateKey)).export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES)),
  x25519: (privateKey, publicKey) => {
    const own = privateKeyOf(privateKey)
    let secret: Buffer
    try {
      secret = diffieHellman({ privateKey: own, publicKey: publicKeyOf(publicKey) })
    } catch {
      throw badPublicKey()
    }
    return checkedSecret(plain(secret))
  },
  scrypt: (password, salt, length, { N, r, p }) => {
    const { promise, resolve, reject } = Promise.withResolvers<Bytes>()
    // OpenSSL refuses beyond `maxmem`, and counts a little more than the 128 * N * r bytes of the algorithm.
    scrypt(password, salt, length, { N, r, p, maxmem: 2 * 128 * N * r }, (error, key) =>
      error === null ? resolve(plain(key)) : reject(error),
    )
    return promise
  },
}
