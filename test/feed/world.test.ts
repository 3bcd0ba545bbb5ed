import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AuthorFeed } from '../../src/feed/author-feed.ts'
import { ReaderFeed } from '../../src/feed/reader-feed.ts'
import type { Position } from '../../src/feed/wire.ts'
import { epoch, take as store } from './positions.ts'
import { runs } from './properties.ts'
import { type Step, take } from './steps.ts'
import { World } from './world.ts'

const weights: Record<Step['op'], number> = {
  send: 12,
  sendLater: 3,
  commitSend: 2,
  failSend: 1,
  again: 6,
  skip: 2,
  rotate: 1,
  announce: 1,
  states: 5,
  ack: 6,
  deliver: 16,
  deliverNext: 10,
  lose: 3,
  replay: 4,
  commit: 14,
  commitAll: 3,
  failCommit: 1,
  commitAuthor: 5,
  process: 10,
  refuse: 1,
  giveUp: 1,
  giveUpEpoch: 1,
  expire: 3,
  endEpoch: 1,
  save: 1,
  shrink: 2,
  crashReader: 2,
  crashAuthor: 1,
}

const steps = (without: Step['op'][] = []) =>
  fc.array(
    fc.oneof(
      ...Object.entries(weights)
        .filter(([op]) => !without.includes(op as Step['op']))
        .map(([op, weight]) => ({
          weight,
          arbitrary: fc.record({ op: fc.constant(op as Step['op']), a: fc.nat(99), b: fc.nat(9) }),
        })),
    ),
    { maxLength: 160, size: 'max' },
  )

/** Plays the steps, then lets everything through. */
function play(played: readonly Step[]): World {
  const world = new World()
  for (const step of played) take(world, step)
  return finish(world)
}

/** The network and the disks work again, until everything has its end. */
function drain(world: World): void {
  for (const send of world.pendingSends.splice(0)) world.commitSend(send)
  world.wire = []
  for (let round = 1; round <= 12; round++) {
    for (const epoch of world.written.values()) {
      world.arrive({ kind: 'opening', epoch: epoch.id, earlier: epoch.earlier })
      for (const position of epoch.rows.values()) world.arrive({ kind: 'envelope', epoch: epoch.id, position })
    }
    world.flush()
    world.states()
    for (const packet of world.wire.splice(0)) world.arrive(packet)
    world.flush()
    for (const [priority, queue] of world.queues.entries()) {
      while (queue.length > 0) {
        world.end(priority, false)
        world.flush()
      }
    }
    for (const epoch of [...world.written.keys()]) {
      const packet = world.ack(epoch)
      if (packet !== undefined) world.arrive(packet)
    }
    world.flush()
    if ([...world.written.values()].every(({ feed, stored }) => feed.settled || !stored)) return
  }
}

function finish(world: World): World {
  drain(world)
  for (const [id, { feed, stored }] of world.written) {
    if (stored && !feed.settled) throw new Error(`epoch ${id} is not settled: ${JSON.stringify(feed.unsettled())}`)
  }
  for (const truth of world.truth.values()) {
    const { durable, outcome, ends, number } = truth
    if (!durable && ends > 0) throw new Error(`${number} came from nowhere`)
    if (durable && outcome === undefined) throw new Error(`${number} has no end`)
    // What was refused before its turn never had a handler.
    if (outcome === 'processed' && ends !== 1) throw new Error(`${number} was processed ${ends} times`)
    if (outcome === 'skipped' && ends > 0) throw new Error(`${number} was skipped and processed`)
  }
  return world
}

describe('author and reader over a network that loses, doubles and reorders', () => {
  it('give every message one end, in order within its class, whatever crashes, expires and is given up', () => {
    fc.assert(
      fc.property(steps(), played => {
        play(played)
      }),
      runs(3_000),
    )
  }, 120_000)

  it('do so without anything given up, and the reader lets go of every epoch but the last', () => {
    fc.assert(
      fc.property(steps(['giveUp', 'giveUpEpoch', 'endEpoch']), played => {
        const world = play(played)
        take(world, { op: 'rotate', a: 0, b: 0 })
        take(world, { op: 'send', a: 0, b: 0 })
        finish(world)
        // The author repeats its last word: of all epochs only the newest is left.
        for (let times = 0; times < 2; times++) {
          world.states()
          for (const packet of world.wire.splice(0)) world.arrive(packet)
          world.flush()
        }
        world.shrink()
        expect(world.reader.ids).toEqual([world.all.at(-1)?.id])
        for (const packet of world.sent) world.arrive(packet)
        world.flush()
        expect(world.queues.flat()).toEqual([])
      }),
      runs(2_000),
    )
  }, 120_000)
})

describe('a reader whose disk was set back', () => {
  it('is found out, skips what its author has no bytes of any more, and both settle and go on', () => {
    const author = new AuthorFeed(epoch)
    let reader = ReaderFeed.begin(epoch)
    const send = (): Position => ({ ...author.next(0), priority: 0 })
    store(reader, send())
    reader.processed(1)
    const old = reader.snapshot().value
    store(reader, send(), send())
    const heard = author.acked(reader.ack())
    expect(heard).toMatchObject({ delivered: [1, 2, 3], processed: [1], rollback: false })
    heard.committed()

    // Of 2 and 3 neither a row nor the author's bytes are left; 4 is on its way.
    reader = ReaderFeed.restore(epoch, old, [])
    reader.resume()
    expect(author.acked(reader.ack()).rollback).toBe(true)
    expect(store(reader, send())).toEqual([])
    const news = reader.applyState(author.state())
    expect(news).toMatchObject({ released: [4], skipped: [[2, 3]], holes: [] })
    reader.snapshot().committed()
    reader.processed(4)
    const last = author.acked(reader.ack())
    expect(last).toMatchObject({ skipped: [2, 3], processed: [4], rollback: false })
    last.committed()
    expect(author.settled).toBe(true)
    expect(reader.applyState(author.state()).lost).toEqual([])
    expect(store(reader, send())).toEqual([5])
  })

  it('gives what it lost its end, where its author was set back too and offers that again', () => {
    const author = new AuthorFeed(epoch)
    const send = (): Position => ({ ...author.next(0), priority: 0 })
    const sent = [send(), send()]
    let reader = ReaderFeed.begin(epoch)
    store(reader, ...sent)
    for (const number of [1, 2]) reader.processed(number)
    author.acked(reader.ack()).committed()

    reader = ReaderFeed.begin(epoch)
    expect(reader.applyState(author.state()).lost).toEqual([[1, 2]])
    store(reader, send())
    reader.processed(3)
    expect(author.acked(reader.ack()).rollback).toBe(true)

    const earlier = AuthorFeed.restore(epoch, { kept: [1, 2] })
    reader.applyState(earlier.state())
    expect(sent.map(position => reader.check(position))).toEqual(['duplicate', 'duplicate'])
    const told = earlier.acked(reader.ack())
    expect(told.refused).toEqual([1, 2].map(number => [number, 'rejected']))
    expect(told).toMatchObject({ processed: [], skipped: [] })
    told.committed()
    expect(earlier.done).toBe(true)
    // And keeps it, on its disk too.
    reader = ReaderFeed.restore(epoch, reader.snapshot().value, [])
    expect(reader.ack()).toMatchObject({ delivered: [0, [2, 1]], processed: [0, [2, 1]], skipped: [2, []] })
  })
})
