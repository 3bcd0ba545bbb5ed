/** Frames that make no sense or are forged: what it costs whoever goes on sending them. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MAX_FAULTS } from '../../src/agent/standing.ts'
import { FrameType, frameOf } from '../../src/delivery/frames.ts'
import { flipped, Hostile, linkedIn } from './hostile-member.ts'
import { HostileWorld } from './hostile-world.ts'

let world: HostileWorld
let mallory: Hostile
beforeEach(async () => {
  world = await HostileWorld.make()
  await world.hold()
  mallory = await Hostile.join(world, world.bob.agent)
})
afterEach(async () => {
  await world.unharmed()
  await world.close()
})

/** Those that are looked at as they come: openings have their turn. */
const TYPES = (Object.keys(FrameType) as (keyof typeof FrameType)[]).filter(type => type !== 'opening')
/** Nonsense of each type in turn. */
const nonsense = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) =>
    mallory.frame(TYPES[i % TYPES.length] as (typeof TYPES)[number], Uint8Array.of(0xa0)),
  )

const refusals = (): number => world.bob.reasons(mallory).filter(reason => reason === 'malformed').length
const linked = (): boolean => linkedIn(world.bob.agent, mallory.id)()

/** What a member may forge, and why it is refused. */
const forgeries: [string, string, () => Promise<(i: number) => Uint8Array>][] = [
  [
    'openings that nobody signed',
    'bad-signature',
    async () => {
      const { opening } = await mallory.open(world.bob.agent)
      return i => flipped(opening, 8 * (opening.length - 64) + (i % 512))
    },
  ],
  [
    'openings of somebody else',
    'wrong-author',
    async () => {
      const other = await Hostile.join(world)
      const { opening } = await other.open(world.bob.agent)
      return () => opening
    },
  ],
  [
    'envelopes that cannot be opened',
    'undecryptable',
    async () => {
      const epoch = await mallory.open(world.bob.agent)
      mallory.send(world.bob, epoch.opening)
      const frame = await mallory.envelope(epoch, 1, 'x')
      return i => flipped(frame, 8 * (frame.length - 16) + (i % 128))
    },
  ],
]

describe('A member that sends forged frames', () => {
  test.each(forgeries)('loses its channel for too many in a minute: %s', async (_what, reason, prepare) => {
    const { bob } = world
    const closed = bob.events('link:closed')
    const forge = await prepare()
    mallory.send(bob, ...Array.from({ length: MAX_FAULTS }, (_, i) => forge(i)))
    await world.until(() => bob.counted(reason) === MAX_FAULTS)
    await world.clock.advance(1_000)
    expect(closed).toEqual([])
    for (let more = 1; more <= 2; more++) {
      mallory.send(bob, forge(more))
      await world.until(() => closed.filter(({ peer }) => peer === mallory.id).length === more)
      await mallory.meet(bob.agent)
    }
    expect(bob.counted(reason)).toBe(MAX_FAULTS + 2)
    expect(closed.every(({ peer }) => peer === mallory.id)).toBe(true)
  })
})

describe('A member that sends frames which make no sense', () => {
  test('keeps its channel for so many in a minute', async () => {
    const { bob } = world
    for (let minute = 1; minute <= 2; minute++) {
      mallory.send(bob, ...nonsense(MAX_FAULTS))
      await world.until(() => refusals() === minute * MAX_FAULTS)
      await world.clock.advance(60_000)
    }
    expect(bob.events('link:closed')).toEqual([])
    const epoch = await mallory.open(bob.agent)
    mallory.send(bob, epoch.opening, await mallory.envelope(epoch, 1, 'sense'))
    await world.until(() => bob.from(mallory).length === 1)
    expect(linked()).toBe(true)
  })

  test('loses it with the next, and each later one of that minute; what came behind is not read', async () => {
    const { bob } = world
    const closed = bob.events('link:closed')
    mallory.send(bob, ...nonsense(MAX_FAULTS + 40))
    await world.until(() => closed.some(({ peer }) => peer === mallory.id))
    expect(refusals()).toBe(MAX_FAULTS + 1)
    await mallory.meet(bob.agent)
    mallory.send(bob, ...nonsense(40))
    await world.until(() => closed.filter(({ peer }) => peer === mallory.id).length === 2)
    expect(refusals()).toBe(MAX_FAULTS + 2)
    expect(closed.every(({ peer }) => peer === mallory.id)).toBe(true)
  })

  test('is not taken for one that speaks a later version', async () => {
    const { bob } = world
    const count = 2 * MAX_FAULTS
    mallory.send(bob, ...Array.from({ length: count }, (_, i) => frameOf(22 + i, Uint8Array.of(0xa0))))
    await world.until(() => bob.reasons(mallory).length === count)
    expect(bob.counted('wrong-version')).toBe(count)
    expect(linked()).toBe(true)
  })
})
