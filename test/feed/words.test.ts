/** How large the words of the two ends can be: each fits the least frame that an agent takes, whatever there is to say. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { acksFrame, acksFrames, FrameType, MAX_EPOCHS, readAcks, statesFrame } from '../../src/delivery/frames.ts'
import { AuthorFeed, statesOf } from '../../src/feed/author-feed.ts'
import { MAX_EARLIER } from '../../src/feed/epochs.ts'
import { MAX_NUMBER, MAX_RANGES, RangeSet, type RangeWire, rangesBytes } from '../../src/feed/ranges.ts'
import { ReaderFeed } from '../../src/feed/reader-feed.ts'
import { ackBytes, type FeedAck, MAX_ACK_RANGES, MAX_REFUSED, MAX_SKIP_RANGES, writeAck } from '../../src/feed/wire.ts'
import { LEAST_FRAME_BYTES } from '../../src/message/validate.ts'
import { epoch, id } from './positions.ts'
import { runs } from './properties.ts'
import { range } from './reader-model.ts'

/** Its numbers take as many bytes as numbers can. */
const FAR = 2 ** 33

/** The most bytes that so many ranges can take; `from` keeps two sets from having the same. */
const longest = (count: number, from = 0): RangeSet =>
  RangeSet.of(range(1, count).map(at => [from + 2 * FAR * at, from + 2 * FAR * at + FAR] as const))

const frameOf = (...acks: FeedAck[]): Uint8Array => acksFrame(MAX_NUMBER, acks)

describe('an acknowledgement', () => {
  it('has no more bytes than are counted for it', () => {
    const number = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 2 ** 36 }))
    const set = fc.tuple(fc.nat(2 ** 40), fc.array(number, { maxLength: 60 })).map(([floor, all]): RangeWire => {
      return [floor, all.slice(0, all.length & ~1)]
    })
    const reason = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 })
    const ack = fc.record({
      epoch: fc.constant(epoch),
      delivered: set,
      processed: set,
      refused: fc.array(fc.tuple(number, reason), { maxLength: 60 }),
      skipped: set,
    })
    fc.assert(
      fc.property(ack, ack => {
        // The type, the list of two, the largest credit and the list of acknowledgements.
        const bytes = frameOf(ack).length - 1 - 1 - 9 - 1
        expect(bytes).toBeLessThanOrEqual(ackBytes(ack))
        // Three floors and five lists, whose heads may be shorter than the longest.
        expect(bytes).toBeGreaterThanOrEqual(ackBytes(ack) - 3 * 10 - 3)
      }),
      runs(50),
    )
  })

  it('fits a frame, however long all of it is, and has the lowest of all', () => {
    const reason = '\u{ffff}'.repeat(64)
    const refused = range(1, MAX_REFUSED).map(at => [2 * FAR * at, reason] as const)
    const sets = { delivered: longest(MAX_ACK_RANGES), processed: longest(MAX_ACK_RANGES), refused }
    const ack = writeAck(epoch, { ...sets, skipped: longest(MAX_SKIP_RANGES, FAR + FAR / 2) })
    expect(frameOf(ack).length).toBeLessThanOrEqual(LEAST_FRAME_BYTES)
    // Where one of these were left out, its author would take it for lost.
    expect(ack.delivered[1]).toHaveLength(2 * MAX_ACK_RANGES)
    expect(ack.skipped[1]).toHaveLength(2 * MAX_SKIP_RANGES)
    expect(ack.processed[1].slice(0, 2)).toEqual(ack.delivered[1].slice(0, 2))
    expect(ack.processed[1].length).toBeGreaterThan(400)
    expect(ack.refused.length).toBeGreaterThan(20)
    expect(ack.refused).toEqual(refused.slice(0, ack.refused.length))
  })

  it('leaves out nothing of what honest authors bring about', () => {
    const feed = ReaderFeed.begin(epoch)
    const skipped = RangeSet.of(range(1, MAX_RANGES).map(at => [6 * at, 6 * at] as const))
    feed.applyState({ epoch, base: 0, last: 2 ** 16, skips: skipped.toWire() })
    for (const at of range(1, MAX_RANGES)) {
      const number = 6 * at - 2
      feed.begin({ number, prev: 0, priority: 0 })
      feed.accept({ number, prev: 0, priority: 0 })
      if (at % 2 === 0) feed.processed(number)
      else feed.refuse(number, 'handler-error')
    }
    feed.snapshot(range(1, 2 ** 13)).committed()
    const ack = feed.ack()
    expect(ack.delivered[1]).toHaveLength(2 * MAX_RANGES)
    expect(ack.processed[1]).toHaveLength(MAX_RANGES)
    expect(ack.skipped[1]).toHaveLength(2 * MAX_RANGES)
    expect(ack.refused).toHaveLength(MAX_RANGES / 2)
  })

  it('that leaves out refusals has all of them told in the end, each once, and nothing is lost by that', () => {
    const author = new AuthorFeed(epoch)
    const reader = ReaderFeed.begin(epoch)
    const reasonOf = (number: number): string => `${number}`.padEnd(64, '\u{ffff}')
    const all = range(1, MAX_REFUSED)
    for (const number of all) {
      const { prev } = author.next(0)
      reader.begin({ number, prev, priority: 0 })
      reader.accept({ number, prev, priority: 0 })
      reader.refuse(number, reasonOf(number))
    }
    reader.snapshot(all).committed()
    const told: (readonly [number, string])[] = []
    for (let rounds = 0; !author.settled; rounds++) {
      expect(rounds).toBeLessThan(10)
      const ack = reader.ack()
      expect(frameOf(ack).length).toBeLessThanOrEqual(LEAST_FRAME_BYTES)
      const news = author.acked(ack)
      expect(news.rollback).toBe(false)
      told.push(...news.refused)
      news.committed()
      reader.applyState(author.state())
    }
    expect(told).toEqual(all.map(number => [number, reasonOf(number)]))
  })
})

describe('acknowledgements of many epochs', () => {
  const large = (index: number): FeedAck => {
    const sets = { delivered: longest(1_024), processed: longest(1_024), refused: [] }
    return { ...writeAck(epoch, { ...sets, skipped: new RangeSet() }), epoch: id(index) }
  }
  const small = (index: number): FeedAck => ({
    epoch: id(index),
    delivered: [1, []],
    processed: [1, []],
    refused: [],
    skipped: [0, []],
  })

  it.each([
    ['large and small ones', range(1, 20).map(at => (at % 3 === 0 ? large(at) : small(at))), 7],
    ['one more than a frame may speak of', range(1, MAX_EPOCHS + 1).map(small), 2],
    ['as many as a frame may speak of', range(1, MAX_EPOCHS).map(small), 1],
    ['none', [], 0],
  ])('are told in frames that everybody takes, each once: %s', (_, acks, atMost) => {
    const frames = [...acksFrames(MAX_NUMBER, acks)]
    expect(frames.length).toBeLessThanOrEqual(atMost)
    for (const frame of frames) {
      expect(frame[0]).toBe(FrameType.acks)
      expect(frame.length).toBeLessThanOrEqual(LEAST_FRAME_BYTES)
    }
    const read = frames.map(frame => readAcks(frame.subarray(1)))
    expect(read.flatMap(({ acks }) => acks)).toEqual(acks)
    for (const { credit } of read) expect(credit).toBe(MAX_NUMBER)
  })
})

describe('the states of many epochs', () => {
  /** Epochs of which the recipient is to skip every other number. */
  const alternating = (epochs: number, numbers: number, from = 1): AuthorFeed[] =>
    range(from, from + epochs - 1).map(index => {
      const feed = new AuthorFeed(id(index))
      for (let number = 1; number <= numbers; number++) {
        feed.next(0)
        if (number % 2 === 0) feed.skip(number)
      }
      return feed
    })

  it('fit a frame, with every epoch that an author can have open in it, and all have a share', () => {
    const feeds = alternating(MAX_EARLIER + 1, 2 * MAX_RANGES)
    const all = feeds.reduce((bytes, feed) => bytes + rangesBytes(feed.state().skips), 0)
    expect(all).toBeGreaterThan(LEAST_FRAME_BYTES)
    const states = statesOf(feeds)
    expect(states.map(({ epoch }) => epoch)).toEqual(feeds.map(({ epoch }) => epoch))
    const bytes = statesFrame(states).length
    expect(bytes).toBeLessThanOrEqual(LEAST_FRAME_BYTES)
    expect(bytes).toBeGreaterThan(0.9 * LEAST_FRAME_BYTES)
    for (const { skips } of states) expect(skips[1].length).toBeGreaterThan(400)
  })

  it('fit it with the largest numbers, of as many as a frame may speak of', () => {
    const sets = { kept: [MAX_NUMBER - 1], fenced: [MAX_NUMBER] }
    const feeds = range(1, MAX_EPOCHS).map(index => AuthorFeed.restore(id(index), sets))
    expect(statesFrame(statesOf(feeds)).length).toBeLessThanOrEqual(LEAST_FRAME_BYTES)
    const far = { kept: range(1, MAX_RANGES).map(at => 2 * FAR * at) }
    const long = range(1, MAX_EPOCHS).map(index => AuthorFeed.restore(id(index), far))
    const states = statesOf(long)
    expect(statesFrame(states).length).toBeLessThanOrEqual(LEAST_FRAME_BYTES)
    for (const { skips } of states) expect(skips[1].length).toBeGreaterThan(20)
  })

  it('leave out none of the skips that there is room for, whichever epochs have them', () => {
    const feeds = [...alternating(60, 2), ...alternating(20, 2 * MAX_RANGES, 61)]
    expect(statesOf(feeds)).toEqual(feeds.map(feed => feed.state()))
  })

  it('that leave out skips have all of them confirmed in the end', () => {
    const feeds = alternating(MAX_EARLIER + 1, 2 * MAX_RANGES)
    const readers = feeds.map(({ epoch }) => ReaderFeed.begin(epoch))
    for (let rounds = 0; feeds.some(feed => !feed.settled); rounds++) {
      expect(rounds).toBeLessThan(10)
      for (const [at, state] of statesOf(feeds).entries()) {
        const reader = readers[at] as ReaderFeed
        const author = feeds[at] as AuthorFeed
        reader.applyState(state)
        // What is not skipped comes, as far as there is room for it.
        for (let number = 1; number <= 2 * MAX_RANGES; number += 2) {
          const position = { number, prev: 0, priority: 0 }
          if (!reader.begin(position)) continue
          reader.accept(position)
          reader.processed(number)
        }
        reader.snapshot().committed()
        const news = author.acked(reader.ack())
        expect(news.rollback).toBe(false)
        news.committed()
      }
    }
  })
})
