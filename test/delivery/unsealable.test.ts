/** Recipients to whom nothing can be sealed: whatever was to go to them has an end, at once or when its time is over. */

import { afterEach, beforeEach, expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch, Store } from '../../src/store/store.ts'
import { DeliveryWorld, type Handler, type Node } from './world.ts'

const REQUESTS = 300

let world: DeliveryWorld
let store: Store
let server: Node
let eve: Node
/** Whether what can be sealed to the asker is nothing. */
let poisoned: boolean
/** Batches that the server's disk has no room for. */
let full: (batch: Batch) => boolean
beforeEach(async () => {
  world = new DeliveryWorld()
  poisoned = true
  full = () => false
  store = memoryStore()
  const commit = store.commit.bind(store)
  store.commit = (batch, options) =>
    full(batch) ? Promise.reject(new AfpDataStoreError('STORE_FULL', 'there is no room')) : commit(batch, options)
  const handler: Handler = async ({ message, author }, transaction) => {
    await transaction.put(['said', String(message.content)], new Uint8Array([1]))
    if (message.content === 'a message') return undefined
    const init = { parentId: message.id, ttl: message.ttl }
    return { message: server.message({ id: author } as Node, 'a reply', init), kind: 'reply' }
  }
  const prekeyOf = (agent: string) => {
    const prekey = world.nodes.get(agent)?.prekeys.current()
    return prekey && poisoned ? { ...prekey, publicKey: new Uint8Array(32) } : prekey
  }
  server = await world.start({ ...(await world.machine()), store }, handler, { prekeyOf })
  eve = await world.start(await world.machine())
  await eve.meet(server)
})
afterEach(() => world.close())

const ask = (content: string, ttl: number): Promise<unknown> =>
  eve.delivery.send(eve.delivery.draft(eve.message(server, content, { ttl }), 'request'), [server.id])

it('a request whose reply cannot be sealed is handled once, told of once, and holds up nothing behind it', async () => {
  for (let i = 0; i < REQUESTS; i++) await ask(`${i}`, 5)
  await eve.send(server, 'a message')
  await world.clock.advance(3_000)
  expect(server.texts).toHaveLength(REQUESTS + 1)
  expect(await store.count('inbox')).toBe(0)
  expect(server.errors).toHaveLength(REQUESTS)
  for (const error of server.errors) {
    expect(error).toMatchObject({ code: 'DELIVERY_FAILED', cause: { code: 'INVALID_KEY' } })
  }
  await world.clock.advance(60_000)
  expect(server.errors).toHaveLength(REQUESTS)
  // What its handler wrote is kept.
  expect(await store.count('app')).toBe(REQUESTS + 1)
})

it('a message to it is refused, and goes once it has a key', async () => {
  await expect(server.send(eve, 'x')).rejects.toMatchObject({ name: 'AfpSecurityError', code: 'INVALID_KEY' })
  const once = server.delivery.draft(server.message(eve, 'once', { guarantee: 'at-most-once' }), 'message')
  await expect(server.delivery.sendOnce(once, eve.id)).rejects.toMatchObject({ code: 'NO_ROUTE' })
  await world.clock.advance(60_000)
  expect([server.errors, await store.count('outbox')]).toEqual([[], 0])
  poisoned = false
  await server.send(eve, 'y')
  await world.clock.advance(1_000)
  expect(eve.texts).toEqual(['y'])
})

it('a reply that the disk has no room for ends with its time, and its request as soon as there is room', async () => {
  poisoned = false
  full = ({ writes }) => writes.some(({ table }) => table === 'outbox')
  await ask('x', 5)
  await world.clock.advance(4_000)
  expect(await store.count('inbox')).toBe(1)
  await world.clock.advance(3_000)
  expect(await store.count('inbox')).toBe(0)
  expect(server.errors.at(-1)).toMatchObject({ code: 'MESSAGE_EXPIRED' })
  const told = server.errors.length
  await world.clock.advance(60_000)
  expect(server.errors).toHaveLength(told)
  expect(eve.texts).toEqual([])
})
