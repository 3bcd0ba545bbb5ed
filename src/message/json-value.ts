/** JSON (RFC 8259) as it leaves and as it arrives: nothing changes in silence, nothing hostile is built. */

import { fromUtf8 } from '../common/bytes.ts'
import { AfpMessageError } from '../common/errors.ts'
import type { Json } from './message.ts'

/** How deep arrays and objects may nest, both ways. */
const MAX_DEPTH = 64

/** Code of a refusal. */
type Code = 'INVALID_CONTENT' | 'INVALID_METADATA'

/**
 * Holds a value to what JSON gives back as it was: no `undefined`, functions, symbols, bigints, NaN or infinities, no
 * cycles, no instances of classes (dates, maps), no key `__proto__`, no unpaired surrogates, no deeper than 64.
 * @param budget - the most values it may consist of; each costs a byte at least
 * @returns how many keys its objects have together
 * @throws AfpMessageError with `code` and the path of what is wrong; MESSAGE_TOO_LARGE beyond the budget
 */
export function checkJson(root: unknown, what: string, code: Code, budget: number): number {
  const path: (string | number)[] = []
  const parents: object[] = []
  let left = budget
  let keys = 0
  const refuse = (why: string): never => {
    const where = path.map(part => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('')
    throw new AfpMessageError(code, `${what}${where.slice(0, 200)} ${why}`)
  }
  const visit = (value: unknown): void => {
    if (--left < 0) throw new AfpMessageError('MESSAGE_TOO_LARGE', `${what} has more than ${budget} values`)
    if (value === null || typeof value === 'boolean') return
    if (typeof value === 'string') {
      if (!value.isWellFormed()) refuse('has an unpaired surrogate')
      return
    }
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) refuse(`is ${value}, not JSON`)
      return
    }
    if (typeof value !== 'object') throw refuse(`is ${article(typeof value)}, not JSON`)
    if (parents.includes(value)) refuse('contains itself')
    if (parents.length >= MAX_DEPTH) refuse(`is nested deeper than ${MAX_DEPTH}`)
    parents.push(value)
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) {
        path.push(i)
        visit(value[i])
        path.pop()
      }
    } else {
      if (!isPlain(value)) refuse(`is an instance of ${className(value)}, not plain data`)
      if (Object.getOwnPropertySymbols(value).length > 0) refuse('has a symbol as a key')
      for (const key of Object.keys(value)) {
        path.push(key)
        if (key === '__proto__' || !key.isWellFormed()) refuse('is a key that is refused')
        keys++
        visit((value as Record<string, unknown>)[key])
        path.pop()
      }
    }
    parents.pop()
  }
  visit(root)
  return keys
}

const article = (type: string): string => (type === 'undefined' ? type : `a ${type}`)

/** The name of a value's class, for people. */
export function className(value: object): string {
  const name: unknown = Object.getPrototypeOf(value)?.constructor?.name
  return typeof name === 'string' && name !== '' ? name : 'a class'
}

/** Whether an object is a plain one, of this or another realm. */
export function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty'))
}

/**
 * The value of JSON text that a stranger may have sent, held to the same rules as one that is sent. It is refused before
 * it is parsed when it nests deeper than 64, and when an object has a key twice: readers differ on which of the two counts.
 * @throws AfpMessageError MALFORMED with `details.reason` `malformed` or `too-deep`
 */
export function parseJson(source: Uint8Array | string): Json {
  let text: string
  try {
    text = typeof source === 'string' ? source : fromUtf8(source)
  } catch (cause) {
    throw malformed('is not UTF-8', 'malformed', cause)
  }
  const written = countKeys(text)
  let value: Json
  let kept: number
  try {
    value = JSON.parse(text)
    kept = checkJson(value, 'it', 'INVALID_CONTENT', text.length)
  } catch (cause) {
    throw malformed(
      cause instanceof AfpMessageError ? `is refused: ${cause.message}` : 'cannot be parsed',
      'malformed',
      cause,
    )
  }
  // Of two equal keys the parser keeps one, so fewer are left than the text has.
  if (kept !== written) throw malformed('has a key twice in one object', 'malformed')
  return value
}

function malformed(why: string, reason: string, cause?: unknown): AfpMessageError {
  return new AfpMessageError('MALFORMED', `the JSON ${why}`, { cause, details: { reason } })
}

/** How many keys the text writes: in valid JSON each has the only colon outside of strings. */
function countKeys(text: string): number {
  let keys = 0
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (inString) {
      if (code === 0x5c) i++
      else if (code === 0x22) inString = false
    } else if (code === 0x22) inString = true
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > MAX_DEPTH) throw malformed(`is nested deeper than ${MAX_DEPTH}`, 'too-deep')
    } else if (code === 0x5d || code === 0x7d) depth--
    else if (code === 0x3a) keys++
  }
  return keys
}

/** Whether two JSON values are the same; keys in any order, own ones only. */
export function jsonEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every(key => Object.hasOwn(b, key) && jsonEqual((a as Json[])[key as never], (b as Json[])[key as never]))
  )
}
