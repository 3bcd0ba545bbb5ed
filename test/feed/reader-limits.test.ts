import { describe, expect, it } from 'vitest'
import { MAX_RANGES } from '../../src/feed/ranges.ts'
import { MAX_BUFFERED, ReaderFeed } from '../../src/feed/reader-feed.ts'
import { MAX_REFUSED } from '../../src/feed/wire.ts'
import { at, epoch, stateOf, take, wire } from './positions.ts'
import { range } from './reader-model.ts'

describe('what a stranger can make a reader keep', () => {
  it('is 1,024 envelopes that wait for one before them, and those before them still fit', () => {
    const feed = ReaderFeed.begin(epoch)
    const last = MAX_BUFFERED + 1
    for (const number of range(2, last)) take(feed, at(number))
    expect(feed.check(at(last + 1))).toBe('full')
    expect(feed.begin(at(last + 1))).toBe(false)
    expect(take(feed, at(1, 0))).toEqual(range(1, last))
    expect(feed.check(at(last + 1))).toBe('new')
  })

  it('counts what is on its way to the disk among them', () => {
    const feed = ReaderFeed.begin(epoch)
    for (const number of range(2, MAX_BUFFERED + 1)) feed.begin(at(number))
    expect(feed.check(at(MAX_BUFFERED + 2))).toBe('full')
    for (const number of range(2, MAX_BUFFERED)) expect(feed.accept(at(number)).taken).toBe(true)
    expect(feed.check(at(MAX_BUFFERED + 2))).toBe('full')
    feed.abandon(MAX_BUFFERED + 1)
    expect(feed.check(at(MAX_BUFFERED + 2))).toBe('new')
  })

  it('is 1,024 envelopes where an earlier epoch is waited for', () => {
    const feed = ReaderFeed.begin(epoch, { held: true })
    for (const number of range(1, MAX_BUFFERED)) take(feed, at(number))
    expect(feed.check(at(MAX_BUFFERED + 1))).toBe('full')
    feed.resume()
    expect(feed.check(at(MAX_BUFFERED + 1))).toBe('new')
  })

  it('is 1,024 ranges, and the first of what has no end still fits, so that all goes on', () => {
    const feed = ReaderFeed.begin(epoch)
    // Each is the first of its class, by its author's word: none waits.
    for (const number of range(1, 1_024)) take(feed, at(4 * number, 0))
    expect(feed.check(at(4_098, 0))).toBe('full')
    expect(feed.check(at(4_097, 0))).toBe('new')
    expect(feed.check(at(1, 0))).toBe('new')
    expect(feed.check(at(2, 0))).toBe('full')
    // 1 was skipped: 2 touches nothing that was delivered.
    feed.applyState(stateOf(1, 4_096))
    expect(feed.check(at(2, 0))).toBe('new')
  })

  it('is no more ranges because the author raises its base over what never came', () => {
    const feed = ReaderFeed.begin(epoch)
    for (let number = 2; number <= 8_192; number += 2) {
      feed.applyState(stateOf(number - 1, number))
      take(feed, at(number, 0))
    }
    expect((feed.ack().delivered[1] as number[]).length).toBeLessThanOrEqual(2 * 1_024)
    expect(JSON.stringify(feed.snapshot().value).length).toBeLessThan(20_000)
  })

  it('is 1,024 ranges of skips, and the first of what has no end still fits', () => {
    const feed = ReaderFeed.begin(epoch)
    const odd = (from: number, count: number): number[] => range(0, count - 1).map(index => from + 2 * index)
    feed.applyState(stateOf(0, 9_999, odd(1_001, 1_024)))
    expect(feed.applyState(stateOf(0, 9_999, odd(4_001, 3))).skipped).toEqual([])
    expect(feed.applyState(stateOf(0, 9_999, [2])).skipped).toEqual([])
    expect(feed.applyState(stateOf(1, 9_999, [2])).skipped).toEqual([[2, 2]])
  })

  it('is as many ranges of skips as it is told there is room for, but for those that take none', () => {
    const feed = ReaderFeed.begin(epoch)
    expect(feed.applyState(stateOf(0, 99, [2, 10, 20, 30]), 2).skipped).toEqual([
      [2, 2],
      [10, 10],
    ])
    // Nothing arrived, so the author does not raise its base: what follows skips that are here is what comes next.
    expect(feed.applyState(stateOf(0, 99, [1, 2, 3, 9, 10, 20, 30]), 1).skipped).toEqual([
      [1, 1],
      [3, 3],
      [9, 9],
    ])
    expect(feed.applyState(stateOf(0, 99, [1, 2, 3, 9, 10, 20, 30]), 1).skipped).toEqual([])
    expect(feed.skips).toBe(1)
  })

  it('is a few ranges of what the author says that it had, and beyond it all of that', () => {
    const feed = ReaderFeed.begin(epoch)
    const some = (count: number): number[] => range(1, count).map(index => 2 * index)
    feed.applyState(stateOf(0, 9_999, some(1_024)))
    expect(feed.applyState(stateOf(32, 9_999)).lost).toHaveLength(16)
    expect(feed.ack()).toMatchObject({ delivered: [0, []], skipped: [0, new Array(32).fill(1)] })
    expect(feed.applyState(stateOf(2_048, 9_999)).lost).toHaveLength(1_008)
    expect(feed.ack()).toMatchObject({ delivered: [0, []], skipped: [2_048, []] })
    expect(JSON.stringify(feed.snapshot().value).length).toBeLessThan(300)
  })

  it('is sixteen ranges of what was lost among what arrived, and beyond them it is all told to have its end, unhandled', () => {
    const feed = ReaderFeed.begin(epoch)
    const come = (from: number, to: number): void => {
      for (const index of range(from, to)) feed.accept(at(2 * index, 0))
    }
    come(1, 17)
    feed.applyState(stateOf(32, 34))
    expect(feed.ack()).toMatchObject({ delivered: [0, new Array(34).fill(1)], skipped: [0, []] })
    feed.applyState(stateOf(34, 34))
    expect(feed.ack()).toMatchObject({
      delivered: [0, new Array(34).fill(1)],
      skipped: wire(range(1, 17).map(index => 2 * index - 1)),
    })
    come(18, 34)
    feed.applyState(stateOf(68, 68))
    // Of more than 32 of them the oldest count as processed.
    expect(feed.ack()).toMatchObject({ delivered: [4, new Array(64).fill(1)] })
  })

  it('is told whole, however much there is of it', () => {
    const feed = ReaderFeed.begin(epoch)
    for (const number of range(1, 65)) {
      if (number % 2 === 0) feed.refuse(number, 'rejected')
      else feed.accept(at(number, 0))
    }
    feed.snapshot().committed()
    const below = range(1, 32).map(index => 2 * index)
    const above = range(50, MAX_RANGES + 49).map(index => 2 * index)
    feed.applyState(stateOf(65, 9_999, above))
    feed.snapshot().committed()
    expect(feed.ack().skipped).toEqual(wire([...below, ...above]))
  })

  it('is what is on its way to the disk as well, however much before it was lost', () => {
    const feed = ReaderFeed.begin(epoch)
    for (const index of range(1, 40)) feed.accept(at(2 * index, 0))
    expect(feed.begin(at(41, 0))).toBe(true)
    feed.applyState(stateOf(80, 80))
    expect(feed.accept(at(41, 0))).toMatchObject({ taken: true, released: [41] })
    expect(feed.ack().skipped).toEqual(wire(range(8, 40).flatMap(index => (index === 21 ? [] : [2 * index - 1]))))
  })

  it('is 1,024 refusals, and the first of what has no end still fits', () => {
    const feed = ReaderFeed.begin(epoch)
    for (const number of range(2, MAX_REFUSED + 1)) feed.refuse(number, 'rejected')
    expect(feed.check(at(MAX_REFUSED + 2))).toBe('full')
    expect(feed.check(at(1, 0))).toBe('new')
    feed.refuse(1, 'rejected')
    feed.applyState(stateOf(MAX_REFUSED, MAX_REFUSED + 1))
    expect(feed.check(at(MAX_REFUSED + 2))).toBe('new')
  })

  it('is one range for a hole of any size', () => {
    const feed = ReaderFeed.begin(epoch)
    const last = 2 ** 48 - 1
    expect(feed.applyState(stateOf(0, last)).holes).toEqual([[1, last]])
    expect(feed.giveUp([[1, last]]).given).toEqual([[1, last]])
  })
})
