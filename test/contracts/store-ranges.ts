/** Ranges and the order of keys: the part of the contract of stores that is told against naive comparisons. */

import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { compare, utf8 } from '../../src/common/bytes.ts'
import type { Key, KeyPart, Row, Store, Write } from '../../src/store/store.ts'

/** The tables that the suites write to. */
export const TABLE = 'meta'
export const OTHER = 'agents'

/** A write of one row. */
export const put = (key: Key, value: string | Uint8Array = 'v', table = TABLE): Write => ({
  op: 'put',
  table,
  key,
  value: typeof value === 'string' ? utf8(value) : value,
})

/** The keys of rows. */
export const keysOf = (rows: readonly Row[]): Key[] => rows.map(({ key }) => key)

/** Parts as plain arrays, so that a Buffer and a Uint8Array of the same bytes compare as equal. */
const plain = (key: Key): unknown[] => key.map(part => (part instanceof Uint8Array ? ['bytes', ...part] : part))

/** The order of keys, told the long way. */
function compareKeys(a: Key, b: Key): number {
  const rank = (part: KeyPart): number => (typeof part === 'number' ? 0 : typeof part === 'string' ? 1 : 2)
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x, y] = [a[i] as KeyPart, b[i] as KeyPart]
    let order = rank(x) - rank(y)
    if (order === 0) {
      if (typeof x === 'number') order = x - (y as number) || 0
      else if (typeof x === 'string') order = x < (y as string) ? -1 : x > (y as string) ? 1 : 0
      else order = compare(x, y as Uint8Array)
    }
    if (order !== 0) return order
  }
  return a.length - b.length
}

const keyPart: fc.Arbitrary<KeyPart> = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, 1, -1, 255, 256, -256, Number.MIN_VALUE, Number.MAX_SAFE_INTEGER, -Number.MAX_VALUE),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.string({ unit: fc.constantFrom('\0', '\u0001', 'a', '\u00ff', '\uffff', '\u{10000}'), maxLength: 4 }),
  fc.uint8Array({ maxLength: 5 }),
  fc.array(fc.constantFrom(0, 1, 254, 255), { maxLength: 4 }).map(bytes => Uint8Array.from(bytes)),
)
const anyKey = fc.array(keyPart, { minLength: 0, maxLength: 3 })

const zero = (part: unknown): unknown => (Object.is(part, -0) ? 0 : part)

/** Registers the suite inside that of a store; `current` gives the empty store of the test that runs. */
export function rangeContract(current: () => Store): void {
  let store: Store
  beforeEach(() => {
    store = current()
  })
  const write = (...writes: Write[]): Promise<void> => store.commit({ writes })

  describe('ranges', () => {
    beforeEach(() => write(...[1, 2, 3, 4, 5].map(n => put(['n', n], String(n))), put(['m']), put(['o', 'p'])))
    const numbers = (rows: readonly Row[]): unknown[] => rows.map(({ key }) => key[1])

    it('give keys and values in order, all without options', async () => {
      const rows = await store.range(TABLE)
      expect(keysOf(rows)).toEqual([['m'], ['n', 1], ['n', 2], ['n', 3], ['n', 4], ['n', 5], ['o', 'p']])
      expect(rows[3]).toEqual({ key: ['n', 3], value: utf8('3') })
    })

    it('include gte and lte, exclude gt and lt', async () => {
      expect(numbers(await store.range(TABLE, { gte: ['n', 2], lte: ['n', 4] }))).toEqual([2, 3, 4])
      expect(numbers(await store.range(TABLE, { gt: ['n', 2], lt: ['n', 4] }))).toEqual([3])
      expect(numbers(await store.range(TABLE, { gte: ['n', 2.5], lt: ['n', 1000] }))).toEqual([3, 4, 5])
    })

    it('start above a key but not above the longer keys that begin with it when the bound is gt', async () => {
      expect(keysOf(await store.range(TABLE, { gt: ['n'], lt: ['o'] }))).toHaveLength(5)
      expect(keysOf(await store.range(TABLE, { gt: ['m'], lte: ['n'] }))).toEqual([])
    })

    it('are narrowed by prefix and bounds together', async () => {
      expect(numbers(await store.range(TABLE, { prefix: ['n'], gt: ['n', 3] }))).toEqual([4, 5])
      expect(numbers(await store.range(TABLE, { prefix: ['n'], gt: ['a'], lt: ['z'] }))).toEqual([1, 2, 3, 4, 5])
      expect(await store.range(TABLE, { prefix: ['n'], gt: ['o'] })).toEqual([])
    })

    it('take a prefix by whole parts: not a longer string, nor one that goes on with NUL', async () => {
      await write(put(['na']), put(['n\0']), put(['n\0', 1]), put(['n']), put([utf8('n'), 1]))
      expect(keysOf(await store.range(TABLE, { prefix: ['n'] }))).toEqual([
        ['n'],
        ['n', 1],
        ['n', 2],
        ['n', 3],
        ['n', 4],
        ['n', 5],
      ])
      expect(await store.count(TABLE, { prefix: ['n\0'] })).toBe(2)
      expect(await store.count(TABLE, { prefix: [] })).toBe(12)
    })

    it('go backwards with reverse, from the highest, with and without a limit', async () => {
      expect(numbers(await store.range(TABLE, { prefix: ['n'], reverse: true }))).toEqual([5, 4, 3, 2, 1])
      expect(numbers(await store.range(TABLE, { prefix: ['n'], reverse: true, limit: 2 }))).toEqual([5, 4])
      expect(numbers(await store.range(TABLE, { prefix: ['n'], lt: ['n', 3], reverse: true, limit: 9 }))).toEqual([
        2, 1,
      ])
    })

    it('stop at the limit, and give nothing for 0', async () => {
      expect(numbers(await store.range(TABLE, { prefix: ['n'], limit: 2 }))).toEqual([1, 2])
      expect(await store.range(TABLE, { limit: 0 })).toEqual([])
      expect(await store.range(TABLE, { limit: 0, reverse: true })).toEqual([])
      expect(await store.range(TABLE, { limit: Number.MAX_SAFE_INTEGER })).toHaveLength(7)
    })

    it('are empty when the bounds cross or meet', async () => {
      expect(await store.range(TABLE, { gt: ['n', 4], lt: ['n', 2] })).toEqual([])
      expect(await store.range(TABLE, { gte: ['n', 3], lt: ['n', 3] })).toEqual([])
      expect(await store.range(TABLE, { gt: ['n', 4], lt: ['n', 2], reverse: true, limit: 3 })).toEqual([])
      expect(await store.count(TABLE, { gt: ['n', 4], lt: ['n', 2] })).toBe(0)
      await write({ op: 'deleteRange', table: TABLE, range: { gt: ['n', 4], lt: ['n', 2] } })
      expect(await store.count(TABLE)).toBe(7)
    })

    it('are counted', async () => {
      expect(await store.count(TABLE)).toBe(7)
      expect(await store.count(TABLE, { prefix: ['n'], gte: ['n', 4] })).toBe(2)
      expect(await store.count(OTHER)).toBe(0)
    })

    it('are deleted, and nothing around them', async () => {
      await write({ op: 'deleteRange', table: TABLE, range: { prefix: ['n'], lte: ['n', 4] } })
      expect(keysOf(await store.range(TABLE))).toEqual([['m'], ['n', 5], ['o', 'p']])
      await write({ op: 'deleteRange', table: TABLE, range: {} })
      expect(await store.count(TABLE)).toBe(0)
    })
  })

  describe('the order of keys', () => {
    it('is numbers, strings, bytes; parts one by one; a prefix first', async () => {
      const sorted: Key[] = [
        [],
        [Number.NEGATIVE_INFINITY],
        [-1e300],
        [-256],
        [-1],
        [-Number.MIN_VALUE],
        [0],
        [0, ''],
        [Number.MIN_VALUE],
        [1],
        [255],
        [256],
        [Number.MAX_SAFE_INTEGER],
        [Number.POSITIVE_INFINITY],
        [''],
        ['', 0],
        ['\0'],
        ['\0\0'],
        ['\0a'],
        ['a'],
        ['a', -1],
        ['a', 'a'],
        ['a\0'],
        ['a\0b'],
        ['a\u0001'],
        ['aa'],
        ['\u00e9'],
        ['\u{1f600}'],
        ['\uffff'],
        [new Uint8Array(0)],
        [Uint8Array.of(0)],
        [Uint8Array.of(0, 255)],
        [Uint8Array.of(1)],
        [Uint8Array.of(255), 1],
        [Uint8Array.of(255, 255)],
      ]
      await write(...sorted.toReversed().map(key => put(key)))
      expect(keysOf(await store.range(TABLE))).toEqual(sorted)
    })

    it('is that of a naive comparison for any keys, and keys come back as they went in', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(anyKey, { comparator: (a, b) => compareKeys(a, b) === 0, maxLength: 20 }),
          async keys => {
            await write({ op: 'deleteRange', table: TABLE, range: {} }, ...keys.map(key => put(key)))
            const expected = keys.toSorted(compareKeys).map(plain)
            expect(keysOf(await store.range(TABLE)).map(plain)).toEqual(expected.map(key => key.map(zero)))
          },
        ),
        { numRuns: 60 },
      )
    })

    it('bounds any range as a naive filter does', async () => {
      const bound = fc.option(anyKey, { nil: undefined })
      const range = fc.record({ prefix: bound, gt: bound, gte: bound, lt: bound, lte: bound, reverse: fc.boolean() })
      await fc.assert(
        fc.asyncProperty(fc.array(anyKey, { maxLength: 15 }), range, async (keys, { reverse, ...given }) => {
          const bounds = Object.fromEntries(Object.entries(given).filter(([, key]) => key !== undefined))
          await write({ op: 'deleteRange', table: TABLE, range: {} }, ...keys.map(key => put(key)))
          const all = keysOf(await store.range(TABLE))
          const inside = all.filter(
            key =>
              (given.prefix === undefined || compareKeys(key.slice(0, given.prefix.length), given.prefix) === 0) &&
              (given.gt === undefined || compareKeys(key, given.gt) > 0) &&
              (given.gte === undefined || compareKeys(key, given.gte) >= 0) &&
              (given.lt === undefined || compareKeys(key, given.lt) < 0) &&
              (given.lte === undefined || compareKeys(key, given.lte) <= 0),
          )
          const found = keysOf(await store.range(TABLE, { ...bounds, reverse }))
          expect(found).toEqual(reverse ? inside.toReversed() : inside)
          expect(await store.count(TABLE, bounds)).toBe(inside.length)
        }),
        { numRuns: 60 },
      )
    })
  })
}
