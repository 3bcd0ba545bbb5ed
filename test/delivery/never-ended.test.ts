/** What waits for a last word of somebody who never comes back is not kept for ever. */

import { afterEach, beforeEach, expect, it } from 'vitest'
import { FrameType } from '../../src/delivery/frames.ts'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import type { RecipientReceipt } from '../../src/delivery/receipts.ts'
import type { Tracking } from '../../src/delivery/tracker.ts'
import { DeliveryWorld, type Machine, type Node } from './world.ts'

const DAY = 86_400_000
const MANY = 20

let world: DeliveryWorld
let adas: Machine
let bobs: Machine
let ada: Node
let bob: Node
beforeEach(async () => {
  world = new DeliveryWorld()
  adas = await world.machine()
  bobs = await world.machine()
  // He takes what comes, and does nothing with it.
  bob = await world.start(bobs, () => 'waiting')
  ada = await world.start(adas)
})
afterEach(() => world.close())

const rows = async (): Promise<number[]> => [
  await adas.store.count('outbox'),
  await adas.store.count('epochs', { prefix: ['out'] }),
]

const standing = async (id: string): Promise<RecipientReceipt | undefined> =>
  (await loadReceipt(adas.store, id))?.recipients.get(bob.id)

async function gone(): Promise<void> {
  bob.crash()
  await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
}

/** So many days go by. */
async function pass(days: number, anew: boolean): Promise<void> {
  world.clock.jump(days * DAY)
  await world.clock.advance(10)
  if (anew) {
    ada.crash()
    ada = await world.start(adas)
    await world.clock.advance(10)
  } else await ada.delivery.tidy()
}

/** He is back, and what is sent from now on arrives. */
async function goesOn(): Promise<void> {
  bob = await world.start(bobs)
  await ada.meet(bob)
  await ada.send(bob, 'later')
  await world.clock.advance(30_000)
  await ada.send(bob, 'behind')
  await world.clock.advance(30_000)
  expect(bob.texts).toEqual(['later', 'behind'])
  expect([bob.holes, bob.errors, ada.errors]).toEqual([[], [], []])
  expect(await rows()).toEqual([0, 1])
}

it.each([
  ['in a run that goes on', false],
  ['at the next start', true],
])('What arrived and was never ended leaves its receipt, and nothing else, %s', async (_, anew) => {
  await ada.meet(bob)
  const sent: Tracking[] = []
  for (let i = 0; i < MANY; i++) sent.push(await ada.send(bob, `${i}`, { ttl: 60 }))
  const processed = Promise.allSettled(sent.map(({ processed }) => processed))
  await world.clock.advance(5_000)
  await gone()
  for (const [days, left] of [
    [30, [MANY, 1]],
    [2, [0, 0]],
  ] as const) {
    await pass(days, anew)
    expect(await rows()).toEqual(left)
  }
  for (const { id } of sent) expect(await standing(id)).toMatchObject({ state: 'delivered', final: false })
  if (!anew) {
    for (const end of await processed) expect(end).toMatchObject({ reason: { code: 'MESSAGE_EXPIRED' } })
    expect(ada.tracker.size).toBe(0)
  }
  await goesOn()
})

it('What was given up, and may have arrived, leaves its receipt, and nothing else, in a run that goes on', async () => {
  await ada.meet(bob)
  const received = ada.delivery.received.bind(ada.delivery)
  ada.delivery.received = (from, frame) => (frame[0] === FrameType.acks ? undefined : received(from, frame))
  const { id } = await ada.send(bob, 'x', { ttl: 60 })
  await world.clock.advance(5_000)
  await gone()
  Reflect.deleteProperty(ada.delivery, 'received')
  await world.clock.advance(60_000)
  await pass(30, false)
  expect(await rows()).toEqual([1, 1])
  await pass(2, false)
  expect(await rows()).toEqual([0, 0])
  expect(await standing(id)).toMatchObject({ state: 'expired', inDoubt: true, final: false })
  await goesOn()
})

it('An epoch in which something has its time yet stays with that alone', async () => {
  await ada.meet(bob)
  await ada.send(bob, 'short', { ttl: 60 })
  const { id } = await ada.send(bob, 'long', { ttl: 10 * 86_400 })
  await world.clock.advance(5_000)
  await gone()
  await pass(32, false)
  expect(await rows()).toEqual([1, 1])
  bob = await world.start(bobs)
  await ada.meet(bob)
  await world.clock.advance(30_000)
  expect(await standing(id)).toMatchObject({ state: 'expired', arrived: true, final: true })
  await ada.delivery.tidy()
  expect(await rows()).toEqual([0, 0])
})
