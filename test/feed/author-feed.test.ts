import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AckNews, AuthorFeed, type FeedAck } from '../../src/feed/author-feed.ts'
import { MAX_RANGES, RangeSet } from '../../src/feed/ranges.ts'
import { AuthorModel, range } from './author-model.ts'
import { wire } from './positions.ts'
import { runs } from './properties.ts'

const epoch = 'a'.repeat(32)
const malformed = expect.objectContaining({ code: 'MALFORMED' })
const nothing = {
  delivered: [],
  processed: [],
  refused: [],
  skipped: [],
  rollback: false,
  committed: expect.any(Function),
}

interface Told {
  readonly delivered?: readonly number[]
  readonly processed?: readonly number[]
  readonly refused?: FeedAck['refused']
  readonly skipped?: readonly number[]
}

const ackOf = ({ delivered = [], processed = [], refused = [], skipped = [] }: Told): FeedAck => ({
  epoch,
  delivered: wire(delivered),
  processed: wire(processed),
  refused,
  skipped: wire(skipped),
})

/** Takes an acknowledgement in, and puts what it says on the disk. */
function hear(feed: AuthorFeed, told: Told): AckNews {
  const news = feed.acked(ackOf(told))
  news.committed()
  return news
}

/** A feed that gave out as many numbers, all of class 0. */
function feedOf(count: number): AuthorFeed {
  const feed = new AuthorFeed(epoch)
  for (let at = 0; at < count; at++) feed.next(0)
  return feed
}

describe('the numbers of a feed', () => {
  it('start at 1, and each names the one before it in its class', () => {
    const feed = new AuthorFeed(epoch)
    expect([0, 9, 0, 9, 9, 3].map(priority => feed.next(priority))).toEqual([
      { number: 1, prev: 0 },
      { number: 2, prev: 0 },
      { number: 3, prev: 1 },
      { number: 4, prev: 2 },
      { number: 5, prev: 4 },
      { number: 6, prev: 0 },
    ])
    expect(feed.last).toBe(6)
  })

  it.each([-1, 10, 0.5, Number.NaN])('are not given out for priority %s', priority => {
    const feed = new AuthorFeed(epoch)
    expect(() => feed.next(priority)).toThrow(expect.objectContaining({ code: 'INVALID_PRIORITY' }))
    expect(feed.last).toBe(0)
  })

  it('are not given out any more once it is closed', () => {
    const feed = feedOf(1)
    feed.close()
    expect(() => feed.next(0)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect(feed.last).toBe(1)
  })

  it('are named by the next of their class even when they are skipped, since a copy may be on its way', () => {
    const feed = feedOf(2)
    feed.skip(2)
    expect(feed.next(0)).toEqual({ number: 3, prev: 2 })
  })
})

describe('an acknowledgement at its author', () => {
  it('tells only what is new', () => {
    const feed = feedOf(4)
    expect(hear(feed, { delivered: [1, 3] })).toEqual({ ...nothing, delivered: [1, 3] })
    expect(hear(feed, { delivered: [1, 2, 3], processed: [1] })).toEqual({
      ...nothing,
      delivered: [2],
      processed: [1],
    })
    expect(hear(feed, { delivered: [1, 2, 3], processed: [1] })).toEqual(nothing)
  })

  it('takes what was processed or refused for delivered', () => {
    const feed = feedOf(2)
    const news = hear(feed, { processed: [1], refused: [[2, 'rejected']] })
    expect(news).toEqual({ ...nothing, delivered: [1, 2], processed: [1], refused: [[2, 'rejected']] })
    expect(feed.settled).toBe(true)
  })

  it('tells a refusal once, and never as processed, though the recipient counts it so later', () => {
    const feed = feedOf(1)
    hear(feed, { refused: [[1, 'rejected']] })
    expect(hear(feed, { refused: [[1, 'rejected']] })).toEqual(nothing)
    expect(hear(feed, { delivered: [1], processed: [1] })).toEqual(nothing)
  })

  it('confirms what was skipped, once', () => {
    const feed = feedOf(2)
    feed.skip(1)
    expect(hear(feed, { skipped: [1] }).skipped).toEqual([1])
    expect(hear(feed, { skipped: [1] }).skipped).toEqual([])
    expect(hear(feed, { delivered: [1] })).toEqual(nothing)
    expect(feed.base).toBe(1)
  })

  it('settles nothing by skips that its author never told', () => {
    const feed = feedOf(2)
    expect(hear(feed, { skipped: [1, 2] })).toEqual(nothing)
    expect(feed.base).toBe(0)
  })

  it('wins against a skip: the recipient has it', () => {
    const feed = feedOf(1)
    expect(feed.skip(1)).toBe('skipped')
    expect(hear(feed, { delivered: [1] }).delivered).toEqual([1])
    expect(feed.skip(1)).toBe('delivered')
    expect(feed.state().skips).toEqual([0, []])
  })

  it.each([
    ['delivered', { delivered: [4] }],
    ['processed', { processed: [4] }],
    ['skipped', { skipped: [4] }],
    ['refused', { refused: [[4, 'x']] as const }],
  ])('is refused whole when it says that a number was %s that was never given out', (_, more) => {
    const feed = feedOf(3)
    const good = { delivered: [1], processed: [1], ...more }
    expect(() => feed.acked(ackOf(good))).toThrow(malformed)
    expect(feed.base).toBe(0)
    expect(hear(feed, { delivered: [1] }).delivered).toEqual([1])
  })

  it('is refused whole when its form is wrong', () => {
    const feed = feedOf(3)
    expect(() => feed.acked({ ...ackOf({ processed: [1] }), skipped: [0, [0, 1]] })).toThrow(malformed)
    expect(feed.base).toBe(0)
  })
})

describe('the base of a feed', () => {
  it('passes an end only when the disk has it: below it the recipient does not say again how it was', () => {
    const feed = feedOf(4)
    feed.close()
    const first = feed.acked(ackOf({ processed: [2] }))
    const second = feed.acked(ackOf({ processed: [1, 2, 3] }))
    const third = feed.acked(ackOf({ processed: [1, 2, 3, 4] }))
    expect(feed.unsettled()).toEqual([])
    expect([feed.base, feed.settled, feed.done]).toEqual([0, false, false])
    second.committed()
    expect([feed.base, feed.state().base]).toEqual([1, 1])
    third.committed()
    expect(feed.base).toBe(1)
    first.committed()
    expect([feed.base, feed.settled, feed.done]).toEqual([4, true, true])
  })
})

describe('a recipient that forgot', () => {
  it('is told once for each loss, and nothing that was known is taken back', () => {
    const feed = feedOf(3)
    hear(feed, { delivered: [1, 2, 3], processed: [1] })
    expect(hear(feed, {})).toEqual({ ...nothing, rollback: true })
    expect(hear(feed, {})).toEqual(nothing)
    expect(feed.base).toBe(1)
    expect(hear(feed, { delivered: [1, 2, 3], processed: [1] })).toEqual(nothing)
    expect(hear(feed, { delivered: [1, 2] }).rollback).toBe(true)
  })

  it('is told of a skip that it no longer knows', () => {
    const feed = feedOf(3)
    feed.skip(1)
    hear(feed, { delivered: [2], skipped: [1] })
    expect(hear(feed, { delivered: [2] }).rollback).toBe(true)
    expect(hear(feed, { delivered: [1, 2] }).rollback).toBe(false)
  })

  it('is told a skip again until it says so beside something that it has: before that it has lost nothing', () => {
    const feed = feedOf(2)
    feed.skip(1)
    expect(hear(feed, { skipped: [1] }).skipped).toEqual([1])
    const skip = { epoch, base: 0, last: 2, skips: wire([1]) }
    expect([feed.base, feed.state()]).toEqual([1, skip])
    expect(hear(feed, {})).toEqual(nothing)
    expect(hear(feed, { delivered: [2] })).toEqual({ ...nothing, delivered: [2] })
    expect(feed.state()).toEqual(skip)
    expect(hear(feed, { delivered: [2], skipped: [1] })).toEqual(nothing)
    expect(feed.state()).toEqual({ epoch, base: 1, last: 2, skips: wire([]) })
  })

  it('is waited for no longer where it has room for the lowest of its skips alone: the others are no loss', () => {
    const feed = feedOf(9)
    for (const number of [2, 4, 6]) feed.skip(number)
    expect(hear(feed, { skipped: [4, 6] }).skipped).toEqual([4, 6])
    expect(hear(feed, { delivered: [1], skipped: [6] })).toEqual({ ...nothing, delivered: [1] })
    expect(feed.state()).toEqual({ epoch, base: 0, last: 9, skips: wire([2, 4, 6]) })
    expect(hear(feed, { delivered: [1], processed: [1], skipped: [2, 4] })).toMatchObject({
      skipped: [2],
      rollback: false,
    })
    expect(feed.state()).toEqual({ epoch, base: 2, last: 9, skips: wire([4, 6]) })
  })

  it('has lost what it had, be it all', () => {
    const feed = feedOf(2)
    feed.skip(1)
    hear(feed, { skipped: [1] })
    hear(feed, { delivered: [2] })
    expect(hear(feed, {})).toEqual({ ...nothing, rollback: true })
    expect(feed.state().skips).toEqual([2, []])
  })

  it('is told to skip what it lost, so that the epoch can be settled without the bytes', () => {
    const feed = feedOf(3)
    hear(feed, { delivered: [1, 2, 3], processed: [1] })
    hear(feed, { delivered: [1] })
    expect(feed.state()).toEqual({ epoch, base: 1, last: 3, skips: [0, [1, 2]] })
    expect(feed.skip(2)).toBe('skipped')
    expect(hear(feed, { delivered: [1], skipped: [2, 3] }).skipped).toEqual([2, 3])
    expect(feed.settled).toBe(true)
  })

  it('does no harm where an old acknowledgement only came late', () => {
    const feed = feedOf(2)
    const old = ackOf({ delivered: [1] })
    hear(feed, { delivered: [1, 2], processed: [1] })
    expect(feed.acked(old)).toEqual({ ...nothing, rollback: true })
    expect(hear(feed, { delivered: [1, 2], processed: [1, 2] })).toEqual({ ...nothing, processed: [2] })
    expect(feed.state()).toEqual({ epoch, base: 2, last: 2, skips: [0, []] })
  })
})

describe('the state of a feed at its author', () => {
  it('has the skips above its base, and the lowest where there are too many', () => {
    const feed = feedOf(3 * MAX_RANGES)
    for (let number = 1; number <= feed.last; number += 2) feed.skip(number)
    hear(feed, { delivered: [4], skipped: [1] })
    const { base, last, skips } = feed.state()
    expect({ base, last }).toEqual({ base: 1, last: feed.last })
    const read = RangeSet.fromWire(skips)
    expect(read.count).toBe(MAX_RANGES)
    expect(read.has(1)).toBe(false)
    expect(read.has(3)).toBe(true)
  })

  it('refuses to skip what was never given out', () => {
    for (const number of [0, -1, 1.5, 3]) expect(() => feedOf(2).skip(number)).toThrow(malformed)
  })

  it('is done when it is closed and everything has its end', () => {
    const feed = feedOf(1)
    hear(feed, { processed: [1] })
    expect([feed.settled, feed.done]).toEqual([true, false])
    feed.close()
    expect(feed.done).toBe(true)
  })

  it('is what a model in plain sets says, whatever is skipped, acknowledged and forgotten', () => {
    const some = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 8 })
    const step = fc.oneof(
      fc.record({ op: fc.constant('next' as const), priority: fc.nat(9) }),
      fc.record({ op: fc.constant('skip' as const), number: fc.integer({ min: 1, max: 12 }) }),
      fc.record({ op: fc.constant('commit' as const), at: fc.nat(2) }),
      fc.record({ op: fc.constant('ack' as const), delivered: some, processed: some, refused: some, skipped: some }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const [feed, model] = [new AuthorFeed(epoch), new AuthorModel()]
        const tails = new Array(10).fill(0)
        const writes: (() => void)[] = []
        for (const each of steps) {
          if (each.op === 'next') {
            const { number, prev } = feed.next(each.priority)
            expect(prev).toBe(tails[each.priority])
            tails[each.priority] = number
          } else if (each.op === 'commit') {
            for (const write of writes.splice(each.at, 1)) write()
          } else if (each.op === 'skip') {
            if (each.number <= feed.last) expect(feed.skip(each.number)).toBe(model.skip(each.number))
          } else {
            const known = (numbers: readonly number[]) => numbers.filter(number => number <= feed.last)
            const refused = range(feed.last).filter(number => each.refused.includes(number))
            const ack = ackOf({
              delivered: known(each.delivered),
              processed: known(each.processed),
              refused: refused.map(number => [number, 'rejected']),
              skipped: known(each.skipped),
            })
            const news = feed.acked(ack)
            const expected = model.acked(ack)
            expect(news.delivered).toEqual(expected.delivered)
            writes.push(() => {
              news.committed()
              model.committed(expected.ends)
            })
          }
          model.check(feed)
        }
      }),
      runs(1_000),
    )
  }, 120_000)
})

describe('a feed after a restart', () => {
  const remains = { kept: [2, 5], fenced: [6], delivered: [3] }

  it('is closed, goes on with what has a row, and skips the rest', () => {
    const feed = AuthorFeed.restore(epoch, remains)
    expect(feed.closed).toBe(true)
    expect(() => feed.next(0)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect(feed.state()).toEqual({ epoch, base: 0, last: 6, skips: wire([1, 4, 6]) })
  })

  it('tells only what becomes of numbers that somebody waits for', () => {
    const feed = AuthorFeed.restore(epoch, remains)
    const news = hear(feed, { delivered: [1, 2, 3], processed: [1, 3], refused: [[4, 'x']], skipped: [6] })
    expect(news).toEqual({ ...nothing, delivered: [2], processed: [3], skipped: [6] })
    expect(feed.unsettled()).toEqual([
      [2, 2],
      [5, 5],
    ])
    expect(hear(feed, { delivered: [1, 2, 3, 4, 5], processed: [1, 2, 3, 5], skipped: [6] }).processed).toEqual([2, 5])
    expect(feed.done).toBe(true)
  })

  it('takes for refused what its recipient was told to skip by a run of which it knows nothing', () => {
    const feed = AuthorFeed.restore(epoch, remains)
    const ack = { delivered: [1, 2], processed: [1, 2], skipped: [3, 4, 5, 6] }
    const refused = [3, 5].map(number => [number, 'rejected'])
    expect(hear(feed, ack)).toEqual({ ...nothing, delivered: [2], processed: [2], refused, skipped: [6] })
    expect(hear(feed, ack)).toEqual(nothing)
    expect(feed.done).toBe(true)
  })

  it('takes it well that the recipient has later numbers, whose rows are gone', () => {
    const feed = AuthorFeed.restore(epoch, { kept: [2] })
    const ack = ackOf({ delivered: [1, 2, 3, 900], processed: [1, 2, 3], refused: [[900, 'x']], skipped: [901] })
    const news = feed.acked(ack)
    expect(news).toEqual({ ...nothing, delivered: [2], processed: [2] })
    news.committed()
    expect(feed.state()).toEqual({ epoch, base: 2, last: 2, skips: [0, []] })
  })

  it('knows what the recipient had, and sees it forget', () => {
    const feed = AuthorFeed.restore(epoch, { kept: [], delivered: [1] })
    expect(feed.skip(1)).toBe('delivered')
    expect(hear(feed, {}).rollback).toBe(true)
    expect(hear(feed, { skipped: [1] }).skipped).toEqual([1])
  })

  it('takes nothing for new where old acknowledgements only come late', () => {
    const feed = AuthorFeed.restore(epoch, { kept: [5], delivered: [3, 4] })
    expect(hear(feed, { skipped: [1] })).toEqual({ ...nothing, rollback: true })
    expect(hear(feed, { skipped: [1] })).toEqual(nothing)
    expect(hear(feed, { delivered: [3], skipped: [1] })).toEqual(nothing)
    expect(hear(feed, { delivered: [3, 4, 5], skipped: [1] })).toEqual({ ...nothing, delivered: [5] })
  })

  it('does not come to life with numbers that no feed has', () => {
    for (const kept of [[0], [-1], [1.5]]) expect(() => AuthorFeed.restore(epoch, { kept })).toThrow(malformed)
  })

  it('has nothing to do when no row is left', () => {
    expect(AuthorFeed.restore(epoch, { kept: [] })).toMatchObject({ last: 0, settled: true, done: true })
  })
})
