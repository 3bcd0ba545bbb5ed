/**
 * Deterministic CBOR (RFC 8949 §4.2.1): one value, one encoding. The profile: definite lengths, shortest forms, map keys
 * sorted by their bytes and unique, keys that are integers, strings or byte strings, integers never as floats, no NaN,
 * no infinities, no `undefined`, and the only tag is 262 (embedded JSON).
 */

import { decode as cborDecode, encode as cborEncode, rfc8949EncodeOptions, Tagged } from 'cborg'
import { compare, fromUtf8 } from '../common/bytes.ts'
import { AfpMessageError } from '../common/errors.ts'

export { Tagged }

/** CBOR tag of a byte string that holds JSON text (IANA registry). */
export const TAG_JSON = 262

/** Bounds of {@link decode}. */
export interface DecodeLimits {
  /** Longest document, bytes; default 1 MiB. */
  readonly bytes?: number
  /** How deep arrays, maps and tags may nest; default 32. */
  readonly depth?: number
  /** Most items: arrays, maps, tags, keys and values count one each; default 256. For what may have more see `bounds.ts`. */
  readonly items?: number
}

const MAX_BYTES = 2 ** 20
const MAX_DEPTH = 32
const MAX_ITEMS = 256

/** Why bytes were refused; in the error's `details.reason`. */
type Fault = 'malformed' | 'too-deep' | 'too-large'

function fault(reason: Fault, why: string, cause?: unknown): AfpMessageError {
  return new AfpMessageError('MALFORMED', `not deterministic CBOR: ${why}`, { cause, details: { reason } })
}

const malformed = (why: string, cause?: unknown): AfpMessageError => fault('malformed', why, cause)

function unencodable(why: string, cause?: unknown): AfpMessageError {
  return new AfpMessageError('INVALID_CONTENT', `cannot be encoded as CBOR: ${why}`, { cause })
}

const encodeOptions = {
  ...rfc8949EncodeOptions,
  typeEncoders: {
    undefined: () => {
      throw unencodable('undefined')
    },
    number: (value: number) => {
      if (!Number.isFinite(value)) throw unencodable(`${value}`)
      return null
    },
    // The encoder would turn half of a surrogate pair into U+FFFD: another string than was given.
    string: (value: string) => {
      if (!value.isWellFormed()) throw unencodable('an unpaired surrogate')
      return null
    },
  },
}

/** What is strict about decoding is in {@link check}, which comes first. */
const decodeOptions = { useMaps: true, tags: { [TAG_JSON]: Tagged.decoder(TAG_JSON) } }

/**
 * The bytes of a value: null, booleans, numbers, bigints, strings, byte arrays, arrays, maps and objects of these.
 * @throws AfpMessageError INVALID_CONTENT for anything else
 */
export function encode(value: unknown): Uint8Array<ArrayBuffer> {
  try {
    const bytes = cborEncode(value, encodeOptions)
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  } catch (cause) {
    if (cause instanceof AfpMessageError) throw cause
    throw unencodable(cause instanceof Error ? cause.message : 'unknown', cause)
  }
}

/**
 * The value of bytes that a stranger may have sent. Maps become `Map`, integers beyond 2^53 `bigint`, embedded JSON a
 * {@link Tagged}. The whole document is checked, and its items are counted, before any of it is built: what a few bytes each
 * make would cost many times what it takes to send them.
 * @throws AfpMessageError MALFORMED, with `details.reason` `malformed` (which too many items are), `too-deep` or
 *   `too-large`
 */
export function decode(bytes: Uint8Array, limits: DecodeLimits = {}): unknown {
  if (bytes.length > (limits.bytes ?? MAX_BYTES)) throw fault('too-large', `${bytes.length} bytes`)
  check(bytes, limits)
  try {
    return cborDecode(bytes, decodeOptions)
  } catch (cause) {
    throw malformed('unreadable', cause)
  }
}

/** As {@link decode}, but undefined for bytes that it refuses. */
export function tryDecode(bytes: Uint8Array, limits?: DecodeLimits): unknown {
  try {
    return decode(bytes, limits)
  } catch {
    return undefined
  }
}

/**
 * The byte strings of an array, as views; undefined where it is no array of nothing else.
 * @throws AfpMessageError MALFORMED as {@link decode}
 */
export function decodeByteStrings(bytes: Uint8Array, limits: DecodeLimits): Uint8Array[] | undefined {
  check(bytes, limits)
  const strings: Uint8Array[] = []
  let at = 0
  const head = (major: number): number | undefined => {
    const initial = bytes[at++] as number
    if (initial >> 5 !== major) return undefined
    const info = initial & 31
    let argument = info < 24 ? info : 0
    if (info > 23)
      for (const end = at + 2 ** (info - 24); at < end; at++) argument = argument * 256 + (bytes[at] as number)
    return argument
  }
  const count = head(4) ?? -1
  while (strings.length < count) {
    const length = head(2)
    if (length === undefined) return undefined
    strings.push(bytes.subarray(at, at + length))
    at += length
  }
  return count < 0 ? undefined : strings
}

/** The smallest arguments that need 1, 2, 4 and 8 bytes (RFC 8949 §4.2.1: shortest form). */
const SMALLEST = [24, 2 ** 8, 2 ** 16, 2 ** 32]

/** Bytes before the content of a value: of an integer all there are, of the others with their length or count. */
export const headLength = (argument: number): number =>
  argument < 24 ? 1 : argument < 2 ** 8 ? 2 : argument < 2 ** 16 ? 3 : argument < 2 ** 32 ? 5 : 9

/** An array, map or tag whose items are not all read. */
interface Open {
  /** Items to come; a map's keys and values count one each. */
  left: number
  map: boolean
  /** The map's key before this one, encoded. */
  key?: Uint8Array
}

/** Walks the headers without recursion and without building anything, no further than the items that there may be. */
function check(bytes: Uint8Array, { depth = MAX_DEPTH, items = MAX_ITEMS }: DecodeLimits): void {
  const open: Open[] = [{ left: 1, map: false }]
  /** Items that are here or to come; an array's are known by its header. */
  let count = 1
  let at = 0
  for (let top = open[0]; top !== undefined; top = open.at(-1)) {
    if (top.left === 0) {
      open.pop()
      continue
    }
    const isKey = top.map && top.left % 2 === 0
    top.left--
    const start = at
    const initial = bytes[at++]
    if (initial === undefined) throw malformed('it ends early')
    const major = initial >> 5
    const info = initial & 31
    if (info > 27) throw malformed('indefinite length')
    let argument = info
    if (info > 23) {
      const end = at + 2 ** (info - 24)
      if (end > bytes.length) throw malformed('it ends early')
      for (argument = 0; at < end; at++) argument = argument * 256 + (bytes[at] as number)
      if (major < 7 && argument < (SMALLEST[info - 24] as number)) throw malformed('not the shortest form')
    }
    if (isKey && major > 3) throw malformed('a key of another type')
    if (major === 2 || major === 3) {
      if (argument > bytes.length - at) throw malformed('it ends early')
      at += argument
      if (major === 3) checkText(bytes.subarray(at - argument, at))
    } else if (major === 7) {
      if (info > 24) checkFloat(floatAt(bytes, start), info)
      else if (info < 20 || info > 22) throw malformed('another simple value')
    } else if (major > 3) {
      if (major === 6 && argument !== TAG_JSON) throw malformed(`tag ${argument}`)
      if (open.length > depth) throw fault('too-deep', `nested deeper than ${depth}`)
      const left = major === 4 ? argument : major === 5 ? argument * 2 : 1
      if (left > bytes.length - at) throw malformed('it ends early')
      count += left
      if (count > items) throw malformed('more items than there may be')
      if (left > 0) open.push({ left, map: major === 5 })
    }
    if (isKey) {
      const key = bytes.subarray(start, at)
      if (top.key !== undefined && compare(top.key, key) >= 0) throw malformed('map keys repeated or unsorted')
      top.key = key
    }
  }
  if (at !== bytes.length) throw malformed('it goes on')
}

function checkText(text: Uint8Array): void {
  for (const byte of text) {
    if (byte < 0x80) continue
    try {
      fromUtf8(text)
    } catch (cause) {
      throw malformed('text that is not UTF-8', cause)
    }
    return
  }
}

function checkFloat(value: number, info: number): void {
  if (!Number.isFinite(value)) throw malformed('NaN or an infinity')
  const least = isHalf(value) ? 25 : Math.fround(value) === value ? 26 : 27
  if (info !== least || Number.isSafeInteger(value)) throw malformed('not the shortest form')
}

/** Whether a single is encoded as a half: no more than 11 significant bits; below 2^-14 the encoder has one alone. */
function isHalf(single: number): boolean {
  const size = Math.abs(single)
  const exponent = Math.floor(Math.log2(size))
  const bits = exponent < -14 ? 0 : 10
  return size <= 65_504 && exponent >= -24 && Number.isInteger(size * 2 ** (bits - exponent))
}

/** The float whose header is at `at`. */
function floatAt(bytes: Uint8Array, at: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at + 1)
  const info = (bytes[at] as number) & 31
  if (info > 25) return info === 26 ? view.getFloat32(0) : view.getFloat64(0)
  // Not every engine reads halves (IEEE 754, binary16).
  const half = view.getUint16(0)
  const exponent = (half >> 10) & 31
  const fraction = half & 1023
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25)
  if (exponent === 31) return Number.NaN
  return half >> 15 ? -size : size
}
