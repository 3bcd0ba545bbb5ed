/** MIME types: grammar of RFC 6838 §4.2 and RFC 2045 §5.1, read in one pass. */

import { AfpMessageError } from '../common/errors.ts'

/** A MIME type, taken apart. */
export interface MediaType {
  /** `type/subtype`, lower-case. */
  readonly essence: string
  /** The type with its parameters in one spelling: `text/plain;charset=utf-8`. Parameter values keep their case. */
  readonly canonical: string
}

/** Longest MIME type, characters. */
const MAX_LENGTH = 255

// Each of these is one run of one class of characters: there is nothing to backtrack into.
const NAME = /[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/iy
const TOKEN = /[!#$%&'*+.^_`{|}~0-9a-z-]+/iy
const SPACE = /[ \t]*/y

/** Takes a MIME type apart; undefined when it is none. */
export function parseMediaType(text: string): MediaType | undefined {
  if (text.length > MAX_LENGTH) return undefined
  let at = 0
  const run = (pattern: RegExp): string => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0] ?? ''
    at += found.length
    return found
  }
  const type = run(NAME)
  if (type === '' || text[at++] !== '/') return undefined
  const subtype = run(NAME)
  if (subtype === '') return undefined
  const essence = `${type}/${subtype}`.toLowerCase()
  let canonical = essence
  while (at < text.length) {
    run(SPACE)
    if (text[at++] !== ';') return undefined
    run(SPACE)
    const name = run(TOKEN).toLowerCase()
    if (name === '' || text[at++] !== '=') return undefined
    const value = text[at] === '"' ? quoted() : run(TOKEN)
    if (value === '') return undefined
    canonical += `;${name}=${value}`
  }
  return { essence, canonical }

  /** A quoted string, without its quotes where it does not need them; empty when it is not closed. */
  function quoted(): string {
    const start = at++
    let value = ''
    for (; at < text.length; at++) {
      const char = text[at] as string
      if (char === '"') {
        at++
        TOKEN.lastIndex = 0
        return TOKEN.exec(value)?.[0] === value ? value : text.slice(start, at)
      }
      if (char === '\\') at++
      const code = text.charCodeAt(at)
      // Printable ASCII and tab; a NaN is a backslash at the end.
      if (!((code >= 32 && code < 127) || code === 9)) return ''
      value += text[at]
    }
    return ''
  }
}

/** @throws AfpMessageError INVALID_CONTENT_TYPE unless it is a MIME type of at most 255 characters */
export function validateContentType(value: unknown): string {
  if (typeof value === 'string' && parseMediaType(value) !== undefined) return value
  throw new AfpMessageError('INVALID_CONTENT_TYPE', 'the content type has to be a MIME type, such as text/plain')
}
