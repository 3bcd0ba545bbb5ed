/** Holds values against the rules of {@link parseCddl}. */

import { BOUNDS } from '../../src/message/bounds.ts'
import { Tagged, tryDecode } from '../../src/message/codec.ts'
import type { Entry, Group, Rules, Type } from './cddl-parser.ts'

/** Values as `decode` makes them, and whether they are what a rule says; which rules held is noted. */
export class Cddl {
  readonly #rules: Rules
  /** The rules that something was found to be. */
  readonly held = new Set<string>()

  constructor(rules: Rules) {
    this.#rules = rules
  }

  is(name: string, value: unknown): boolean {
    const rule = this.#rules.get(name)
    if (rule === undefined) return isPrelude(name, value)
    const holds = this.#matches(rule, value)
    if (holds) this.held.add(name)
    return holds
  }

  #matches(type: Type, value: unknown): boolean {
    switch (type.is) {
      case 'value':
        return value === type.value
      case 'range':
        return isWhole(value) && value >= type.from && value <= type.to
      case 'name':
        return this.is(type.name, value)
      case 'choice':
        return type.types.some(each => this.#matches(each, value))
      case 'array':
        return Array.isArray(value) && this.#ends(type.group, value, [0]).includes(value.length)
      case 'tag':
        return value instanceof Tagged && value.tag === type.tag && this.#matches(type.content, value.value)
      case 'size':
        return this.#matches(type.target, value) && this.#matches(type.control, sizeOf(value))
      case 'cbor': {
        if (!this.#matches(type.target, value) || !(value instanceof Uint8Array)) return false
        const inner = tryDecode(value, BOUNDS.own)
        return inner !== undefined && this.#matches(type.control, inner)
      }
    }
  }

  /** Where a group can end in an array, begun at any of these places. */
  #ends(group: Group, items: readonly unknown[], starts: readonly number[]): readonly number[] {
    return group.reduce((places, entry) => this.#afterEntry(entry, items, places), starts)
  }

  #afterEntry({ least, most, of }: Entry, items: readonly unknown[], starts: readonly number[]): readonly number[] {
    const ends = new Set(least === 0 ? starts : [])
    let places = starts
    for (let times = 1; times <= most && places.length > 0; times++) {
      places =
        'group' in of
          ? this.#ends(of.group, items, places)
          : places.filter(at => at < items.length && this.#matches(of.item, items[at])).map(at => at + 1)
      if (times >= least) for (const at of places) ends.add(at)
    }
    return [...ends]
  }
}

const isWhole = (value: unknown): value is number | bigint => typeof value === 'bigint' || Number.isInteger(value)

/** Of bytes and text, in bytes. */
function sizeOf(value: unknown): number | undefined {
  if (typeof value === 'string') return Buffer.byteLength(value)
  return value instanceof Uint8Array ? value.length : undefined
}

function isPrelude(name: string, value: unknown): boolean {
  switch (name) {
    case 'any':
      return true
    case 'bool':
      return typeof value === 'boolean'
    case 'bstr':
    case 'bytes':
      return value instanceof Uint8Array
    case 'float':
      return typeof value === 'number' && !Number.isInteger(value)
    case 'int':
      return isWhole(value)
    case 'uint':
      return isWhole(value) && value >= 0
    case 'tstr':
    case 'text':
      return typeof value === 'string'
    case 'true':
      return value === true
    case 'false':
      return value === false
    case 'null':
      return value === null
    default:
      throw new Error(`there is no rule ${name}`)
  }
}
