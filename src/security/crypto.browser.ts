/**
 * The primitives in browsers: WebCrypto, in all but the pages that have none (plain http), for which the ones in
 * JavaScript are loaded. X25519 came to WebCrypto late; where it is missing, that alone is done in JavaScript.
 */

import {
  type AeadKey,
  type Awaitable,
  type Bytes,
  badPublicKey,
  checkedSecret,
  checkNonce,
  KEY_BYTES,
  type Primitives,
  TAG_BYTES,
  undecryptable,
} from './primitives.ts'

/** DER in front of a raw private key: PKCS #8 with the X25519 object identifier (RFC 8410). */
const PKCS8_PREFIX = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20]
/** The base point of Curve25519, u = 9 (RFC 7748, section 4.1). */
const BASE_POINT = Uint8Array.of(9, ...new Uint8Array(KEY_BYTES - 1))

/** Calls the variant in JavaScript, with copies: callers may change or wipe their bytes while it loads. */
async function noble<Args extends Uint8Array[], T>(
  use: (noble: Primitives, ...args: { [I in keyof Args]: Bytes }) => Awaitable<T>,
  ...args: Args
): Promise<T> {
  const copies = args.map(bytes => new Uint8Array(bytes)) as { [I in keyof Args]: Bytes }
  const { primitives } = await import('./crypto.noble.ts')
  return use(primitives, ...copies)
}

/** WebCrypto, where this page has it. Asked at each use: it is one property. */
const webCrypto = (): SubtleCrypto | undefined => globalThis.crypto.subtle as SubtleCrypto | undefined

/** The type that WebCrypto asks for; it takes and copies any view. */
const given = (bytes: Uint8Array): Bytes => bytes as Bytes

/** Whether an instance of WebCrypto has X25519: current browsers do. */
const x25519Support = new WeakMap<SubtleCrypto, Promise<boolean>>()

async function withX25519(): Promise<SubtleCrypto | undefined> {
  const subtle = webCrypto()
  if (subtle === undefined) return undefined
  let supported = x25519Support.get(subtle)
  if (supported === undefined) {
    supported = subtle.importKey('raw', BASE_POINT, 'X25519', false, []).then(
      () => true,
      () => false,
    )
    x25519Support.set(subtle, supported)
  }
  return (await supported) ? subtle : undefined
}

class WebAeadKey implements AeadKey {
  readonly #subtle: SubtleCrypto
  readonly #key: CryptoKey

  constructor(subtle: SubtleCrypto, key: CryptoKey) {
    this.#subtle = subtle
    this.#key = key
  }

  async seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Promise<Bytes> {
    checkNonce(nonce)
    return new Uint8Array(await this.#subtle.encrypt(parameters(nonce, aad), this.#key, given(plaintext)))
  }

  async open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Promise<Bytes> {
    checkNonce(nonce)
    try {
      return new Uint8Array(await this.#subtle.decrypt(parameters(nonce, aad), this.#key, given(sealed)))
    } catch {
      throw undecryptable()
    }
  }
}

const parameters = (nonce: Uint8Array, aad: Uint8Array): AesGcmParams => ({
  name: 'AES-GCM',
  iv: given(nonce),
  additionalData: given(aad),
  tagLength: 8 * TAG_BYTES,
})

/** X25519 of WebCrypto; rejects for public keys that lead to zero. */
async function agree(subtle: SubtleCrypto, privateKey: Uint8Array, publicKey: Uint8Array): Promise<Bytes> {
  const pkcs8 = Uint8Array.from([...PKCS8_PREFIX, ...privateKey])
  const [own, other] = await Promise.all([
    subtle.importKey('pkcs8', pkcs8, 'X25519', false, ['deriveBits']),
    subtle.importKey('raw', given(publicKey), 'X25519', false, []),
  ])
  pkcs8.fill(0)
  return new Uint8Array(await subtle.deriveBits({ name: 'X25519', public: other }, own, 8 * KEY_BYTES))
}

/** See {@link Primitives}. */
export const primitives: Primitives = {
  importKey: async key => {
    const subtle = webCrypto()
    if (subtle === undefined) return noble((js, copy) => js.importKey(copy), key)
    return new WebAeadKey(subtle, await subtle.importKey('raw', given(key), 'AES-GCM', false, ['encrypt', 'decrypt']))
  },
  sha256: async data => {
    const subtle = webCrypto()
    if (subtle === undefined) return noble((js, copy) => js.sha256(copy), data)
    return new Uint8Array(await subtle.digest('SHA-256', given(data)))
  },
  hmacSha256: async (key, data) => {
    const subtle = webCrypto()
    if (subtle === undefined) return noble((js, ...copies) => js.hmacSha256(...copies), key, data)
    const message = new Uint8Array(data)
    // An empty key is refused here; padded with zeros, as HMAC pads every key, it is the same one.
    const raw = key.length === 0 ? new Uint8Array(1) : given(key)
    const hmac = await subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
    return new Uint8Array(await subtle.sign('HMAC', hmac, message))
  },
  x25519PublicKey: async privateKey => {
    const own = new Uint8Array(privateKey)
    const subtle = await withX25519()
    if (subtle === undefined) return noble((js, copy) => js.x25519PublicKey(copy), own)
    return agree(subtle, own, BASE_POINT)
  },
  x25519: async (privateKey, publicKey) => {
    const own = new Uint8Array(privateKey)
    // The highest bit does not count (RFC 7748, section 5): Firefox refuses some keys that have it.
    const other = Uint8Array.from(publicKey, (byte, i) => (i === KEY_BYTES - 1 ? byte & 0x7f : byte))
    const subtle = await withX25519()
    if (subtle === undefined) return noble((js, ...copies) => js.x25519(...copies), own, other)
    let secret: Bytes
    try {
      secret = await agree(subtle, own, other)
    } catch {
      throw badPublicKey()
    }
    return checkedSecret(secret)
  },
  // No browser has it: JavaScript everywhere.
  scrypt: (password, salt, length, cost) =>
    noble((js, ...copies) => js.scrypt(...copies, length, cost), password, salt),
}
