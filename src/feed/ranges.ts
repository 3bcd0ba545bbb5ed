/**
 * Sets of positions, kept as a floor (everything from 1 up to it is in) and the ranges above it, as QUIC keeps the
 * packets it has seen (RFC 9000 §13.2.3). A feed that is mostly in order costs one number, whatever its length.
 */

import { AfpMessageError } from '../common/errors.ts'
import { headLength } from '../message/codec.ts'

/** Most ranges above the floor that a set of a stranger's may have. */
export const MAX_RANGES = 1_024

/** The highest position: it fits a double and, beside 32 other bits, a nonce. */
export const MAX_NUMBER = 2 ** 48 - 1

/** Consecutive positions, both ends included. */
export type Range = readonly [first: number, last: number]

/**
 * A set on the wire: the floor, then for each range how many positions are missing before it and how many it has. One
 * set has one form.
 */
export type RangeWire = readonly [floor: number, gapsAndLengths: readonly number[]]

/** Bytes that the ranges of a set take on the wire, without its floor. */
export function rangesBytes([, gapsAndLengths]: RangeWire): number {
  let bytes = 0
  for (const number of gapsAndLengths) bytes += headLength(number)
  return bytes
}

/** An error for what a stranger sent. */
export const malformed = (what: string): AfpMessageError =>
  new AfpMessageError('MALFORMED', `refused: ${what}`, { details: { reason: 'malformed' } })

/** Whether a value is a position of a feed, or 0: none. */
export const isNumber = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MAX_NUMBER

/** Every position of some ranges. Only for ranges that are known to be short. */
export function* numbersIn(ranges: Iterable<Range>): Generator<number> {
  for (const [first, last] of ranges) for (let number = first; number <= last; number++) yield number
}

/**
 * See the head of this file. Positions handed in are integers from 1 to {@link MAX_NUMBER}. How many ranges there are
 * is for the caller to bound.
 */
export class RangeSet implements Iterable<Range> {
  #floor = 0
  /** First and last of each range above the floor in turn, ascending, never touching each other or the floor. */
  #bounds: number[] = []

  /** A set of ranges; ascending is fastest. */
  static of(ranges: Iterable<Range>): RangeSet {
    const set = new RangeSet()
    for (const [first, last] of ranges) set.addRange(first, last)
    return set
  }

  /** A set of positions in any order. */
  static ofNumbers(numbers: Iterable<number>): RangeSet {
    return RangeSet.of([...numbers].sort((a, b) => a - b).map(number => [number, number] as const))
  }

  /** Everything from 1 up to it is in; 0: not even 1. */
  get floor(): number {
    return this.#floor
  }

  /** The highest position in it, 0 when it is empty. */
  get max(): number {
    return this.#bounds.at(-1) ?? this.#floor
  }

  /** Ranges above the floor. */
  get count(): number {
    return this.#bounds.length / 2
  }

  has(number: number): boolean {
    if (number <= this.#floor) return number > 0
    const at = this.#find(number)
    return at < this.#bounds.length && (this.#bounds[at] as number) <= number
  }

  /** Puts a position in. */
  add(number: number): void {
    const bounds = this.#bounds
    // In order, which is the usual case: one comparison and one assignment.
    if (number === this.#floor + 1 && (bounds.length === 0 || (bounds[0] as number) > number + 1)) this.#floor = number
    else if (number - 1 === bounds.at(-1)) bounds[bounds.length - 1] = number
    else this.addRange(number, number)
  }

  /** Whether a position is in, or would make a range longer: it costs no room. */
  touches(number: number): boolean {
    if (number <= this.#floor + 1) return true
    const at = this.#find(number - 1)
    return at < this.#bounds.length && (this.#bounds[at] as number) <= number + 1
  }

  /** Puts a range in. */
  addRange(first: number, last: number): void {
    if (first <= this.#floor + 1) return this.raiseFloor(last)
    const bounds = this.#bounds
    const from = this.#find(first - 1)
    let to = from
    while (to < bounds.length && (bounds[to] as number) <= last + 1) to += 2
    if (to === from) {
      if (from === bounds.length) bounds.push(first, last)
      else bounds.splice(from, 0, first, last)
      return
    }
    bounds[from] = Math.min(bounds[from] as number, first)
    bounds[from + 1] = Math.max(bounds[to - 1] as number, last)
    if (to > from + 2) bounds.splice(from + 2, to - from - 2)
  }

  /** Puts everything from 1 up to a position in. */
  raiseFloor(number: number): void {
    if (number <= this.#floor) return
    const bounds = this.#bounds
    let floor = number
    let gone = 0
    while (gone < bounds.length && (bounds[gone] as number) <= floor + 1) {
      floor = Math.max(floor, bounds[gone + 1] as number)
      gone += 2
    }
    this.#floor = floor
    if (gone > 0) bounds.splice(0, gone)
  }

  /** Takes everything up to a position out. */
  forget(upTo: number): void {
    const kept: number[] = []
    for (const [first, last] of this) if (last > upTo) kept.push(Math.max(first, upTo + 1), last)
    this.#load(kept)
  }

  /** Puts everything of another set in, in one pass over both. */
  union(other: RangeSet): void {
    this.raiseFloor(other.#floor)
    const [mine, theirs] = [this.#bounds, other.#bounds]
    if (theirs.length === 0) return
    const merged: number[] = []
    let floor = this.#floor
    for (let i = 0, j = 0; i < mine.length || j < theirs.length; ) {
      const isMine = j === theirs.length || (i < mine.length && (mine[i] as number) <= (theirs[j] as number))
      const first = (isMine ? mine[i] : theirs[j]) as number
      const last = (isMine ? mine[i + 1] : theirs[j + 1]) as number
      if (isMine) i += 2
      else j += 2
      const end = merged.at(-1)
      if (first <= floor + 1) floor = Math.max(floor, last)
      else if (end !== undefined && first <= end + 1) merged[merged.length - 1] = Math.max(end, last)
      else merged.push(first, last)
    }
    this.#floor = floor
    this.#bounds = merged
  }

  /** What is in this set and not in the other. */
  minus(other: RangeSet): RangeSet {
    const out: number[] = []
    const others = other.#all()
    let at = 0
    for (const [first, last] of this) {
      let next = first
      while (at < others.length && (others[at + 1] as number) < next) at += 2
      for (let i = at; i < others.length && (others[i] as number) <= last; i += 2) {
        if ((others[i] as number) > next) out.push(next, (others[i] as number) - 1)
        next = (others[i + 1] as number) + 1
      }
      if (next <= last) out.push(next, last)
    }
    return new RangeSet().#load(out)
  }

  /** What is in both sets. */
  common(other: RangeSet): RangeSet {
    return this.minus(this.minus(other))
  }

  /** What is not in it from `from` up to `to`, both included; the first `limit` ranges. */
  missing(to: number, limit: number = Number.POSITIVE_INFINITY, from = 1): Range[] {
    const out: Range[] = []
    let next = Math.max(from, this.#floor + 1)
    for (let at = this.#find(next); next <= to && out.length < limit; at += 2) {
      const first = this.#bounds[at] ?? to + 1
      if (first > next) out.push([next, Math.min(first - 1, to)])
      next = (this.#bounds[at + 1] ?? to) + 1
    }
    return out
  }

  /** The highest position below another that is not in; 0: all are in. */
  gapBelow(number: number): number {
    const below = number - 1
    if (below <= this.#floor) return 0
    const at = this.#find(below)
    const first = this.#bounds[at]
    // Ranges do not touch: what lies just before one is missing.
    return first !== undefined && first <= below ? first - 1 : below
  }

  equals(other: RangeSet): boolean {
    return (
      this.#floor === other.#floor &&
      this.#bounds.length === other.#bounds.length &&
      this.#bounds.every((bound, at) => bound === other.#bounds[at])
    )
  }

  /** What is in this set or in another one. */
  with(other: RangeSet): RangeSet {
    const both = this.clone()
    both.union(other)
    return both
  }

  /** A set of its own with the same positions. */
  clone(): RangeSet {
    const copy = new RangeSet()
    copy.#floor = this.#floor
    copy.#bounds = this.#bounds.slice()
    return copy
  }

  /** What is below the floor as one range, if anything, then the ranges above it, ascending. */
  *[Symbol.iterator](): Generator<Range> {
    if (this.#floor > 0) yield [1, this.#floor]
    for (let at = 0; at < this.#bounds.length; at += 2) {
      yield [this.#bounds[at] as number, this.#bounds[at + 1] as number]
    }
  }

  /** The form for the wire; of more ranges than the limits the lowest. @param maxBytes as {@link rangesBytes} counts */
  toWire(maxRanges: number = Number.POSITIVE_INFINITY, maxBytes: number = Number.POSITIVE_INFINITY): RangeWire {
    const deltas: number[] = []
    const bounds = this.#bounds
    let end = this.#floor
    let left = maxBytes
    for (let at = 0; at < Math.min(bounds.length, 2 * maxRanges); at += 2) {
      const [first, last] = [bounds[at] as number, bounds[at + 1] as number]
      const [gap, length] = [first - end - 1, last - first + 1]
      left -= headLength(gap) + headLength(length)
      if (left < 0) break
      deltas.push(gap, length)
      end = last
    }
    return [this.#floor, deltas]
  }

  /**
   * Reads what a stranger may have sent.
   * @throws AfpMessageError MALFORMED for another shape, for more ranges than `maxRanges` (default
   * {@link MAX_RANGES}) and for positions beyond {@link MAX_NUMBER}
   */
  static fromWire(value: unknown, { maxRanges = MAX_RANGES }: { readonly maxRanges?: number } = {}): RangeSet {
    if (!Array.isArray(value) || value.length !== 2) throw malformed('a set that is not a floor and ranges')
    const [floor, deltas] = value as unknown[]
    if (!isNumber(floor)) throw malformed('the floor of a set')
    if (!Array.isArray(deltas) || deltas.length % 2 !== 0) throw malformed('the ranges of a set')
    if (deltas.length > 2 * maxRanges) throw malformed(`a set of more than ${maxRanges} ranges`)
    const set = new RangeSet()
    set.#floor = floor
    let end = floor
    for (let at = 0; at < deltas.length; at += 2) {
      const [gap, length] = [deltas[at], deltas[at + 1]] as unknown[]
      if (!isNumber(gap) || !isNumber(length) || gap === 0 || length === 0) throw malformed('a range of a set')
      const first = end + gap + 1
      end = first + length - 1
      if (end > MAX_NUMBER) throw malformed('a range beyond the last position')
      set.#bounds.push(first, end)
    }
    return set
  }

  /** Index of the first range that ends at or after a position. */
  #find(number: number): number {
    const bounds = this.#bounds
    let low = 0
    let high = bounds.length / 2
    while (low < high) {
      const middle = (low + high) >> 1
      if ((bounds[2 * middle + 1] as number) < number) low = middle + 1
      else high = middle
    }
    return 2 * low
  }

  /** As the bounds, with what is below the floor as a range. */
  #all(): readonly number[] {
    return this.#floor > 0 ? [1, this.#floor, ...this.#bounds] : this.#bounds
  }

  #load(bounds: number[]): this {
    this.#floor = bounds[0] === 1 ? (bounds[1] as number) : 0
    this.#bounds = this.#floor > 0 ? bounds.slice(2) : bounds
    return this
  }
}
