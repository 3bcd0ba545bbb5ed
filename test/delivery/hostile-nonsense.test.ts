/** Frames that make no sense: what it costs to look at them, and what it costs whoever goes on sending them. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MAX_MALFORMED } from '../../src/agent/standing.ts'
import { FrameType, frameOf } from '../../src/delivery/frames.ts'
import { Hostile, linkedIn } from './hostile-member.ts'
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

describe('A member that sends frames which make no sense', () => {
  test('keeps its channel for so many in a minute', async () => {
    const { bob } = world
    for (let minute = 1; minute <= 2; minute++) {
      mallory.send(bob, ...nonsense(MAX_MALFORMED))
      await world.until(() => refusals() === minute * MAX_MALFORMED)
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
    mallory.send(bob, ...nonsense(MAX_MALFORMED + 40))
    await world.until(() => closed.some(({ peer }) => peer === mallory.id))
    expect(refusals()).toBe(MAX_MALFORMED + 1)
    await mallory.meet(bob.agent)
    mallory.send(bob, ...nonsense(40))
    await world.until(() => closed.filter(({ peer }) => peer === mallory.id).length === 2)
    expect(refusals()).toBe(MAX_MALFORMED + 2)
    expect(closed.every(({ peer }) => peer === mallory.id)).toBe(true)
  })

  test('is not taken for one that speaks a later version', async () => {
    const { bob } = world
    const count = 2 * MAX_MALFORMED
    mallory.send(bob, ...Array.from({ length: count }, (_, i) => frameOf(22 + i, Uint8Array.of(0xa0))))
    await world.until(() => bob.reasons(mallory).length === count)
    expect(bob.counted('wrong-version')).toBe(count)
    expect(linked()).toBe(true)
  })
})
