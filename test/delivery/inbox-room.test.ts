/** Inboxes that are full: of those who were told so, and of what was taken all the same. */

import { afterEach, describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { InboxRoom } from '../../src/delivery/inbox-room.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { DeliveryWorld, type Handler } from './world.ts'

let world: DeliveryWorld | undefined
afterEach(async () => {
  await world?.close()
  world = undefined
})

const SECOND = 1_000
const texts = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i} `.padEnd(1_000, '.'))

test('Whoever was told that there is no room hears of it soon after others have made some', async () => {
  world = new DeliveryWorld()
  const { clock } = world
  const wanted = new Set<string>()
  const handler: Handler = ({ author }) => (wanted.has(author) ? Promise.resolve() : 'waiting')
  const bob = await world.start(await world.machine(), handler, { inbox: { totalBytes: 20_000 } })
  const rows = async (author: string): Promise<number> => bob.machine.store.count('inbox', { prefix: [author] })
  const [eve, ada] = [await world.start(await world.machine()), await world.start(await world.machine())]
  await eve.meet(bob)
  for (const text of texts(20)) await eve.send(bob, text)
  await clock.advance(SECOND)
  await ada.meet(bob)
  for (const text of texts(20)) await ada.send(bob, text)
  // Until it asks no more often than it ever does.
  await clock.advance(60 * SECOND)
  const before = await rows(ada.id)
  expect(before).toBeGreaterThan(0)
  expect(before).toBeLessThan(10)
  await clock.advance(60 * SECOND)
  expect(await rows(ada.id)).toBe(before)
  wanted.add(eve.id)
  bob.delivery.offerAgain()
  await clock.advance(SECOND)
  expect(await rows(ada.id)).toBeGreaterThan(before)
  wanted.add(ada.id)
  bob.delivery.offerAgain()
  await clock.advance(60 * SECOND)
  expect(bob.got.map(({ message }) => message.content)).toEqual(expect.arrayContaining(texts(20)))
  expect([await rows(ada.id), await rows(eve.id)]).toEqual([0, 0])
})

describe('Many who were told that there is no room', () => {
  const MIB = 2 ** 20
  const COUNT = 1_000

  function crowd() {
    const clock = new DrivenClock()
    const room = new InboxRoom({ messages: 10, bytes: MIB, totalBytes: MIB }, clock)
    room.count(MIB)
    const told: number[] = []
    let asked = 0
    for (let i = 0; i < COUNT; i++) {
      const waiter = {
        get room() {
          asked++
          return Number(room.used < MIB)
        },
        tell: () => void told.push(i),
      }
      room.told(waiter, false)
    }
    return { clock, room, told, asked: () => asked }
  }

  test('are told no more at a time than there is room for, in their order, and at last all', async () => {
    const { clock, room, told } = crowd()
    room.count(-MIB / 4)
    expect(told).toEqual([])
    await clock.advance(100)
    expect(told).toEqual([0, 1, 2, 3])
    // Those have taken all of it.
    room.count(MIB / 4)
    await clock.advance(60 * SECOND)
    expect(told).toHaveLength(4)
    room.count(-1)
    await clock.advance(100)
    expect(told).toEqual([0, 1, 2, 3, 4])
    room.count(1 - MIB / 2)
    await clock.advance(60 * SECOND)
    expect(told).toEqual(Array.from({ length: COUNT }, (_, i) => i))
    expect(clock.pending).toBe(0)
  })

  test('are not looked at with each message that is handled', async () => {
    const { clock, room, told, asked } = crowd()
    for (let i = 0; i < 1_000; i++) {
      room.count(-1)
      room.count(1)
    }
    await clock.advance(SECOND)
    expect(asked()).toBe(COUNT)
    expect(told).toEqual([])
    expect(clock.pending).toBe(0)
    room.count(-1)
    room.close()
    await clock.advance(SECOND)
    expect(asked()).toBe(COUNT)
  })
})

/** A store that has no room for the messages with these numbers. */
function without(numbers: ReadonlySet<number>): Store {
  const store = memoryStore()
  const commit = store.commit.bind(store)
  store.commit = async (batch, options) => {
    if (batch.writes.some(each => each.op === 'put' && each.table === 'inbox' && numbers.has(each.key[2] as number)))
      throw new AfpDataStoreError('STORE_FULL', 'there is no room')
    return commit(batch, options)
  }
  return store
}

test.each([{ messages: 10 }, { bytes: 10_000 }, { totalBytes: 20_000 }])(
  'What is taken although there is no room (%o) is one message, however often its recipient starts anew',
  async inbox => {
    world = new DeliveryWorld()
    const { clock } = world
    const missing = new Set([1, 3])
    const machine = await world.machine(without(missing))
    const rows = (): Promise<number> => machine.store.count('inbox')
    const ada = await world.start(await world.machine())
    let bob = await world.start(machine, () => 'waiting', { inbox })
    await ada.meet(bob)
    for (const text of texts(30)) await ada.send(bob, text)
    await clock.advance(60 * SECOND)
    const full = await rows()
    expect(full).toBeGreaterThanOrEqual(8)
    expect(full).toBeLessThanOrEqual(10)
    // The second one goes with it, the others wait for the third.
    missing.delete(1)
    await clock.advance(60 * SECOND)
    expect(await rows()).toBe(full + 1)
    missing.delete(3)
    for (const handler of [undefined, (): 'waiting' => 'waiting', (): 'waiting' => 'waiting']) {
      if (handler !== undefined) {
        bob.crash()
        await bob.delivery.close()
        bob = await (world as DeliveryWorld).start(machine, handler, { inbox })
        await ada.meet(bob)
      }
      await clock.advance(60 * SECOND)
      expect(await rows()).toBe(full + 1)
    }
    bob.crash()
    await bob.delivery.close()
    bob = await world.start(machine, undefined, { inbox })
    await ada.meet(bob)
    await clock.advance(120 * SECOND)
    expect(bob.texts).toEqual(texts(30))
    expect(await rows()).toBe(0)
  },
)
