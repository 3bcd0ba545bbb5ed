/** What is given up before its recipient can know of it is over with that: it may never come. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FrameType } from '../../src/delivery/frames.ts'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import type { RecipientReceipt } from '../../src/delivery/receipts.ts'
import { createIdentity } from '../../src/identity/keys.ts'
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
  bob = await world.start(bobs)
  // His card stays known.
  ada = await world.start(adas, undefined, { prekeyOf: () => world.rings.get(bob.id)?.current() })
})
afterEach(() => world.close())

const rows = (table = 'outbox'): Promise<number> =>
  adas.store.count(table, { prefix: table === 'epochs' ? ['out'] : [] })

async function again(): Promise<void> {
  ada.crash()
  ada = await world.start(adas, undefined, { prekeyOf: () => world.rings.get(bob.id)?.current() })
}

const standing = async (id: string): Promise<RecipientReceipt | undefined> =>
  (await loadReceipt(adas.store, id))?.recipients.get(bob.id)

async function gone(): Promise<void> {
  bob.crash()
  await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
}

describe('to one that is away', () => {
  /** Messages that expire, and some that are called off. */
  async function giveUp(): Promise<string[]> {
    const ids: string[] = []
    for (let i = 0; i < MANY; i++) ids.push((await ada.send(bob, `old ${i}`, { ttl: 2 })).id)
    for (const id of ids.slice(0, 5)) expect(await ada.delivery.cancel(id)).toBe(true)
    await world.clock.advance(3_000)
    return ids
  }

  it.each([
    ['runs on', false],
    ['starts anew', true],
  ])(
    'leaves receipts that are final, and nothing else; what comes later arrives, if its author %s',
    async (_, anew) => {
      await ada.meet(bob)
      await ada.send(bob, 'first')
      await world.clock.advance(1_000)
      await gone()
      const ids = await giveUp()
      expect(await rows()).toBe(0)
      for (const [i, id] of ids.entries()) {
        expect(await standing(id)).toMatchObject({
          state: i < 5 ? 'cancelled' : 'expired',
          final: true,
          inDoubt: false,
        })
      }
      const { id: last } = await ada.send(bob, 'last')
      if (anew) await again()
      bob = await world.start(bobs)
      await ada.meet(bob)
      await world.clock.advance(10_000)
      expect(bob.texts).toEqual(['last'])
      expect(await standing(last)).toMatchObject({ state: 'processed' })
      await ada.send(bob, 'behind')
      await world.clock.advance(10_000)
      expect(bob.texts).toEqual(['last', 'behind'])
      expect([bob.holes, bob.errors, ada.errors, ada.refused]).toEqual([[], [], [], []])
      expect([await rows(), await rows('epochs')]).toEqual([0, 1])
    },
  )

  it('leaves nothing at all where it was never there', async () => {
    await giveUp()
    expect(await rows()).toBe(0)
    await again()
    await world.clock.advance(10)
    expect(await rows('epochs')).toBe(0)
  })

  it('is not held for ever', async () => {
    const strangers = await Promise.all(
      Array.from({ length: 1_030 }, async () => (await createIdentity(undefined, world.random)).id),
    )
    for (const id of strangers) await ada.send({ id } as Node, 'x', { ttl: 1 })
    expect(await rows('epochs')).toBe(1_030)
    await world.clock.advance(2_000)
    expect(await rows()).toBe(0)
    await world.clock.advance(420_000)
    expect(await rows('epochs')).toBeLessThanOrEqual(1_024)
  }, 60_000)

  it('is sent again by its letter, and no word on its first number is about that', async () => {
    const { id } = await ada.send(bob, 'x', { ttl: 5 })
    await world.clock.advance(6_000)
    const [letter] = await ada.deadLetters.list()
    expect(await ada.deadLetters.retry(letter?.id as string)).toBe('retried')
    // He hears of both numbers, and gets neither.
    const heard = bob.delivery.received.bind(bob.delivery)
    bob.delivery.received = (from, frame) => (frame[0] === FrameType.envelope ? undefined : heard(from, frame))
    const words: Uint8Array[] = []
    const received = ada.delivery.received.bind(ada.delivery)
    ada.delivery.received = (from, frame) => {
      if (frame[0] !== FrameType.acks) return received(from, frame)
      words.push(frame.slice())
    }
    await ada.meet(bob)
    await world.clock.advance(3_000)
    expect(words.length).toBeGreaterThan(0)
    const early = words.splice(0)
    expect(await ada.delivery.cancel(id)).toBe(true)
    for (const frame of early) await received(bob.id, frame)
    expect(await standing(id)).toMatchObject({ state: 'cancelled', inDoubt: true, final: false })
    await world.clock.advance(3_000)
    for (const frame of words) await received(bob.id, frame)
    expect(await standing(id)).toMatchObject({ state: 'cancelled', inDoubt: false, final: true })
    expect(await rows()).toBe(0)
  })
})

it('what its recipient was told of waits for a word, so that order has no hole after a crash', async () => {
  await ada.meet(bob)
  await ada.send(bob, 'first')
  await world.clock.advance(1_000)
  await gone()
  const { id } = await ada.send(bob, 'given up')
  await ada.send(bob, 'second')
  // He hears what there is, and is gone before any of it comes.
  ada.breakers.get(bob.id)?.forceOpen()
  bob = await world.start(bobs)
  await ada.meet(bob)
  await world.clock.advance(1_000)
  await gone()
  expect(ada.tracker.latest(id)?.recipients.get(bob.id)?.left).toBe(false)
  expect(await ada.delivery.cancel(id)).toBe(true)
  expect(await standing(id)).toMatchObject({ state: 'cancelled', final: false })
  await again()
  expect(await rows()).toBe(2)
  bob = await world.start(bobs)
  await ada.meet(bob)
  await world.clock.advance(10_000)
  expect(bob.texts).toEqual(['second'])
  expect(bob.holes).toEqual([])
  expect(await standing(id)).toMatchObject({ state: 'cancelled', inDoubt: false, final: true })
  expect(await rows()).toBe(0)
})

describe('what may have arrived', () => {
  it('and was given up is forgotten when its recipient has nothing to say of it any more', async () => {
    await ada.meet(bob)
    bob.delivery.received = () => {}
    const { id } = await ada.send(bob, 'x', { ttl: 60 })
    await world.clock.advance(5_000)
    await gone()
    await world.clock.advance(60_000)
    expect(await standing(id)).toMatchObject({ state: 'expired', inDoubt: true, final: false })
    for (const [days, left] of [
      [30, 1],
      [2, 0],
    ] as const) {
      world.clock.jump(days * DAY)
      await again()
      await world.clock.advance(10)
      expect([await rows(), await rows('epochs')]).toEqual([left, left])
    }
    expect(await standing(id)).toMatchObject({ state: 'expired', inDoubt: true, final: false })
  })

  it('and has is kept until its end is known', async () => {
    bob.crash()
    bob = await world.start(bobs, () => 'waiting')
    await ada.meet(bob)
    const { id } = await ada.send(bob, 'x', { ttl: 60 })
    await world.clock.advance(5_000)
    await gone()
    world.clock.jump(30 * DAY)
    await again()
    expect(await rows()).toBe(1)
    bob = await world.start(bobs)
    await ada.meet(bob)
    await world.clock.advance(10_000)
    expect(await standing(id)).toMatchObject({ state: 'expired', arrived: true, final: true })
    expect(await rows()).toBe(0)
  })
})
