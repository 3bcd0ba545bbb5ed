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
import { checkedKey, type KeyCodec } from './batch.ts'
import type { Key, KeyPart, KeyRange } from './store.ts'

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
export const encodeKey = (key: Key): Uint8Array<ArrayBuffer> => concat(checkedKey(key).map(encodePart))

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
      parts.push(tag === BYTES ? raw : decodeText(raw))
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

/** Keys and ranges as bytes. */
export const keyBytes: KeyCodec<Uint8Array<ArrayBuffer>, ByteRange> = { key: encodeKey, range: encodeRange }

/** The least bytes above those of `key`. */
const successor = (key: Key): Uint8Array<ArrayBuffer> => concat([encodeKey(key), Uint8Array.of(0)])

function encodePart(part: KeyPart): Uint8Array {
  if (typeof part === 'number') return encodeNumber(part)
  return typeof part === 'string' ? terminated(STRING, encodeText(part)) : terminated(BYTES, part)
}

function encodeNumber(value: number): Uint8Array {
  const bytes = new Uint8Array(9)
  bytes[0] = NUMBER
  new DataView(bytes.buffer).setFloat64(1, value)
  flip(bytes.subarray(1), value < 0)
  return bytes
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

function terminated(tag: number, content: Uint8Array): Uint8Array {
  let zeros = 0
  for (const byte of content) if (byte === 0) zeros++
  const out = new Uint8Array(content.length + zeros + 2)
  let at = 0
  out[at++] = tag
  for (const byte of content) {
    out[at++] = byte
    if (byte === 0) out[at++] = ESCAPE
  }
  return out
}

function encodeText(text: string): Uint8Array {
  const bytes: number[] = []
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) bytes.push(unit)
    else if (unit < 0x800) bytes.push(0xc0 | (unit >> 6), 0x80 | (unit & 0x3f))
    else bytes.push(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f))
  }
  return Uint8Array.from(bytes)
}

function decodeText(bytes: Uint8Array): string {
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
  if (!text.isWellFormed() || !equal(encodeText(text), bytes)) throw damaged()
  return text
}

const damaged = (): AfpDataStoreError => new AfpDataStoreError('STORE_FAILED', 'the store holds a key that is not one')
