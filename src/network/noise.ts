/**
 * Noise in Node, with ChaCha20-Poly1305 by OpenSSL for messages of any length, and each key made ready once. @libp2p/noise
 * 17 gives OpenSSL the bytes of the key with every message, and Node 24 takes three times as long for that.
 */

import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { noise as libp2pNoise } from '@libp2p/noise'

const CIPHER = 'chacha20-poly1305'
const TAG_BYTES = 16

/** What libp2p hands over: bytes in one piece or in several. */
export interface Pieces extends Iterable<Uint8Array | number> {
  readonly byteLength: number
}
export type Cipher = (data: Pieces, nonce: Uint8Array, associated: Uint8Array, key: Uint8Array) => Uint8Array

const piecesOf = (data: Pieces): Iterable<Uint8Array> =>
  (data instanceof Uint8Array ? [data] : data) as Iterable<Uint8Array>

/** A connection has one for each direction, as long as it lasts. */
const ready = new WeakMap<Uint8Array, KeyObject>()

function keyOf(bytes: Uint8Array): KeyObject {
  const known = ready.get(bytes)
  if (known !== undefined) return known
  const key = createSecretKey(bytes)
  ready.set(bytes, key)
  return key
}

/** RFC 8439 §2.8. */
export const encrypt: Cipher = (plaintext, nonce, associated, key) => {
  const cipher = createCipheriv(CIPHER, keyOf(key), nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(associated, { plaintextLength: plaintext.byteLength })
  const out = new Uint8Array(plaintext.byteLength + TAG_BYTES)
  let at = 0
  for (const piece of piecesOf(plaintext)) {
    out.set(cipher.update(piece), at)
    at += piece.byteLength
  }
  cipher.final()
  out.set(cipher.getAuthTag(), at)
  return out
}

/** @throws where one bit of anything differs */
export const decrypt: Cipher = (ciphertext, nonce, associated, key) => {
  const length = ciphertext.byteLength - TAG_BYTES
  const whole = ciphertext instanceof Uint8Array ? ciphertext : (ciphertext as unknown as List).subarray()
  const decipher = createDecipheriv(CIPHER, keyOf(key), nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(associated, { plaintextLength: length })
  decipher.setAuthTag(whole.subarray(length))
  const out = decipher.update(whole.subarray(0, length))
  decipher.final()
  return new Uint8Array(out.buffer, out.byteOffset, out.byteLength)
}

/** Pieces that can be had as one. */
export interface List {
  subarray(start?: number, end?: number): Uint8Array
}

/** What libp2p's connections that Noise has secured keep to themselves: where its messages begin. */
interface Secured {
  readonly connection: { readonly decoder?: { lengthDecoder(data: Prefixed): number } }
}
export interface Prefixed extends List {
  readonly byteLength: number
}

/**
 * The length of a message (Noise Protocol Framework §13); NaN, of which there is never enough, where it is not whole. What
 * libp2p throws there, behind the last message of each chunk, takes longer than to read the message.
 */
export function lengthAt(data: Prefixed): number {
  // Lists of libp2p's throw for what lies beyond their end.
  if (data.byteLength < 2) return Number.NaN
  const prefix = data.subarray(0, 2)
  return (prefix[0] as number) * 256 + (prefix[1] as number)
}

async function sparing<T>(securing: Promise<T>): Promise<T> {
  const secured = await securing
  const { decoder } = (secured as Secured).connection
  if (decoder !== undefined) decoder.lengthDecoder = lengthAt
  return secured
}

/** Noise, for one node. */
export const noise = (): ReturnType<typeof libp2pNoise> => {
  const make = libp2pNoise()
  return components => {
    const made = make(components) as ReturnType<typeof make> & { crypto: { encrypt: Cipher; decrypt: Cipher } }
    made.crypto = { ...made.crypto, encrypt, decrypt }
    const secureOutbound = made.secureOutbound.bind(made)
    const secureInbound = made.secureInbound.bind(made)
    return Object.assign(made, {
      secureOutbound: (...of: Parameters<typeof secureOutbound>) => sparing(secureOutbound(...of)),
      secureInbound: (...of: Parameters<typeof secureInbound>) => sparing(secureInbound(...of)),
    })
  }
}
