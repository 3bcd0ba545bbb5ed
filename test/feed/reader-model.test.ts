import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { numbersIn, type Range } from '../../src/feed/ranges.ts'
import { ReaderFeed } from '../../src/feed/reader-feed.ts'
import type { Position } from '../../src/feed/wire.ts'
import { expand } from './author-model.ts'
import { copied, epoch, stateOf } from './positions.ts'
import { runs } from './properties.ts'
import { ascending, ReaderModel } from './reader-model.ts'

const spread = (ranges: readonly Range[]): number[] => [...numbersIn(ranges)]

describe('a reader and its model in plain sets', () => {
  const TOP = 24
  const number = fc.integer({ min: 1, max: TOP })
  const numbers = fc.array(number, { maxLength: 8 })
  const step = fc.oneof(
    { weight: 12, arbitrary: fc.record({ op: fc.constant('envelope' as const), number }) },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('refuse' as const), number }) },
    { weight: 4, arbitrary: fc.record({ op: fc.constant('processed' as const), number }) },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('state' as const), base: fc.nat(4), last: number, numbers }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('giveUp' as const), numbers }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('free' as const) }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('restart' as const) }) },
  )

  it('agree after every step, restarts among them, on what is handed on, told and missing', () => {
    const classes = fc.array(fc.nat(2), { minLength: TOP, maxLength: TOP })
    fc.assert(
      fc.property(classes, fc.array(step, { maxLength: 60 }), fc.boolean(), (priorities, steps, mayFree) => {
        const tails = new Map<number, number>()
        const positions = priorities.map((priority, index) => {
          const prev = tails.get(priority) ?? 0
          tails.set(priority, index + 1)
          return { number: index + 1, prev, priority }
        })
        const of = (n: number): Position => positions[n - 1] as Position
        let feed = ReaderFeed.begin(epoch)
        const model = new ReaderModel()
        for (const each of steps) {
          if (each.op === 'envelope') {
            const isNew = model.verdict(each.number) === 'new'
            const late = model.free || model.givenUp.has(each.number)
            expect(feed.begin(of(each.number))).toBe(isNew)
            const expected = isNew ? model.accept(of(each.number)) : []
            expect(feed.accept(of(each.number))).toEqual({ taken: isNew, released: expected, late: isNew && late })
          } else if (each.op === 'refuse') {
            const taken = model.pending.has(each.number) || model.verdict(each.number) === 'new'
            const expected = taken ? model.refuse(of(each.number)) : []
            expect(feed.refuse(each.number, 'x')).toMatchObject({ taken, released: expected })
          } else if (each.op === 'processed') {
            const done = model.handed.has(each.number) && model.pending.delete(each.number)
            if (done || !model.pending.has(each.number)) expect(feed.processed(each.number)).toBe(done)
          } else if (each.op === 'state') {
            const last = Math.max(each.base, each.last)
            const skips = ascending(each.numbers.filter(n => n <= last))
            const expected = model.state(each.base, last, skips)
            const told = feed.applyState(stateOf(each.base, last, skips))
            const { released, skipped, lost } = told
            expect({ released, skipped: spread(skipped), lost: spread(lost) }).toEqual(expected)
          } else if (each.op === 'giveUp') {
            const { released, given } = feed.giveUp(each.numbers.map(n => [n, n] as const))
            expect({ released, given: spread(given) }).toEqual(model.giveUp(ascending(each.numbers)))
          } else if (each.op === 'free') {
            if (!mayFree) continue
            model.free = true
            expect(feed.waitForNothing()).toEqual(model.release())
          } else {
            const { value } = feed.snapshot([...model.refused])
            feed = ReaderFeed.restore(epoch, copied(value), [...model.pending].map(of))
            expect(feed.resume()).toEqual(model.restart())
          }
          compare(feed, model, positions)
        }
      }),
      runs(2_000),
    )
  }, 120_000)

  function compare(feed: ReaderFeed, model: ReaderModel, positions: readonly Position[]): void {
    for (const position of positions) expect(feed.check(position)).toBe(model.verdict(position.number))
    feed.snapshot([...model.refused]).committed()
    const ack = feed.ack()
    const above = (set: Iterable<number>): number[] => ascending([...set].filter(n => n > model.base))
    expect(expand(ack.delivered)).toEqual(model.delivered())
    expect(expand(ack.processed)).toEqual(model.processed())
    expect(expand(ack.skipped)).toEqual(ascending([...above(model.skipped), ...model.unhandled()]))
    expect(ack.refused.map(([n]) => n)).toEqual(above(model.refused))
    expect(spread(feed.holes())).toEqual(model.holes())
    expect(feed.base).toBe(model.base)
    expect(feed.pending).toBe(model.pending.size)
    expect(feed.waiting).toBe(model.waiting().length)
  }
})
