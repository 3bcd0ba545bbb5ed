/** An acknowledgement asks for none: two agents that have nothing more to tell each other say nothing. */

import { afterEach, expect, test } from 'vitest'
import { FrameType } from '../../src/delivery/frames.ts'
import { HostileWorld } from './hostile-world.ts'

let world: HostileWorld
afterEach(() => world.close())

test('an acknowledgement is not acknowledged: after the last one nothing of delivery is said', async () => {
  world = await HostileWorld.make()
  const { ada, bob } = world
  const { processed } = await world.say(ada, 'hello', { guarantee: 'exactly-once' })
  await world.during(processed)
  await world.emptied(ada, 'outbox', bob)
  await world.clock.advance(1_000)
  expect(ada.tap.of(FrameType.acks, bob.id).length).toBeGreaterThan(0)
  const said = [...ada.tap.seen, ...bob.tap.seen]
  // The author may ask what became of its messages, the recipient tells it, and that is all.
  expect(bob.tap.of(FrameType.acks, ada.id)).toEqual([])
  await world.clock.advance(120_000)
  expect([...ada.tap.seen, ...bob.tap.seen]).toEqual(said)
})
