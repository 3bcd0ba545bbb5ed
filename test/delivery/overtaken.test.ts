/** A position that is given up, and that its recipient has after all: its word is on the disk before what gives it up. */

import { afterEach, expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { FrameType } from '../../src/delivery/frames.ts'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { DeliveryWorld } from './world.ts'

let world: DeliveryWorld
afterEach(() => world.close())

/** One commit after the other, 20 ms each, once it is slow. */
function slowDisk() {
  const store = memoryStore()
  const commit = store.commit.bind(store)
  let free = 0
  const disk = { store, slow: false, refuses: false }
  store.commit = async (batch, options) => {
    if (!disk.slow) return commit(batch, options)
    const refused = disk.refuses
    disk.refuses = false
    free = Math.max(free, world.clock.monotonic()) + 20
    await new Promise<void>(resolve => world.clock.after(free - world.clock.monotonic(), resolve))
    if (refused) throw new AfpDataStoreError('STORE_FULL', 'no room for this')
    return commit(batch, options)
  }
  return disk
}

it('a cancel that was made from a refused word of another recipient leaves no row where there is none any more', async () => {
  world = new DeliveryWorld()
  const disk = slowDisk()
  const adas = await world.machine(disk.store)
  let ada = await world.start(adas)
  const bob = await world.start(await world.machine())
  const cid = await world.start(await world.machine(), () => new Promise<never>(() => {}))
  for (const there of [bob, cid]) await ada.meet(there)
  const received = ada.delivery.received.bind(ada.delivery)
  const words: { from: string; frame: Uint8Array }[] = []
  ada.delivery.received = (from, frame) => {
    if (frame[0] !== FrameType.acks) return received(from, frame)
    words.push({ from, frame })
    return undefined
  }
  const say = (who: string): void => {
    for (const { from, frame } of words) if (from === who) void received(from, frame)
  }
  const message = ada.message(bob, 'x', { guarantee: 'exactly-once', ttl: 3_600 })
  await ada.delivery.send(ada.delivery.draft(message, 'message'), [bob.id, cid.id])
  await world.clock.advance(1_000)
  disk.slow = true
  disk.refuses = true
  say(cid.id)
  await world.clock.advance(5)
  const cancelled = ada.delivery.cancel(message.id)
  // The word is refused: what was made from it will be.
  await world.clock.advance(20)
  say(bob.id)
  ada.delivery.received = received
  await world.clock.advance(5_000)
  expect(await cancelled).toBe(false)
  const states = [...((await loadReceipt(disk.store, message.id))?.recipients.values() ?? [])].map(({ state }) => state)
  expect(states).toEqual(['processed', 'delivered'])
  disk.slow = false
  ada.crash()
  ada = await world.start(adas)
  // That of the other one, who is at work on it.
  expect(await disk.store.count('outbox')).toBe(1)
})
