import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AfpMessageError } from '../../src/common/errors.ts'
import { MAX_NUMBER, MAX_RANGES, type Range, RangeSet } from '../../src/feed/ranges.ts'
import { runs } from './properties.ts'

const TOP = 40
const all = Array.from({ length: TOP }, (_, at) => at + 1)
const number = fc.integer({ min: 1, max: TOP })
const change = fc.oneof(
  fc.record({ op: fc.constant('add' as const), a: number, b: number }),
  fc.record({ op: fc.constant('addRange' as const), a: number, b: number }),
  fc.record({ op: fc.constant('raiseFloor' as const), a: number, b: number }),
  fc.record({ op: fc.constant('forget' as const), a: fc.nat(TOP), b: number }),
)
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

/** A set that was made by many changes, and the same as a plain set. */
const made = fc.array(change, { maxLength: 25 }).map(changes => {
  const set = new RangeSet()
  const plain = new Set<number>()
  for (const each of changes) apply(each, set, plain)
  return { set, plain }
})

function apply({ op, a, b }: Change, set: RangeSet, plain: Set<number>): void {
  const [first, last] = [Math.min(a, b), Math.max(a, b)]
  if (op === 'add') set.add(a)
  else if (op === 'addRange') set.addRange(first, last)
  else if (op === 'raiseFloor') set.raiseFloor(a)
  else set.forget(a)
  for (const each of all) {
    if (op === 'add' && each === a) plain.add(each)
    if (op === 'addRange' && each >= first && each <= last) plain.add(each)
    if (op === 'raiseFloor' && each <= a) plain.add(each)
    if (op === 'forget' && each <= a) plain.delete(each)
  }
}

const members = (set: RangeSet): number[] => all.filter(each => set.has(each))
const sorted = (plain: Iterable<number>): number[] => [...plain].sort((a, b) => a - b)
const spread = (ranges: Iterable<Range>): number[] => [...ranges].flatMap(([a, b]) => all.filter(n => n >= a && n <= b))

/** A set has one form: floor, then ranges that touch neither it nor each other. */
function expectOneForm(set: RangeSet, plain: Set<number>): void {
  let floor = 0
  while (plain.has(floor + 1)) floor++
  expect(set.floor).toBe(floor)
  expect(set.max).toBe(Math.max(0, ...plain))
  const above = [...set].filter(([first]) => first > 1)
  expect(set.count).toBe(above.length)
  let end = floor
  for (const [first, last] of above) {
    expect(first).toBeGreaterThan(end + 1)
    expect(last).toBeGreaterThanOrEqual(first)
    end = last
  }
  expect(spread(set)).toEqual(sorted(plain))
}

describe('a set of ranges', () => {
  it('is what a plain set is after any changes, in its one form', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), changes => {
        const set = new RangeSet()
        const plain = new Set<number>()
        for (const each of changes) {
          apply(each, set, plain)
          expect(members(set)).toEqual(sorted(plain))
          expectOneForm(set, plain)
        }
      }),
      runs(500),
    )
  }, 120_000)

  it('unites, subtracts and intersects as plain sets do, and leaves the other one as it was', () => {
    fc.assert(
      fc.property(made, made, (one, other) => {
        const before = other.set.toWire()
        const chosen = (choose: (inOne: boolean, inOther: boolean) => boolean): Set<number> =>
          new Set(all.filter(each => choose(one.plain.has(each), other.plain.has(each))))
        expectOneForm(
          one.set.minus(other.set),
          chosen((inOne, inOther) => inOne && !inOther),
        )
        expectOneForm(
          one.set.common(other.set),
          chosen((inOne, inOther) => inOne && inOther),
        )
        const copy = one.set.clone()
        copy.union(other.set)
        expectOneForm(
          copy,
          chosen((inOne, inOther) => inOne || inOther),
        )
        expect(other.set.toWire()).toEqual(before)
        expect(members(one.set)).toEqual(sorted(one.plain))
        expect(one.set.equals(other.set)).toBe(sorted(one.plain).join() === sorted(other.plain).join())
      }),
      runs(1_000),
    )
  }, 120_000)

  it('tells what is missing, what lies below a position, and what costs no room', () => {
    fc.assert(
      fc.property(made, number, number, fc.nat(5), ({ set, plain }, from, to, limit) => {
        const missing = all.filter(each => each >= from && each <= to && !plain.has(each))
        expect(spread(set.missing(to, Number.POSITIVE_INFINITY, from))).toEqual(missing)
        expect(set.missing(to, limit, from)).toEqual(set.missing(to, Number.POSITIVE_INFINITY, from).slice(0, limit))
        expect(set.gapBelow(to)).toBe(Math.max(0, ...all.filter(each => each < to && !plain.has(each))))
        expect(set.touches(to)).toBe(to === 1 || [to - 1, to, to + 1].some(each => plain.has(each)))
      }),
      runs(1_000),
    )
  }, 120_000)

  it('survives the wire, and of too many ranges the lowest go', () => {
    fc.assert(
      fc.property(made, fc.nat(5), ({ set }, most) => {
        expect(RangeSet.fromWire(JSON.parse(JSON.stringify(set.toWire()))).equals(set)).toBe(true)
        const cut = RangeSet.fromWire(set.toWire(most))
        expect([...cut]).toEqual([...set].slice(0, most + (set.floor > 0 ? 1 : 0)))
      }),
      runs(500),
    )
  }, 120_000)

  it('is a floor and gaps and lengths on the wire', () => {
    const set = RangeSet.of([
      [10, 12],
      [1, 5],
      [20, 20],
    ])
    expect(set.toWire()).toEqual([5, [4, 3, 7, 1]])
    expect(new RangeSet().toWire()).toEqual([0, []])
  })

  it('holds the highest position there is', () => {
    const set = RangeSet.fromWire([MAX_NUMBER - 2, [1, 1]])
    expect(set.max).toBe(MAX_NUMBER)
    set.add(MAX_NUMBER - 1)
    expect(set.floor).toBe(MAX_NUMBER)
  })

  it.each([
    ['nothing', undefined],
    ['a text', '[1,[]]'],
    ['a set with more than two parts', [1, [], 0]],
    ['a floor that is no number', ['1', []]],
    ['a floor below zero', [-1, []]],
    ['a floor that is no integer', [1.5, []]],
    ['a floor beyond the last position', [MAX_NUMBER + 1, []]],
    ['ranges that are no list', [0, { length: 0 }]],
    ['half a range', [0, [1]]],
    ['a gap of nothing', [3, [0, 1]]],
    ['a range of nothing', [3, [1, 0]]],
    ['a gap below zero', [3, [-2, 5]]],
    ['a length that is no number', [3, [1, 1n]]],
    ['a range beyond the last position', [MAX_NUMBER - 1, [1, 1]]],
    ['a gap beyond the last position', [0, [MAX_NUMBER, 1]]],
    ['an infinite length', [0, [1, Number.POSITIVE_INFINITY]]],
  ])('refuses %s from the wire', (_, value) => {
    expect(() => RangeSet.fromWire(value)).toThrow(expect.objectContaining({ code: 'MALFORMED' }))
    expect(() => RangeSet.fromWire(value)).toThrow(AfpMessageError)
  })

  it('refuses more ranges than are allowed before it reads one', () => {
    const ranges = (count: number): number[] => new Array(2 * count).fill(1)
    expect(RangeSet.fromWire([0, ranges(MAX_RANGES)]).count).toBe(MAX_RANGES)
    const unread = new Proxy(ranges(MAX_RANGES + 1), {
      get: (target, key) => (key === 'length' ? target.length : expect.unreachable('a range was read')),
    })
    expect(() => RangeSet.fromWire([0, unread])).toThrow(expect.objectContaining({ code: 'MALFORMED' }))
    expect(() => RangeSet.fromWire([0, [1, 1]], { maxRanges: 0 })).toThrow(/more than 0/)
  })
})
