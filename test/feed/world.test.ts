import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
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
  process: 10,
  refuse: 1,
  giveUp: 1,
  giveUpEpoch: 1,
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

function finish(world: World): World {
  world.drain(12)
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
      fc.property(steps(['giveUp', 'giveUpEpoch']), played => {
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
