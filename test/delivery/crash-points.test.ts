/** What has been promised holds whenever the power goes, also between two commits that belong together. */

import { afterEach, describe, expect, it } from 'vitest'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { Disk } from './held-disk.ts'
import { DeliveryWorld, type Handler, type Node } from './world.ts'

let world: DeliveryWorld
afterEach(() => world.close())

describe('a recipient that has lost its disk', () => {
  // What is lost when the power goes after that many commits of moving what was sealed to the old key.
  it.each([0, 1, 2, 3, 4, 5, 6, 8, 12])(
    'gets everything from a sender that crashes %i commits later',
    async commits => {
      world = new DeliveryWorld()
      const disk = new Disk()
      const adas = await world.machine(disk.store)
      const bobs = await world.machine()
      let ada = await world.start(adas)
      let bob = await world.start(bobs)
      const texts = ['one', 'two', 'three']
      for (const text of texts) await ada.send(bob, text)
      bob.crash()
      bob = await world.start({ identity: bobs.identity, store: memoryStore() })
      disk.left = commits
      await ada.meet(bob)
      await world.clock.advance(2_000)
      ada.crash()
      disk.left = Number.POSITIVE_INFINITY
      ada = await world.start({ identity: adas.identity, store: disk.store })
      await ada.meet(bob)
      await world.clock.advanceUntil(() => bob.texts.length >= 3)
      await world.clock.advance(10_000)
      expect(bob.texts).toEqual(texts)
      expect(await disk.rows.count('outbox')).toBe(0)
      expect(ada.errors).toEqual([])
    },
  )
})

describe('what a recipient that has lost its disk had been sent', () => {
  const away = async (handler?: Handler): Promise<{ ada: Node; bob: Node; back: () => Promise<Node> }> => {
    world = new DeliveryWorld()
    const ada = await world.start(await world.machine())
    const bobs = await world.machine()
    const bob = await world.start(bobs, handler)
    const back = async (): Promise<Node> => {
      bob.crash()
      const next = await world.start({ identity: bobs.identity, store: memoryStore() })
      await ada.meet(next)
      await world.clock.advance(30_000)
      return next
    }
    return { ada, bob, back }
  }

  it('and had on it is not kept by its sender for ever', async () => {
    const { ada, bob, back } = await away(() => new Promise(() => {}))
    await ada.meet(bob)
    const { receipt } = await ada.send(bob, 'x')
    await world.clock.advanceUntil(() => ada.tracker.tracking(receipt.id)?.status === 'delivered')
    await back()
    expect(await ada.machine.store.count('outbox')).toBe(0)
    expect(ada.errors).toEqual([])
  })

  it('and was called off has its end: nothing of it can come any more', async () => {
    const { ada, bob, back } = await away()
    const tracking = await ada.send(bob, 'x')
    await ada.delivery.cancel(tracking.id)
    const next = await back()
    expect(tracking.receipt.recipients.get(bob.id)).toMatchObject({ state: 'cancelled', inDoubt: false, final: true })
    expect(await loadReceipt(ada.machine.store, tracking.id)).toEqual(tracking.receipt)
    expect(await ada.machine.store.count('outbox')).toBe(0)
    expect(next.texts).toEqual([])
  })
})

describe('a message that is given up', () => {
  /** Both ends are slow to write; then the way opens. */
  async function meanwhile(
    end: (ada: Node, id: string) => Promise<{ over: Promise<unknown> }>,
  ): Promise<{ bob: Node; ada: Node }> {
    world = new DeliveryWorld()
    const disk = new Disk()
    const ada = await world.start(await world.machine(disk.store))
    const bob = await world.start(await world.machine())
    const { receipt } = await ada.send(bob, 'x', { ttl: 60 })
    const gate = Promise.withResolvers<void>()
    disk.gate = gate.promise
    const ended = await end(ada, receipt.id)
    await ada.meet(bob)
    await world.clock.advance(1_000)
    gate.resolve()
    await ended.over
    await world.clock.advance(10_000)
    return { ada, bob }
  }

  it('does not leave while its cancelling is being written', async () => {
    const { ada, bob } = await meanwhile(async (ada, id) => ({ over: ada.delivery.cancel(id) }))
    expect([bob.texts, bob.refused]).toEqual([[], []])
    expect(await ada.machine.store.count('outbox')).toBe(0)
  })

  it('does not leave when it is called off while it is being sealed', async () => {
    world = new DeliveryWorld()
    const disk = new Disk()
    const ada = await world.start(await world.machine(disk.store))
    const bob = await world.start(await world.machine())
    // Without the key of its recipient it is kept as it is.
    world.nodes.delete(bob.id)
    const tracking = await ada.send(bob, 'x')
    world.nodes.set(bob.id, bob)
    const gate = Promise.withResolvers<void>()
    disk.gate = gate.promise
    ada.delivery.cardChanged(bob.id)
    await world.clock.advanceUntil(() => disk.waiting > 0)
    const cancelling = ada.delivery.cancel(tracking.id)
    gate.resolve()
    expect(await cancelling).toBe(true)
    await ada.meet(bob)
    await world.clock.advance(10_000)
    expect([bob.texts, bob.refused]).toEqual([[], []])
    expect(tracking.receipt.recipients.get(bob.id)?.state).toBe('cancelled')
    expect(await ada.machine.store.count('outbox')).toBe(0)
  })

  it('does not leave while its end is being written', async () => {
    const { ada, bob } = await meanwhile(async () => {
      await world.clock.advance(60_500)
      return { over: Promise.resolve() }
    })
    expect([bob.texts, bob.refused]).toEqual([[], []])
    expect((await ada.deadLetters.list())[0]).toMatchObject({ reason: 'expired', inDoubt: false })
  })
})

describe('more runs of a sender than an opening can name', () => {
  it('are kept one and all, in their order, while nobody reads', async () => {
    world = new DeliveryWorld()
    const adas = await world.machine(memoryStore())
    const store = Object.assign(adas.store, { close: async () => {} })
    let open = false
    const bob = await world.start(await world.machine(), () => (open ? Promise.resolve() : 'waiting'))
    const texts: string[] = []
    for (let run = 0; run < 70; run++) {
      const ada = await world.start({ identity: adas.identity, store })
      await ada.send(bob, `${run}`)
      texts.push(`${run}`)
      await ada.meet(bob)
      await world.clock.advance(500)
      ada.crash()
    }
    open = true
    const ada = await world.start({ identity: adas.identity, store })
    await ada.send(bob, 'last')
    await ada.meet(bob)
    bob.delivery.offerAgain()
    await world.clock.advanceUntil(() => bob.texts.length === 71)
    await world.clock.advance(10_000)
    expect(bob.texts).toEqual([...texts, 'last'])
    expect(await store.count('outbox')).toBe(0)
  })
})
