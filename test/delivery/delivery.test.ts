import { afterEach, describe, expect, it } from 'vitest'
import { AfpError } from '../../src/common/errors.ts'
import { encode } from '../../src/message/codec.ts'
import { contentToWire } from '../../src/message/content.ts'
import { MortalStore } from '../simulation/mortal-store.ts'
import { DeliveryWorld, type Handler, type Node } from './world.ts'

let world: DeliveryWorld
afterEach(() => world.close())

/** Two that are linked. */
async function pair(handler?: Handler): Promise<[Node, Node]> {
  world = new DeliveryWorld()
  const ada = await world.start(await world.machine())
  const bob = await world.start(await world.machine(), handler)
  await ada.meet(bob)
  return [ada, bob]
}

const quiet = (...nodes: Node[]): void =>
  expect(nodes.flatMap(({ errors, refused }) => [...errors, ...refused])).toEqual([])

describe('a message that is delivered at least once', () => {
  it('is on the disk when send resolves, and ends as processed with nothing left on either disk', async () => {
    const [ada, bob] = await pair()
    const tracking = await ada.send(bob, 'hello')
    expect(await ada.machine.store.count('outbox')).toBe(1)
    await world.clock.advanceUntil(() => tracking.receipt.recipients.get(bob.id)?.state === 'processed')
    await tracking.processed
    expect(bob.texts).toEqual(['hello'])
    expect(bob.got[0]?.message.sender).toBe(ada.id)
    expect(await ada.machine.store.count('outbox')).toBe(0)
    expect(await bob.machine.store.count('inbox')).toBe(0)
    quiet(ada, bob)
  })

  it('arrives when its time to live is no whole number of milliseconds', async () => {
    const [ada, bob] = await pair()
    for (const ttl of [100 / 3, 1.0005]) await ada.send(bob, `${ttl}`, { ttl })
    await world.clock.advanceUntil(() => bob.texts.length === 2)
    quiet(ada, bob)
  })

  it('waits for a recipient that is away, over a restart of its sender', async () => {
    world = new DeliveryWorld()
    const bobs = await world.machine()
    const adas = await world.machine()
    let bob = await world.start(bobs)
    let ada = await world.start(adas)
    for (const text of ['one', 'two', 'three']) await ada.send(bob, text)
    bob.crash()
    ada.crash()
    bob = await world.start(bobs)
    ada = await world.start(adas)
    await ada.meet(bob)
    await world.clock.advanceUntil(() => bob.texts.length === 3)
    expect(bob.texts).toEqual(['one', 'two', 'three'])
    await ada.send(bob, 'four')
    await world.clock.advanceUntil(() => bob.texts.length === 4)
    await world.clock.advance(5_000)
    expect(bob.texts).toEqual(['one', 'two', 'three', 'four'])
    expect(await ada.machine.store.count('outbox')).toBe(0)
    quiet(ada, bob)
  })

  it('is handled again after a crash of its recipient, said to be redelivered, and comes back to nobody else', async () => {
    let hang = true
    world = new DeliveryWorld()
    const bobs = await world.machine()
    const ada = await world.start(await world.machine())
    let bob = await world.start(bobs, () => (hang ? new Promise(() => {}) : Promise.resolve()))
    await ada.meet(bob)
    const tracking = await ada.send(bob, 'hello')
    await world.clock.advanceUntil(() => tracking.status === 'delivered')
    bob.crash()
    hang = false
    bob = await world.start(bobs)
    await world.clock.advanceUntil(() => bob.got.length === 1)
    expect(bob.got[0]).toMatchObject({ redelivered: true, author: ada.id })
    await ada.meet(bob)
    await world.clock.advanceUntil(() => tracking.receipt.recipients.get(bob.id)?.state === 'processed')
    expect(bob.texts).toEqual(['hello'])
    quiet(ada, bob)
  })

  it('is handled again when its handler throws, before what comes after it, and dies after six runs', async () => {
    let runs = 0
    const [ada, bob] = await pair(async ({ message }) => {
      if (message.content === 'bad') {
        runs++
        throw new Error('no')
      }
    })
    const bad = await ada.send(bob, 'bad')
    const good = await ada.send(bob, 'good')
    await world.clock.advanceUntil(() => good.receipt.recipients.get(bob.id)?.state === 'processed')
    await world.clock.advanceUntil(() => bad.status === 'failed')
    expect(runs).toBe(6)
    expect(bad.receipt.recipients.get(bob.id)).toMatchObject({ state: 'dead', reason: 'handler-error', arrived: true })
    const [letter] = await bob.deadLetters.list()
    expect(letter).toMatchObject({
      reason: 'handler-error',
      side: 'recipient',
      attempts: 6,
      lastError: { message: 'no' },
    })
    expect(await ada.deadLetters.list()).toEqual([])
    quiet(ada, bob)
  })

  it('that expires before it could leave is a dead letter of its sender, and nothing is in doubt', async () => {
    world = new DeliveryWorld()
    const bob = await world.start(await world.machine())
    const ada = await world.start(await world.machine())
    const tracking = await ada.send(bob, 'late', { ttl: 10 })
    await world.clock.advanceUntil(() => tracking.status === 'expired')
    expect(tracking.receipt.recipients.get(bob.id)).toMatchObject({ state: 'expired', inDoubt: false })
    expect(await ada.deadLetters.list()).toMatchObject([{ reason: 'expired', messageId: tracking.id, inDoubt: false }])
    await expect(tracking.delivered).rejects.toBeInstanceOf(AfpError)
    // The position is told as skipped: what comes later does not wait for it.
    await ada.meet(bob)
    await ada.send(bob, 'next')
    await world.clock.advanceUntil(() => bob.texts.length === 1)
    expect(bob.texts).toEqual(['next'])
    await world.clock.advance(5_000)
    expect(await ada.machine.store.count('outbox')).toBe(0)
    quiet(ada, bob)
  })

  it('that is called off is never handled, and its row goes once its recipient confirms', async () => {
    world = new DeliveryWorld()
    const bob = await world.start(await world.machine())
    const ada = await world.start(await world.machine())
    const tracking = await ada.send(bob, 'never mind')
    expect(await ada.delivery.cancel(tracking.id)).toBe(true)
    expect(tracking.receipt.recipients.get(bob.id)?.state).toBe('cancelled')
    await ada.send(bob, 'this')
    await ada.meet(bob)
    await world.clock.advanceUntil(() => bob.texts.length === 1)
    await world.clock.advance(5_000)
    expect(bob.texts).toEqual(['this'])
    expect(await ada.machine.store.count('outbox')).toBe(0)
    expect(await ada.delivery.cancel(tracking.id)).toBe(false)
    quiet(ada, bob)
  })

  it('that its recipient refuses dies on both sides with the reason', async () => {
    world = new DeliveryWorld()
    const ada = await world.start(await world.machine())
    const bob = await world.start(await world.machine(), undefined, {
      judge: () => {
        throw new AfpError('HOOK_REFUSED', 'not here')
      },
    })
    await ada.meet(bob)
    const tracking = await ada.send(bob, 'please')
    await world.clock.advanceUntil(() => tracking.status === 'failed')
    expect(tracking.receipt.recipients.get(bob.id)).toMatchObject({ state: 'dead', reason: 'rejected', inDoubt: false })
    expect(bob.texts).toEqual([])
    expect(bob.refused).toEqual(['rejected'])
    expect(await ada.deadLetters.list()).toMatchObject([{ reason: 'rejected' }])
    await world.clock.advance(5_000)
    expect(await ada.machine.store.count('outbox')).toBe(0)
  })
})

describe('a message that is delivered exactly once', () => {
  const count: Handler = async ({ message }, transaction) => {
    const before = ((await transaction.get(['sum'])) as number | undefined) ?? 0
    transaction.put(['sum'], before + Number(message.content))
  }

  it('has its effects once, whatever the network doubles, loses and reorders', async () => {
    world = new DeliveryWorld(7, { loss: 0.2, duplication: 0.3, reordering: 0.3, delay: [1, 40] })
    const ada = await world.start(await world.machine())
    const bob = await world.start(await world.machine(), count)
    await ada.meet(bob)
    for (let i = 1; i <= 50; i++) await ada.send(bob, i, { guarantee: 'exactly-once' })
    await world.clock.advanceUntil(() => bob.texts.length >= 50)
    await world.clock.advance(30_000)
    expect(bob.texts).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
    const sum = await bob.machine.store.get('app', ['sum'])
    expect(sum && [...sum].length).toBeGreaterThan(0)
    expect(await ada.machine.store.count('outbox')).toBe(0)
  })
})

describe('a message that is delivered at most once', () => {
  it('leaves no row, and is lost with its connection', async () => {
    const [ada, bob] = await pair()
    const message = ada.message(bob, 'quick', { guarantee: 'at-most-once' })
    await ada.delivery.sendOnce(ada.delivery.draft(message, 'message'), bob.id)
    expect(await ada.machine.store.count('outbox')).toBe(0)
    await world.clock.advanceUntil(() => bob.once.length === 1)
    expect(bob.once[0]?.content).toBe('quick')
    quiet(ada, bob)
  })
})

describe('a recipient that lost its keys', () => {
  it('says so, signed, and gets everything under new ones', async () => {
    world = new DeliveryWorld()
    const bobs = await world.machine()
    const ada = await world.start(await world.machine())
    let bob = await world.start(bobs)
    for (const text of ['one', 'two']) await ada.send(bob, text)
    bob.crash()
    await bobs.store.commit({ writes: [{ op: 'deleteRange', table: 'prekeys', range: {} }] })
    bob = await world.start(bobs)
    await ada.meet(bob)
    await world.clock.advanceUntil(() => bob.texts.length === 2)
    expect(bob.texts).toEqual(['one', 'two'])
    await world.clock.advance(5_000)
    expect(await ada.machine.store.count('outbox')).toBe(0)
    expect(ada.errors).toEqual([])
  })
})

describe('bounds', () => {
  it('sends no more than the recipient has room for, and goes on as it makes room', async () => {
    const gate = Promise.withResolvers<void>()
    world = new DeliveryWorld()
    const ada = await world.start(await world.machine())
    const bob = await world.start(await world.machine(), () => gate.promise, { inbox: { messages: 5 } })
    await ada.meet(bob)
    const first = await Promise.all([0, 1, 2, 3, 4].map(n => ada.send(bob, `${n}`)))
    await world.clock.advanceUntil(() => first.every(({ status }) => status === 'delivered'))
    const rest = Array.from({ length: 15 }, (_, n) => `${n + 5}`)
    for (const text of rest) await ada.send(bob, text)
    await world.clock.advance(60_000)
    expect(bob.refused).toEqual([])
    expect(await bob.machine.store.count('inbox')).toBe(5)
    gate.resolve()
    await world.clock.advanceUntil(() => bob.texts.length === 20)
    await world.clock.advance(5_000)
    expect(bob.texts).toEqual(['0', '1', '2', '3', '4', ...rest])
    expect(await ada.machine.store.count('outbox')).toBe(0)
    quiet(ada, bob)
  })

  it('takes no more bytes of an author, and of all of them together, than it has room for', async () => {
    const gate = Promise.withResolvers<void>()
    world = new DeliveryWorld()
    const inbox = { bytes: 5_000, totalBytes: 8_000 }
    const bob = await world.start(await world.machine(), () => gate.promise, { inbox })
    const senders = [await world.start(await world.machine()), await world.start(await world.machine())]
    const text = (n: number): string => `${n}`.padEnd(1_000, 'x')
    for (const sender of senders) {
      await sender.meet(bob)
      for (let n = 0; n < 12; n++) await sender.send(bob, text(n))
      await world.clock.advance(30_000)
    }
    const waiting = async (node: Node): Promise<number> =>
      (await bob.machine.store.range('inbox', { prefix: [node.id] })).length
    const [one, two] = (await Promise.all(senders.map(waiting))) as [number, number]
    // Each has at most what is free then; one message may stand over the edge.
    expect(one).toBe(4)
    expect(two).toBe(2)
    gate.resolve()
    await world.clock.advanceUntil(() => bob.texts.length === 24)
    await world.clock.advance(5_000)
    for (const sender of senders) {
      const got = bob.got.filter(({ author }) => author === sender.id).map(({ message }) => message.content)
      expect(got).toEqual(Array.from({ length: 12 }, (_, n) => text(n)))
      expect(await sender.machine.store.count('outbox')).toBe(0)
    }
  })

  it('counts what waits in bytes, and gives back exactly what it took', async () => {
    world = new DeliveryWorld()
    const ada = await world.start(await world.machine(), undefined, { maxOutbox: { messages: 1_000, bytes: 10_000 } })
    const bob = await world.start(await world.machine())
    const fill = async (): Promise<number> => {
      for (let n = 0; ; n++) {
        try {
          await ada.send(bob, 'x'.repeat(900))
        } catch (error) {
          expect(error).toMatchObject({ code: 'QUEUE_FULL' })
          return n
        }
      }
    }
    const room = await fill()
    expect(room).toBeGreaterThan(5)
    await ada.meet(bob)
    for (let round = 0; round < 5; round++) {
      await world.clock.advanceUntil(() => bob.texts.length === (round + 1) * room)
      await world.clock.advance(5_000)
      expect(await fill()).toBe(room)
    }
  })
})

describe('a message whose handler runs anew', () => {
  it('is not handed out after its end, where somebody else wrote what was read', async () => {
    let runs = 0
    const [ada, bob] = await pair(async (_, transaction) => {
      runs++
      await transaction.get(['read'])
      await bob.machine.store.commit({
        writes: [{ op: 'put', table: 'app', key: ['read'], value: encode(contentToWire(runs)) }],
      })
      await new Promise<void>(resolve => world.clock.after(1_500, resolve))
    })
    const tracking = await ada.send(bob, 'x', { ttl: 1 })
    await world.clock.advanceUntil(() => tracking.receipt.recipients.get(bob.id)?.final === true)
    expect(tracking.status).toBe('expired')
    expect(runs).toBe(1)
    expect(await bob.deadLetters.list()).toMatchObject([{ side: 'recipient', reason: 'expired' }])
  })
})

describe('a dead letter of a sender in doubt', () => {
  it('is dealt with where its recipient has one: it is not sent a second time', async () => {
    const [ada, bob] = await pair(async () => {
      throw new Error('no')
    })
    const tracking = await ada.send(bob, 'x', { ttl: 1 })
    await world.clock.advanceUntil(() => bob.got.length > 0)
    world.net.partition([ada.id], [bob.id])
    await world.clock.advanceUntil(() => tracking.status === 'expired')
    const [letter] = await ada.deadLetters.list()
    expect(letter).toMatchObject({ reason: 'expired', inDoubt: true })
    world.net.heal()
    await world.clock.advanceUntil(() => tracking.receipt.recipients.get(bob.id)?.final === true)
    expect(await bob.deadLetters.list()).toHaveLength(1)
    expect(await ada.deadLetters.retry(letter?.id as string)).toBe('delivered')
    expect(await ada.machine.store.count('outbox')).toBe(0)
    expect(await ada.deadLetters.list({ processed: false })).toEqual([])
  })
})

describe('what an agent has sent to itself', () => {
  it('goes on after a crash', async () => {
    world = new DeliveryWorld()
    const adas = await world.machine()
    const disk = new MortalStore(adas.store, world.clock, world.random, 0)
    let first: Node | undefined
    void world.start({ identity: adas.identity, store: disk }).then(node => {
      first = node
    })
    await world.clock.advanceUntil(() => first !== undefined)
    const node = first as unknown as Node
    const message = node.message(node, 'note')
    void node.delivery.send(node.delivery.draft(message, 'message'), [node.id]).then(() => {
      disk.die()
      node.crash()
    })
    await world.clock.advanceUntil(() => disk.dead)
    const { id } = message
    const ada = await world.start(adas)
    await world.clock.advanceUntil(() => ada.tracker.tracking(id)?.receipt.recipients.get(ada.id)?.final === true)
    expect(ada.texts).toEqual(['note'])
    expect(await adas.store.count('outbox')).toBe(0)
    quiet(ada)
  })
})
