/** MIME types: grammar of RFC 6838 §4.2 and RFC 2045 §5.1, read from left to right. */

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

// What may repeat in these shares no character with what may follow it: there is nothing to backtrack into.
const TOKEN = "[!#$%&'*+.^_`{|}~0-9a-z-]+"
const ESSENCE = /[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/iy
const PARAMETER = new RegExp(`[ \\t]*;[ \\t]*(${TOKEN})=(${TOKEN}|"(?:[\\t !#-[\\]-~]|\\\\[\\t -~])*")`, 'iy')
const QUOTED_TOKEN = new RegExp(`^"(${TOKEN})"$`, 'i')

/** Takes a MIME type apart; undefined when it is none. */
export function parseMediaType(text: string): MediaType | undefined {
  if (text.length > MAX_LENGTH) return undefined
  let at = 0
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    at = pattern.lastIndex
    return found
  }
  const essence = next(ESSENCE)?.[0].toLowerCase()
  if (essence === undefined) return undefined
  let canonical = essence
  while (at < text.length) {
    const [, name = '', value = ''] = next(PARAMETER) ?? []
    if (name === '') return undefined
    // A value has no quotes where it does not need them.
    const plain = QUOTED_TOKEN.exec(value.replace(/\\(.)/g, '$1'))?.[1]
    canonical += `;${name.toLowerCase()}=${plain ?? value}`
  }
  return { essence, canonical }
}

/** @throws AfpMessageError INVALID_CONTENT_TYPE unless it is a MIME type of at most 255 characters */
export function validateContentType(value: unknown): string {
  if (typeof value === 'string' && parseMediaType(value) !== undefined) return value
  throw new AfpMessageError('INVALID_CONTENT_TYPE', 'the content type has to be a MIME type, such as text/plain')
}
