/** How much of an agent's room for what waits others can take up. */

import { afterEach, describe, expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { FrameType } from '../../src/delivery/frames.ts'
import { OutboxQuota } from '../../src/delivery/outbox-quota.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { DeliveryWorld, type Handler, type Machine, type Node } from './world.ts'

const ROOM = 20

let world: DeliveryWorld
afterEach(() => world.close())

/** A machine's agent that answers every request. */
async function serve(machine: Machine): Promise<Node> {
  const handler: Handler = async ({ message, author }) => {
    const { id: parentId, content } = message
    return { message: node.message({ id: author } as Node, `to ${content}`, { parentId }), kind: 'reply' }
  }
  const node = await world.start(machine, handler, { maxOutbox: { messages: ROOM } })
  return node
}

const request = (from: Node, to: Node, content: string): Promise<unknown> =>
  from.delivery.send(from.delivery.draft(from.message(to, content), 'request'), [to.id])

/** How much waits for an agent in a store. */
const waiting = (store: Store, { id }: Node): Promise<number> => store.count('outbox', { prefix: [id] })

describe('replies to one that takes none', () => {
  /** A server, and an agent that has asked much of it, and is gone. */
  async function asked(requests: number): Promise<{ server: Node; eve: Node }> {
    world = new DeliveryWorld()
    const server = await serve(await world.machine())
    const eve = await world.start(await world.machine())
    await eve.meet(server)
    // What she says of replies is not heard.
    const received = server.delivery.received.bind(server.delivery)
    server.delivery.received = (from, frame) =>
      from === eve.id && frame[0] === FrameType.acks ? undefined : received(from, frame)
    for (let i = 0; i < requests; i++) await request(eve, server, `${i}`)
    await world.clock.advanceUntil(() => server.got.length === requests)
    await world.clock.advance(100)
    return { server, eve }
  }

  it('leave as much room to others, whose requests are answered, and to the agent itself', async () => {
    const { server, eve } = await asked(2 * ROOM)
    expect(await waiting(server.machine.store, eve)).toBe(ROOM / 2 + 1)
    const bob = await world.start(await world.machine())
    await bob.meet(server)
    await request(bob, server, 'bob')
    await world.clock.advanceUntil(() => bob.got.length === 1)
    expect(bob.texts).toEqual(['to bob'])
    await world.clock.advance(100)
    // What the agent itself sends has its own.
    for (let i = 0; i < ROOM; i++) await server.send(eve, 'mine')
    await expect(server.send(eve, 'mine')).rejects.toMatchObject({ code: 'QUEUE_FULL' })
  })

  it('count after a restart', async () => {
    const { server, eve } = await asked(2 * ROOM)
    for (const node of [eve, server]) node.crash()
    const again = await serve(server.machine)
    await world.clock.advance(10_000)
    expect(await waiting(again.machine.store, eve)).toBe(ROOM / 2 + 1)
  })

  it('that found no room are sent once there is some, each once', async () => {
    const { server, eve } = await asked(2 * ROOM)
    // From now on she is heard.
    Reflect.deleteProperty(server.delivery, 'received')
    await world.clock.advanceUntil(() => eve.got.length >= 2 * ROOM)
    await world.clock.advance(10_000)
    expect(new Set(eve.texts)).toEqual(new Set(Array.from({ length: 2 * ROOM }, (_, i) => `to ${i}`)))
    expect(eve.got.length).toBe(2 * ROOM)
    expect(await server.machine.store.count('outbox')).toBe(0)
    expect(await server.machine.store.count('inbox')).toBe(0)
  })
})

it('bytes of replies are bounded as their number is, and one always has room', () => {
  const quota = new OutboxQuota({ messages: 10, bytes: 100 })
  const [eve, bob] = [quota.share(), quota.share()]
  eve.take(60, true)
  expect(() => eve.take(1, true)).toThrow(expect.objectContaining({ code: 'QUEUE_FULL' }))
  bob.take(40, true)
  expect(() => bob.take(1, true)).toThrow(expect.objectContaining({ code: 'QUEUE_FULL' }))
  eve.give(60, true)
  bob.take(20, true)
  eve.take(40, true)
})

it('what an agent sends and what it owes take nothing from each other', () => {
  const quota = new OutboxQuota({ messages: 2, bytes: 100 })
  const [eve, bob] = [quota.share(), quota.share()]
  eve.take(50)
  bob.take(50)
  for (const share of [eve, bob]) expect(() => share.take(1)).toThrow('2 messages of 100 bytes wait')
  eve.take(50, true)
  bob.take(50, true)
  expect(() => bob.take(1, true)).toThrow('2 replies of 100 bytes wait')
  bob.give(50)
  expect(() => eve.take(51)).toThrow('1 messages of 50 bytes wait')
  eve.take(50)
})

describe('An agent that has sent as much as it may to one that reads none of it', () => {
  it.each([0.6, 1])('answers what that asks, with %d of its room in use', async part => {
    world = new DeliveryWorld()
    const ada = await serve(await world.machine())
    const took: Handler = ({ kind }) => (kind === 'message' ? 'waiting' : Promise.resolve())
    const bob = await world.start(await world.machine(), took, { inbox: { messages: 2 } })
    await ada.meet(bob)
    for (let i = 0; i < part * ROOM + 2; i++) await ada.send(bob, 'nobody reads this yet').catch(() => {})
    await world.clock.advance(2_000)
    for (let i = 0; i < part * ROOM; i++) await ada.send(bob, 'nor this').catch(() => {})
    for (const question of ['1', '2']) await request(bob, ada, question)
    await world.clock.advance(1_000)
    expect(bob.once.map(({ content }) => content)).toEqual(['to 1', 'to 2'])
    expect(ada.errors).toEqual([])
  })

  it('answers while it sends whatever there is room for', async () => {
    world = new DeliveryWorld()
    const ada = await serve(await world.machine())
    const slow: Handler = ({ kind }) =>
      kind === 'message' ? new Promise<void>(resolve => world.clock.after(50, resolve)) : Promise.resolve()
    const bob = await world.start(await world.machine(), slow, { inbox: { messages: ROOM } })
    await ada.meet(bob)
    let refused = 0
    const fill = async (): Promise<void> => {
      while (await ada.send(bob, 'item').catch(() => undefined));
      refused++
      world.clock.after(10, () => void fill())
    }
    void fill()
    await world.clock.advanceUntil(() => refused > 50)
    for (let i = 0; i < 5; i++) {
      await request(bob, ada, `${i}`)
      await world.clock.advance(2_000)
    }
    const replies = [...bob.once.map(({ content }) => content), ...bob.texts].filter(text => text !== 'item')
    expect(new Set(replies)).toEqual(new Set(Array.from({ length: 5 }, (_, i) => `to ${i}`)))
    expect(ada.errors).toEqual([])
  })
})

it('a message is called off however long the disk takes for other recipients', async () => {
  world = new DeliveryWorld()
  const store = memoryStore()
  const commit = store.commit.bind(store)
  const ada = await world.start(await world.machine(store))
  const [bob, eve] = [await world.start(await world.machine()), await world.start(await world.machine())]
  for (const { id } of [bob, eve]) world.nodes.delete(id)
  const { id } = await ada.send(bob, 'to bob')
  const held = Promise.withResolvers<void>()
  store.commit = async (batch, options) => {
    if (batch.writes.some(write => 'key' in write && write.table === 'outbox' && write.key[0] === eve.id))
      await held.promise
    return commit(batch, options)
  }
  const sending = ada.send(eve, 'to eve')
  let off: boolean | undefined
  const cancelling = ada.delivery.cancel(id).then(was => {
    off = was
  })
  await world.clock.advance(1_000)
  expect(off).toBe(true)
  held.resolve()
  await Promise.all([sending, cancelling])
})

it('what a disk refuses takes up no room', async () => {
  world = new DeliveryWorld()
  const store = memoryStore()
  const { commit } = store
  const ada = await world.start(await world.machine(store), undefined, { maxOutbox: { messages: 2 } })
  const bob = await world.start(await world.machine())
  for (const known of [true, false]) {
    if (known) await ada.meet(bob)
    else world.nodes.delete(bob.id)
    store.commit = () => Promise.reject(new AfpDataStoreError('STORE_FULL', 'no room'))
    for (let i = 0; i < 5; i++) await expect(ada.send(bob, 'x')).rejects.toMatchObject({ code: 'STORE_FULL' })
    store.commit = commit.bind(store)
    await ada.send(bob, 'x')
  }
})
