/** What an earlier run kept is taken up, sealed, handled and ended a little at a time: others have their turn between. */

import { afterEach, expect, it } from 'vitest'
import { SLICE_ITEMS } from '../../src/common/slices.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { DeliveryWorld, type Handler, type Machine, type Node } from './world.ts'

const COUNT = 300

let world: DeliveryWorld
afterEach(() => world.close())

/** Counts what is done between two turns of others. */
class Meter {
  /** The most of each kind so far, in one turn. */
  readonly most = new Map<string, number>()
  readonly #now = new Map<string, number>()
  turns = 0
  /** What others do in their turn. */
  others = (): void => {}

  did(what: string, items: number): void {
    const now = (this.#now.get(what) ?? 0) + items
    this.#now.set(what, now)
    this.most.set(what, Math.max(this.most.get(what) ?? 0, now))
  }

  readonly nextTask = async (): Promise<void> => {
    await new Promise(resolve => setImmediate(resolve))
    this.turns++
    this.#now.clear()
    this.others()
  }

  /** The store, its rows and commits counted. */
  over(store: Store): Store {
    return {
      durability: store.durability,
      get: store.get.bind(store),
      count: store.count.bind(store),
      close: store.close.bind(store),
      range: async (table, options) => {
        const rows = await store.range(table, options)
        this.did(`rows of ${table}`, rows.length)
        return rows
      },
      commit: (batch, options) => {
        this.did('commits', 1)
        return store.commit(batch, options)
      },
    }
  }

  /** That all of some work was done, and nowhere more than a slice of it at a time. */
  expectSlices(...what: string[]): void {
    for (const each of what) expect([each, this.most.get(each)]).toEqual([each, SLICE_ITEMS])
    expect(this.turns).toBeGreaterThanOrEqual(Math.floor(COUNT / SLICE_ITEMS))
  }
}

const texts = Array.from({ length: COUNT }, (_, i) => `number ${i}`)

/** A run on what another one left, and what it does at a time. */
async function again(machine: Machine, meter: Meter, handler?: Handler): Promise<Node> {
  const store = meter.over(machine.store)
  return world.start({ ...machine, store }, handler, { nextTask: meter.nextTask })
}

/** Messages of ada's to bob, kept by a run that has ended. */
async function kept(ada: Node, bob: Node, init: Parameters<Node['send']>[2] = {}): Promise<void> {
  await Promise.all(texts.map(text => ada.send(bob, text, init)))
  await ada.delivery.close()
  ada.crash()
}

it('an outbox', async () => {
  world = new DeliveryWorld()
  const adas = await world.machine()
  const bob = await world.start(await world.machine())
  await kept(await world.start(adas), bob)
  const meter = new Meter()
  const ada = await again(adas, meter)
  meter.expectSlices('rows of outbox')
  await ada.meet(bob)
  await world.clock.advanceUntil(() => bob.texts.length === COUNT)
  expect(bob.texts).toEqual(texts)
})

it('receipts of what has arrived', async () => {
  world = new DeliveryWorld()
  const adas = await world.machine()
  const bob = await world.start(await world.machine(), () => 'waiting')
  const before = await world.start(adas)
  await before.meet(bob)
  await Promise.all(texts.map(text => before.send(bob, text)))
  await world.clock.advance(5_000)
  await before.delivery.close()
  before.crash()
  const meter = new Meter()
  const ada = await again(adas, meter)
  meter.expectSlices('rows of outbox', 'rows of receipts')
  expect(ada.tracker.size).toBe(COUNT)
})

/** Messages that were kept without a key, by a machine whose next run knows one. */
async function unsealed(): Promise<{ adas: Machine; bobs: Machine; bob: Node }> {
  world = new DeliveryWorld()
  const [adas, bobs] = [await world.machine(), await world.machine()]
  const bob = await world.start(bobs)
  const first = await world.start(adas)
  bob.crash()
  await kept(first, bob)
  return { adas, bobs, bob }
}

it('messages that waited for a card, once it comes, and what is sent while they are sealed goes behind them', async () => {
  const { adas, bobs, bob: away } = await unsealed()
  let bob = away
  expect(await adas.store.count('outbox', { prefix: [bob.id, ''] })).toBe(COUNT)
  const meter = new Meter()
  const ada = await again(adas, meter)
  meter.expectSlices('rows of outbox')
  bob = await world.start(bobs)
  meter.most.clear()
  const turns = meter.turns
  ada.delivery.cardChanged(bob.id)
  const sending = ada.send(bob, 'later')
  await ada.meet(bob)
  await world.clock.advanceUntil(() => bob.texts.length === COUNT + 1)
  await sending
  expect(bob.texts).toEqual([...texts, 'later'])
  // The number of each commits its own envelope; whatever was committed beside them is acknowledged and over.
  expect(meter.turns - turns).toBeGreaterThanOrEqual(Math.floor(COUNT / SLICE_ITEMS))
})

it('no more of them than a slice is sealed at a time', async () => {
  const { adas, bobs, bob } = await unsealed()
  const meter = new Meter()
  const ada = await again(adas, meter)
  await world.start(bobs)
  meter.most.clear()
  ada.delivery.cardChanged(bob.id)
  // Nobody is linked: nothing but their envelopes is committed.
  while ((await adas.store.count('outbox', { prefix: [bob.id, ''] })) > 0) {
    await new Promise(resolve => setImmediate(resolve))
  }
  meter.expectSlices('commits')
})

it('messages that expired while nobody was there', async () => {
  world = new DeliveryWorld()
  const adas = await world.machine()
  const bob = await world.start(await world.machine())
  await kept(await world.start(adas), bob, { ttl: 60 })
  await world.clock.advance(120_000)
  const meter = new Meter()
  const ada = await again(adas, meter)
  meter.most.clear()
  await world.clock.advanceUntil(() => ada.deadLetters.count() === COUNT)
  meter.expectSlices('commits')
  expect(ada.errors).toEqual([])
})

it('and messages without a key that did', async () => {
  world = new DeliveryWorld()
  const adas = await world.machine()
  const bob = await world.start(await world.machine())
  const first = await world.start(adas)
  bob.crash()
  await kept(first, bob, { ttl: 60 })
  await world.clock.advance(120_000)
  const meter = new Meter()
  const ada = await again(adas, meter)
  meter.most.clear()
  await world.clock.advanceUntil(() => ada.deadLetters.count() === COUNT)
  meter.expectSlices('commits')
  expect(await adas.store.count('outbox')).toBe(0)
})

it.each(['that is handled', 'that nobody wants yet'])('an inbox %s', async how => {
  world = new DeliveryWorld()
  const bobs = await world.machine(memoryStore())
  const ada = await world.start(await world.machine())
  const before = await world.start(bobs, () => 'waiting')
  await ada.meet(before)
  await Promise.all(texts.map(text => ada.send(before, text)))
  while ((await bobs.store.count('inbox')) < COUNT) await world.clock.advance(100)
  before.crash()
  let wanted = how === 'that is handled'
  const meter = new Meter()
  const [offered, taken]: [unknown[], unknown[]] = [[], []]
  let bob: Node | undefined
  // Some of them have been offered by then, to nobody, and others not yet: they keep their order all the same.
  meter.others = () => {
    if (wanted || offered.length === 0) return
    wanted = true
    expect(offered.length).toBeLessThan(COUNT)
    bob?.delivery.offerAgain()
  }
  bob = await again(bobs, meter, arrived => {
    meter.did('messages', 1)
    offered.push(arrived)
    if (!wanted) return 'waiting'
    taken.push(arrived.message.content)
    return Promise.resolve()
  })
  meter.expectSlices('rows of inbox')
  while (taken.length < COUNT) await new Promise(resolve => setImmediate(resolve))
  expect(taken).toEqual(texts)
  meter.expectSlices('messages')
})
