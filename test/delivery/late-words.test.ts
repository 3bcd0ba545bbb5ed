/** Words of recipients on messages that are not in memory any more. */

import { afterEach, expect, it } from 'vitest'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import { Tracker } from '../../src/delivery/tracker.ts'
import { DeliveryWorld, type Node } from './world.ts'

let world: DeliveryWorld
afterEach(() => world.close())

it('what waits long at its recipient, with more of it than is followed, is processed, and its receipt says so', async () => {
  world = new DeliveryWorld()
  const adas = await world.machine()
  const { store } = adas
  const tracker = new Tracker({ clock: world.clock, limit: 2, load: id => loadReceipt(store, id) })
  const ada = await world.start(adas, undefined, { tracker })
  let wanted = false
  const bob: Node = await world.start(await world.machine(), () => (wanted ? Promise.resolve(undefined) : 'waiting'))
  await ada.meet(bob)
  const all = []
  for (let i = 0; i < 5; i++) all.push(await ada.send(bob, `${i}`, { guarantee: 'exactly-once' }))
  await world.clock.advance(2_000)
  expect(tracker.size).toBe(2)
  wanted = true
  bob.delivery.offerAgain()
  await world.clock.advance(30_000)
  expect(bob.texts).toHaveLength(5)
  const states = all.map(async ({ id }) => (await loadReceipt(store, id))?.recipients.get(bob.id)?.state)
  expect(await Promise.all(states)).toEqual(Array(5).fill('processed'))
  // The ones that were followed to the end hear of it.
  await Promise.all(all.slice(3).map(({ processed }) => processed))
  expect(tracker.size).toBe(2)
  expect(await store.count('outbox')).toBe(0)
})
