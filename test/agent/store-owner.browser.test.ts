/** A store that a page opened by itself, and gave to its agent. */

import { deleteDB } from 'idb'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { createAgent } from '../../src/agent/create-agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { systemClock } from '../../src/common/clock.ts'
import { systemRandom } from '../../src/common/random.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { MemoryNet } from '../../src/network/memory.ts'
import { indexedDbStore } from '../../src/store/indexeddb.ts'
import type { Store } from '../../src/store/store.ts'
import { failure } from './waiting.ts'

const net = new MemoryNet({ clock: systemClock, random: systemRandom })
let name: string
let opened: Store[]
beforeEach(() => {
  name = `own-${crypto.randomUUID()}`
  opened = []
})
afterEach(async () => {
  for (const store of opened) await store.close()
  await deleteDB(name)
})

/** As each tab opens it: an object of its own on the one database. */
async function open(): Promise<Store> {
  const store = await indexedDbStore(name)
  opened.push(store)
  return store
}

const start = (options: Partial<AgentOptions>): Promise<Agent> =>
  createAgent({
    name: 'ada',
    mesh: 'own',
    persistStorage: false,
    carrier: ({ id }) => net.carrier(id, { place: crypto.randomUUID() }),
    ...options,
  })

test('has the agent in it, which is one tab at a time', async () => {
  const first = await start({ store: await open() })
  expect(await failure(start({ store: await open() }))).toMatchObject({ code: 'IDENTITY_IN_USE' })
  await first.close()
  const again = await start({ store: await open() })
  expect(again.id).toBe(first.id)
  await again.close()
})

test('is had by nobody else, and by one agent of its page', async () => {
  const store = await open()
  const first = await start({ store })
  expect(await failure(start({ store }))).toMatchObject({ code: 'STORE_IN_USE' })
  await first.close()
  for (const options of [{ identity: await createIdentity() }, { mesh: 'other' }]) {
    expect(await failure(start({ store, ...options }))).toMatchObject({ code: 'STORE_MISMATCH' })
  }
  expect(await failure(start({ store, identity: 'ephemeral' }))).toMatchObject({ code: 'INVALID_OPTION' })
  const again = await start({ store })
  expect(again.id).toBe(first.id)
  await again.close()
})

test('that the page has by itself is let go of where its agent cannot be started', async () => {
  const tab = `afp:own:${name}:0`
  const damaged = await indexedDbStore(tab)
  await damaged.commit({ writes: [{ op: 'put', table: 'meta', key: ['owner'], value: new Uint8Array([1]) }] })
  await damaged.close()
  const used = vi.spyOn(IDBDatabase.prototype, 'transaction')
  const closed = vi.spyOn(IDBDatabase.prototype, 'close')
  try {
    expect(await failure(start({ name }))).toMatchObject({ code: 'STORE_FAILED' })
    const [database, ...others] = new Set(used.mock.contexts as IDBDatabase[])
    expect([database?.name, others]).toEqual([tab, []])
    expect(closed.mock.contexts).toEqual([database])
    // Comes to nothing while that is held.
    expect(await navigator.locks.request(tab, lock => lock?.name)).toBe(tab)
  } finally {
    used.mockRestore()
    closed.mockRestore()
    await deleteDB(tab)
  }
})

test('has one agent where two tabs make it at once', async () => {
  const stores = [await open(), await open()]
  const starts = await Promise.allSettled(stores.map(store => start({ store })))
  expect(starts.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  const [one] = starts.flatMap(start => (start.status === 'fulfilled' ? [start.value] : []))
  expect(starts.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'IDENTITY_IN_USE' } })
  await one?.close()
  const again = await start({ store: await open() })
  expect(again.id).toBe(one?.id)
  await again.close()
})
