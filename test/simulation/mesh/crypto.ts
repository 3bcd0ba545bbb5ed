/**
 * What stands for `#crypto` in the simulation of meshes: synchronous, quick, the same for the same input, and no
 * cryptography. Its cipher notes each nonce of each key, whoever uses it: two plaintexts under one are a fault. With
 * {@link useCrypto} the real one does the work, under the same eyes.
 */

import { hash } from 'node:crypto'
import { compare, concat, equal, toHex } from '../../../src/common/bytes.ts'
import { primitives as real } from '../../../src/security/crypto.ts'
import {
  type AeadKey,
  type Awaitable,
  type Bytes,
  checkNonce,
  type Primitives,
  TAG_BYTES,
  undecryptable,
} from '../../../src/security/primitives.ts'

let isReal = true
/** What was sealed, by key and nonce. */
const sealed = new Map<string, string>()
let seals = 0
let reused: string[] = []

/** What the cipher has seen since {@link useCrypto}. */
export interface CipherNews {
  readonly seals: number
  /** Keys and nonces under which two different things were sealed. */
  readonly reused: readonly string[]
}

/** Begins a run, with the real cryptography or what stands for it. */
export function useCrypto(kind: 'real' | 'quick'): void {
  isReal = kind === 'real'
  sealed.clear()
  seals = 0
  reused = []
}

export const cipherNews = (): CipherNews => ({ seals, reused })

/** Whether the run is one with the real cryptography. */
export const usesRealCrypto = (): boolean => isReal

export const sha256 = (...parts: readonly Uint8Array[]): Bytes =>
  new Uint8Array(hash('sha256', parts.length === 1 ? (parts[0] as Uint8Array) : concat(parts), 'buffer'))

const lengthOf = (bytes: Uint8Array): Uint8Array => Uint8Array.of(bytes.length >> 16, bytes.length >> 8, bytes.length)

/** A key under the eyes of the run. */
class WatchedKey implements AeadKey {
  readonly #name: string
  readonly #key: Uint8Array
  readonly #real: Awaitable<AeadKey> | undefined

  constructor(key: Uint8Array) {
    this.#key = key.slice()
    this.#name = toHex(key)
    this.#real = isReal ? real.importKey(key) : undefined
  }

  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Awaitable<Bytes> {
    checkNonce(nonce)
    this.#note(nonce, aad, plaintext)
    if (this.#real !== undefined) return (this.#real as AeadKey).seal(nonce, aad, plaintext)
    return concat([plaintext, this.#tag(nonce, aad, plaintext)])
  }

  open(nonce: Uint8Array, aad: Uint8Array, bytes: Uint8Array): Awaitable<Bytes> {
    if (this.#real !== undefined) return (this.#real as AeadKey).open(nonce, aad, bytes)
    checkNonce(nonce)
    const end = bytes.length - TAG_BYTES
    if (end < 0) throw undecryptable()
    const plaintext = bytes.slice(0, end) as Bytes
    if (!equal(this.#tag(nonce, aad, plaintext), bytes.subarray(end))) throw undecryptable()
    return plaintext
  }

  #tag(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    return sha256(this.#key, nonce, lengthOf(aad), aad, plaintext).subarray(0, TAG_BYTES)
  }

  #note(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): void {
    seals++
    const at = `${this.#name} ${toHex(nonce)}`
    const what = toHex(sha256(lengthOf(aad), aad, plaintext))
    const before = sealed.get(at)
    if (before === undefined) sealed.set(at, what)
    else if (before !== what) reused.push(at)
  }
}

/** What takes the place of a public key: whoever has the private one can tell it. */
const publicOf = (privateKey: Uint8Array): Bytes => sha256(Uint8Array.of(1), privateKey)

const quick: Omit<Primitives, 'importKey'> = {
  sha256: data => sha256(data),
  hmacSha256: (key, data) => sha256(Uint8Array.of(2), lengthOf(key), key, data),
  x25519PublicKey: privateKey => {
    const publicKey = publicOf(privateKey)
    // A number below the prime: what is checked of real keys holds of these.
    publicKey[31] = (publicKey[31] as number) & 0x3f
    return publicKey
  },
  x25519: (privateKey, publicKey) => {
    const own = quick.x25519PublicKey(privateKey) as Bytes
    const [low, high] = compare(own, publicKey) < 0 ? [own, publicKey] : [publicKey, own]
    return sha256(Uint8Array.of(3), low, high)
  },
  scrypt: (...args) => real.scrypt(...args),
}

/** See the head of this file. */
export const primitives: Primitives = {
  importKey: key => new WatchedKey(key),
  sha256: data => (isReal ? real : quick).sha256(data),
  hmacSha256: (key, data) => (isReal ? real : quick).hmacSha256(key, data),
  x25519PublicKey: privateKey => (isReal ? real : quick).x25519PublicKey(privateKey),
  x25519: (privateKey, publicKey) => (isReal ? real : quick).x25519(privateKey, publicKey),
  scrypt: (...args) => real.scrypt(...args),
}
