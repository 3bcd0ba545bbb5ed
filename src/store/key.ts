/**
 * Keys as bytes, for stores that have no keys of several parts: comparing the bytes one by one compares the keys.
 *
 * A part is a tag and its payload. A number is its IEEE 754 double, big-endian, with the sign bit flipped (and, below
 * zero, every bit), so that the bytes order as the numbers do. Strings and byte arrays end with 0x00; a 0x00 inside is
 * followed by 0xff, which is above every tag, so a longer part still comes after the part it begins with. A string is
 * CESU-8 (Unicode Technical Report 26): the UTF-8 of each UTF-16 code unit, which orders as JavaScript orders strings.
 */

import { compare, concat, equal } from '../common/bytes.ts'
import { AfpDataStoreError } from '../common/errors.ts'
import { checkedKey } from './batch.ts'
import { type Key, type KeyPart, type KeyRange, MAX_KEY_BYTES } from './store.ts'

const NUMBER = 0x01
const STRING = 0x02
const BYTES = 0x03
/** Above every tag, below the escape: with it a prefix ends, and no key comes after it on its own. */
const AFTER_TAGS = 0x04
const ESCAPE = 0xff

/** A half-open interval of encoded keys: `from <= key < to`. It holds nothing when `to` is not above `from`. */
export interface ByteRange {
  readonly from: Uint8Array<ArrayBuffer>
  readonly to: Uint8Array<ArrayBuffer>
}

/** The bytes of a key. Throws as {@link checkedKey} does. */
export const encodeKey = (key: Key): Uint8Array<ArrayBuffer> => withKey(key, copyOf)

const copyOf = (bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> => bytes.slice(0, length)

/** Where keys are encoded: no part that is begun below the limit ends beyond it, at three bytes a character. */
const place = new Uint8Array(4 * MAX_KEY_BYTES + 16)

/** What `read` makes of the bytes of a key, the first `length` of an array that is used again. Throws as {@link checkedKey} does. */
export function withKey<T>(key: Key, read: (bytes: Uint8Array<ArrayBuffer>, length: number) => T): T {
  const length = encodeSound(key)
  // Encoded a key is never shorter than it counts.
  if (length <= MAX_KEY_BYTES) return read(place, length)
  const parts = checkedKey(key)
  const out = new Uint8Array(parts.reduce<number>((sum, part) => sum + lengthOf(part), 0))
  let at = 0
  for (const part of parts) at = encodePart(part, out, at)
  return read(out, at)
}

/** Encodes a key in one pass to {@link place}; returns its length, or infinity for one that has to be looked at. */
function encodeSound(key: Key): number {
  if (!Array.isArray(key)) return Number.POSITIVE_INFINITY
  let at = 0
  for (let i = 0; i < key.length; i++) {
    const part: unknown = key[i]
    const sound =
      typeof part === 'number'
        ? !Number.isNaN(part)
        : typeof part === 'string'
          ? part.length <= MAX_KEY_BYTES && part.isWellFormed()
          : // Without bytes: perhaps without a buffer.
            part instanceof Uint8Array && part.length > 0 && part.length <= MAX_KEY_BYTES
    if (!sound) return Number.POSITIVE_INFINITY
    at = encodePart(part as KeyPart, place, at)
    if (at > MAX_KEY_BYTES) return Number.POSITIVE_INFINITY
  }
  return at
}

/**
 * The key that bytes stand for.
 * @throws AfpDataStoreError STORE_FAILED when they are not an encoded key: the store was damaged or is not one of ours
 */
export function decodeKey(bytes: Uint8Array): Key {
  const parts: KeyPart[] = []
  let at = 0
  while (at < bytes.length) {
    const tag = bytes[at++]
    if (tag === NUMBER) {
      if (at + 8 > bytes.length) throw damaged()
      parts.push(decodeNumber(bytes.subarray(at, at + 8)))
      at += 8
    } else if (tag === STRING || tag === BYTES) {
      const start = at - 1
      const content: number[] = []
      for (;;) {
        const byte = bytes[at++]
        if (byte === undefined) throw damaged()
        if (byte !== 0) content.push(byte)
        else if (bytes[at] === ESCAPE) {
          content.push(0)
          at++
        } else break
      }
      const raw = Uint8Array.from(content)
      parts.push(tag === BYTES ? raw : decodeText(raw, bytes.subarray(start, at)))
    } else throw damaged()
  }
  return parts
}

/** The encoded interval of a range; bounds and prefix narrow each other. Throws as {@link encodeKey} does. */
export function encodeRange(range: KeyRange = {}): ByteRange {
  let from: Uint8Array<ArrayBuffer> = new Uint8Array(0)
  let to: Uint8Array<ArrayBuffer> = Uint8Array.of(ESCAPE)
  const above = (bound: Uint8Array<ArrayBuffer>): void => {
    if (compare(bound, from) > 0) from = bound
  }
  const below = (bound: Uint8Array<ArrayBuffer>): void => {
    if (compare(bound, to) < 0) to = bound
  }
  if (range.prefix !== undefined) {
    const prefix = encodeKey(range.prefix)
    above(prefix)
    below(concat([prefix, Uint8Array.of(AFTER_TAGS)]))
  }
  if (range.gte !== undefined) above(encodeKey(range.gte))
  if (range.gt !== undefined) above(successor(range.gt))
  if (range.lt !== undefined) below(encodeKey(range.lt))
  if (range.lte !== undefined) below(successor(range.lte))
  return { from, to }
}

/** The least bytes above those of `key`. */
const successor = (key: Key): Uint8Array<ArrayBuffer> => concat([encodeKey(key), Uint8Array.of(0)])

/** How many bytes a part is encoded to. */
function lengthOf(part: KeyPart): number {
  if (typeof part === 'number') return 9
  if (typeof part === 'string') return textLength(part) + 2
  let zeros = 0
  for (const byte of part) if (byte === 0) zeros++
  return part.length + zeros + 2
}

/** Encodes a part at a place; returns where the next one begins. */
function encodePart(part: KeyPart, out: Uint8Array, at: number): number {
  if (typeof part === 'number') return encodeNumber(part, out, at)
  out[at++] = typeof part === 'string' ? STRING : BYTES
  if (typeof part === 'string') at = encodeText(part, out, at)
  else {
    for (const byte of part) {
      out[at++] = byte
      if (byte === 0) out[at++] = ESCAPE
    }
  }
  out[at++] = 0
  return at
}

/** Where a number becomes bytes. */
const double = new DataView(new ArrayBuffer(8))
const doubleBytes = new Uint8Array(double.buffer)

function encodeNumber(value: number, out: Uint8Array, at: number): number {
  // 0 for -0.
  double.setFloat64(0, value + 0)
  flip(doubleBytes, value < 0)
  out[at++] = NUMBER
  for (let i = 0; i < 8; i++) out[at++] = doubleBytes[i] as number
  return at
}

function decodeNumber(bytes: Uint8Array): number {
  const copy = new Uint8Array(bytes)
  flip(copy, (bytes[0] as number) < 0x80)
  const value = new DataView(copy.buffer).getFloat64(0)
  if (Number.isNaN(value)) throw damaged()
  return value
}

function flip(bytes: Uint8Array, negative: boolean): void {
  if (negative) for (let i = 0; i < bytes.length; i++) bytes[i] = ~(bytes[i] as number)
  else bytes[0] = (bytes[0] as number) ^ 0x80
}

/** How many bytes a text is encoded to, escapes included. */
function textLength(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit === 0) length++
    else if (unit >= 0x80) length += unit < 0x800 ? 1 : 2
  }
  return length
}

/** Encodes a text with its escapes. */
function encodeText(text: string, out: Uint8Array, start: number): number {
  let at = start
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) {
      out[at++] = unit
      if (unit === 0) out[at++] = ESCAPE
    } else if (unit < 0x800) {
      out[at++] = 0xc0 | (unit >> 6)
      out[at++] = 0x80 | (unit & 0x3f)
    } else {
      out[at++] = 0xe0 | (unit >> 12)
      out[at++] = 0x80 | ((unit >> 6) & 0x3f)
      out[at++] = 0x80 | (unit & 0x3f)
    }
  }
  return at
}

function decodeText(bytes: Uint8Array, encoded: Uint8Array): string {
  let text = ''
  let at = 0
  while (at < bytes.length) {
    const first = bytes[at++] as number
    const more = first < 0x80 ? 0 : first < 0xe0 ? 1 : 2
    let unit = first & (0xff >> (more === 0 ? 0 : more + 2))
    for (let i = 0; i < more; i++) unit = (unit << 6) | ((bytes[at++] ?? 0) & 0x3f)
    text += String.fromCharCode(unit)
  }
  // What is not as it would be encoded (a byte that is none, a longer form, half a pair) was not written by us.
  const again = new Uint8Array(lengthOf(text))
  encodePart(text, again, 0)
  if (!text.isWellFormed() || !equal(again, encoded)) throw damaged()
  return text
}

const damaged = (): AfpDataStoreError => new AfpDataStoreError('STORE_FAILED', 'the store holds a key that is not one')
