/** Content: what an application may send, and how each kind travels so that it arrives as what it was. */

import { utf8 } from '../common/bytes.ts'
import { AfpMessageError } from '../common/errors.ts'
import { TAG_JSON, Tagged } from './codec.ts'
import { checkJson, className, parseJson } from './json-value.ts'
import type { Content, Json } from './message.ts'

/** The content type when the sender names none: `text/plain`, `application/octet-stream` or `application/json`. */
export function defaultContentType(content: Content): string {
  if (typeof content === 'string') return 'text/plain'
  return content instanceof Uint8Array ? 'application/octet-stream' : 'application/json'
}

/**
 * What the application handed in, as content: array buffers and their views become bytes (a view, not a copy), anything
 * else has to be text or JSON, which is copied.
 * @param maxBytes - largest content, bytes
 * @throws AfpMessageError INVALID_CONTENT for what would not arrive as it was, or throws when it is read, which is its
 * cause then; MESSAGE_TOO_LARGE
 */
export const toContent = (value: unknown, maxBytes: number): Content =>
  reading('content', 'INVALID_CONTENT', () => readContent(value, maxBytes))

/** The application's own code may be behind a value, in getters and proxies: what it throws becomes the cause. */
export function reading<T>(what: string, code: 'INVALID_CONTENT' | 'INVALID_METADATA', read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof AfpMessageError) throw cause
    throw new AfpMessageError(code, `${what} throws when it is read`, { cause })
  }
}

/**
 * JSON that was checked, as plain data of its own: what its owner changes later changes no message, and neither getters
 * nor a hidden `toJSON` have another word.
 */
export function copyJson(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return Array.from(value, item => copyJson(item))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyJson(item)]))
}

function readContent(value: unknown, maxBytes: number): Content {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new AfpMessageError('INVALID_CONTENT', 'the text has an unpaired surrogate')
    return value
  }
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  if (typeof value === 'object' && value !== null) {
    const name = className(value)
    if (['Blob', 'File', 'ReadableStream'].includes(name))
      throw new AfpMessageError('INVALID_CONTENT', `a ${name} cannot be sent: pass await new Response(it).bytes()`)
  }
  checkJson(value, 'content', 'INVALID_CONTENT', maxBytes)
  return copyJson(value as Json)
}

/** Content as a value for the codec: text as text, bytes as bytes, JSON as tag 262 over its UTF-8. */
export function contentToWire(content: Content): unknown {
  return typeof content === 'string' || content instanceof Uint8Array ? content : jsonToWire(content)
}

/** JSON as a value for the codec. */
export const jsonToWire = (value: Json): Tagged => new Tagged(TAG_JSON, utf8(JSON.stringify(value)))

/** @throws AfpMessageError MALFORMED */
export function contentFromWire(wire: unknown, maxBytes: number): Content {
  return typeof wire === 'string' || wire instanceof Uint8Array ? wire : jsonFromWire(wire, maxBytes)
}

/** @throws AfpMessageError MALFORMED, with `details.reason` `too-large` beyond `maxBytes` */
export function jsonFromWire(wire: unknown, maxBytes: number): Json {
  const bytes: unknown = wire instanceof Tagged ? wire.value : undefined
  if (!(bytes instanceof Uint8Array)) {
    throw new AfpMessageError('MALFORMED', 'expected embedded JSON', { details: { reason: 'malformed' } })
  }
  if (bytes.length > maxBytes) {
    throw new AfpMessageError('MALFORMED', `more than ${maxBytes} bytes of JSON`, { details: { reason: 'too-large' } })
  }
  return parseJson(bytes)
}
