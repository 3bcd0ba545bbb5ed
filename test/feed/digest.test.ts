import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Holding, MAX_DIGEST_FEEDS, makeDigest, missing, readDigest } from '../../src/feed/digest.ts'
import { MAX_RANGES, numbersIn, RangeSet } from '../../src/feed/ranges.ts'
import { id } from './positions.ts'
import { runs } from './properties.ts'

const malformed = expect.objectContaining({ code: 'MALFORMED' })
const holding = (author: string, epoch: string, ...numbers: number[]): Holding => ({
  author,
  epoch,
  numbers: RangeSet.of(numbers.map(number => [number, number] as const)),
})
const overTheWire = (holdings: Holding[]): Holding[] => readDigest(JSON.parse(JSON.stringify(makeDigest(holdings))))
const spread = (holdings: readonly Holding[]): string[] =>
  holdings.flatMap(({ author, epoch, numbers }) =>
    [...numbersIn(numbers)].map(number => `${author} ${epoch} ${number}`),
  )

describe('a digest', () => {
  it('lets a peer send just what another lacks', () => {
    const held = [holding('ann', id(1), 1, 2, 3, 7), holding('ann', id(2), 1), holding('bob', id(1), 5)]
    const theirs = overTheWire([holding('ann', id(1), 2), holding('bob', id(1), 5, 6), holding('cid', id(9), 1)])
    expect(missing(theirs, held, 100)).toEqual([
      {
        author: 'ann',
        epoch: id(1),
        ranges: [
          [1, 1],
          [3, 3],
          [7, 7],
        ],
      },
      { author: 'ann', epoch: id(2), ranges: [[1, 1]] },
    ])
  })

  it('lets both have everything after as many rounds as the limit needs, whatever they held', () => {
    const held = fc
      .uniqueArray(fc.tuple(fc.constantFrom('ann', 'bob'), fc.nat(2), fc.integer({ min: 1, max: 20 })), {
        maxLength: 40,
        selector: entry => entry.join(),
      })
      .map(entries => {
        const feeds = new Map<string, Holding>()
        for (const [author, epoch, number] of entries) {
          const key = `${author} ${epoch}`
          const feed = feeds.get(key) ?? holding(author, id(epoch))
          feeds.set(key, feed)
          feed.numbers.add(number)
        }
        return [...feeds.values()]
      })
    fc.assert(
      fc.property(held, held, fc.integer({ min: 1, max: 7 }), (ours, theirs, limit) => {
        const all = new Set([...spread(ours), ...spread(theirs)])
        const mine = ours.map(feed => ({ ...feed, numbers: feed.numbers.clone() }))
        for (let round = 0; ; round++) {
          const lacks = missing(overTheWire(mine), theirs, limit)
          const sent = lacks.flatMap(({ ranges }) => [...numbersIn(ranges)])
          expect(sent.length).toBeLessThanOrEqual(limit)
          if (sent.length === 0) break
          expect(round).toBeLessThan(100)
          for (const { author, epoch, ranges } of lacks) {
            const feed = mine.find(one => one.author === author && one.epoch === epoch) ?? holding(author, epoch)
            if (!mine.includes(feed)) mine.push(feed)
            for (const [first, last] of ranges) {
              for (const number of numbersIn([[first, last]])) expect(feed.numbers.has(number)).toBe(false)
              feed.numbers.addRange(first, last)
            }
          }
        }
        expect(new Set(spread(mine))).toEqual(all)
      }),
      runs(300),
    )
  }, 120_000)

  it('sends no more than it may, the lowest first, and nothing without a limit that is a number', () => {
    const held = [holding('ann', id(1), 1, 2, 3, 7, 8), holding('ann', id(2), 1)]
    expect(missing([], held, 4)).toEqual([
      {
        author: 'ann',
        epoch: id(1),
        ranges: [
          [1, 3],
          [7, 7],
        ],
      },
    ])
    expect(missing([], held, 0)).toEqual([])
    for (const limit of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => missing([], held, limit)).toThrow(malformed)
    }
  })

  it('says less than there is where there is too much, and never more', () => {
    const alternate = Array.from({ length: 700 }, (_, at) => 2 * at + 2)
    const held = [holding('ann', id(1), ...alternate), holding('ann', id(2), ...alternate), holding('ann', id(3), 1, 5)]
    const digest = overTheWire(held)
    expect(digest.map(({ numbers }) => numbers.count)).toEqual([700, MAX_RANGES - 700, 0])
    expect([...(digest[2] as Holding).numbers]).toEqual([[1, 1]])
    for (const [at, { numbers }] of digest.entries()) expect(numbers.minus((held[at] as Holding).numbers).max).toBe(0)
    const many = Array.from({ length: MAX_DIGEST_FEEDS + 1 }, (_, at) => holding('ann', id(at), 1))
    expect(overTheWire(many).length).toBe(MAX_DIGEST_FEEDS)
  })

  const set = [1, []]
  const ranges = (count: number) => [0, new Array(2 * count).fill(1)]
  it.each([
    ['no list', {}],
    ['too many feeds', Array.from({ length: MAX_DIGEST_FEEDS + 1 }, (_, at) => ['ann', id(at), set])],
    ['a feed that is none', [['ann', id(1)]]],
    ['an author that is none', [[1, id(1), set]]],
    ['an author without a name', [['', id(1), set]]],
    ['an author with too long a name', [['x'.repeat(129), id(1), set]]],
    ['an epoch that is none', [['ann', 'x'.repeat(32), set]]],
    ['a set that is none', [['ann', id(1), [1]]]],
    [
      'one feed twice',
      [
        ['ann', id(1), set],
        ['ann', id(1), set],
      ],
    ],
    ['too many ranges in one', [['ann', id(1), ranges(MAX_RANGES + 1)]]],
    [
      'too many ranges in all',
      [
        ['ann', id(1), ranges(MAX_RANGES)],
        ['ann', id(2), ranges(1)],
      ],
    ],
  ])('is refused with %s', (_, value) => {
    expect(() => readDigest(value)).toThrow(malformed)
  })
})
