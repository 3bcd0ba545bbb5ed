/** A store is one agent's in one mesh: what it keeps is numbered, sealed and signed by that one. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AgentOptions } from '../../src/agent/options.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { TABLES } from '../../src/store/schema.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import type { Row, Store } from '../../src/store/store.ts'
import { failure } from './waiting.ts'
import { acquainted, type DrivenWorld, drivenWorld } from './worlds.ts'

const named = await createIdentity()

let world: DrivenWorld
beforeEach(() => {
  world = drivenWorld()
})
afterEach(() => world.close())

const rowsOf = async (store: Store): Promise<Row[]> =>
  (await Promise.all(TABLES.map(table => store.range(table)))).flat()

/** A run of an agent on this store, from its start to its end; its id. */
async function run(store: Store, options: Partial<AgentOptions> = {}): Promise<string> {
  const agent = await world.join('ada', { store, ...options })
  await world.during(agent.close())
  return agent.id
}

/** No more than what a store has to have, in a class of the application's own. */
class OwnStore implements Store {
  readonly durability = 'memory'
  readonly #rows: Store
  constructor(rows: Store) {
    this.#rows = rows
  }
  get: Store['get'] = (...given) => this.#rows.get(...given)
  range: Store['range'] = (...given) => this.#rows.range(...given)
  count: Store['count'] = (...given) => this.#rows.count(...given)
  commit: Store['commit'] = (...given) => this.#rows.commit(...given)
  close: Store['close'] = () => this.#rows.close()
}

describe('A store that is given without an identity', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'afp-owner-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  test('has the agent be the same at its next start, and what waited goes on', async () => {
    const path = join(folder, 'ada.db')
    const disk = { identity: await createIdentity(), store: memoryStore() }
    const kept = { guarantee: 'at-least-once' } as const
    let bob = await world.join('bob', disk)
    let store = await sqliteStore(path)
    let ada = await world.join('ada', { store, ...kept })
    await world.during(acquainted([ada, bob]))
    await world.during((await world.during(ada.send('bob', 'first'))).delivered)
    expect(await world.during(bob.receive())).toMatchObject({ content: 'first' })
    await world.during(bob.close())
    const { id: waiting } = await world.during(ada.send(bob.id, 'while you were away'))
    await world.during(ada.close())
    await store.close()
    const before = ada.id

    bob = await world.join('bob', disk)
    store = await sqliteStore(path)
    ada = await world.join('ada', { store, ...kept })
    expect(ada.id).toBe(before)
    const { processed } = await world.during(ada.send('bob', 'and after it'))
    for (const content of ['while you were away', 'and after it']) {
      expect(await world.during(bob.receive())).toMatchObject({ sender: before, content })
    }
    await world.during(processed)
    expect((await ada.deliveries.get(waiting))?.status).toBe('delivered')
    await world.during(ada.close())
    await store.close()
  })

  test.each([
    ['in memory', () => memoryStore()],
    ['of the application', () => new OwnStore(memoryStore())],
  ])('%s has it too, with no other identity than that', async (_kind, make) => {
    const store = make()
    const first = await run(store)
    expect(await run(store)).toBe(first)
    expect(await run(store, { identity: 'persistent' })).toBe(first)
    expect(await run(make())).not.toBe(first)
  })
})

describe('A store of another agent', () => {
  /** Nobody is started: whoever makes a carrier has the test fail. */
  const carrier = (): never => {
    throw new Error('started')
  }

  test('is refused, and left as it is', async () => {
    const store = memoryStore()
    const [mine, other] = [await createIdentity(), await createIdentity()]
    await run(store, { identity: mine })
    const before = await rowsOf(store)
    const refused = await failure(world.join('ada', { store, identity: other, carrier }))
    expect(refused).toMatchObject({
      name: 'AfpDataStoreError',
      code: 'STORE_MISMATCH',
      details: { owner: { id: mine.id, mesh: 'demo' }, id: other.id, mesh: 'demo' },
    })
    expect((refused as Error).message).toBe(
      `the store belongs to agent ${mine.id} in the mesh demo, not to agent ${other.id}: open it with the identity of ` +
        'that one, or give this agent a store of its own; nothing in it was changed',
    )
    expect(await rowsOf(store)).toEqual(before)
    expect(await run(store, { identity: mine })).toBe(mine.id)
  })

  test.each<[string, Partial<AgentOptions>, Partial<AgentOptions>, (owner: string) => string]>([
    [
      'that is here in another mesh',
      {},
      { mesh: 'another' },
      () =>
        'the store belongs to this agent in the mesh demo, not in the mesh another: open it in that one, or give the ' +
        'agent a store of its own for each mesh',
    ],
    [
      'whose identity it was not given',
      { identity: named },
      {},
      owner =>
        `the store belongs to agent ${owner} in the mesh demo, whose identity it does not keep: give createAgent() that ` +
        'identity, or a store of its own',
    ],
    [
      'that kept its identity in it',
      {},
      { identity: named, mesh: 'another' },
      owner =>
        `the store belongs to agent ${owner} in the mesh demo, not to agent ${named.id}: open it with the identity of ` +
        'that one, or give this agent a store of its own',
    ],
  ])('%s is refused, and what differs is said', async (_whose, first, next, says) => {
    const store = memoryStore()
    const owner = await run(store, first)
    const before = await rowsOf(store)
    const refused = await failure(world.join('ada', { store, ...next, carrier }))
    const message = `${says(owner)}; nothing in it was changed`
    expect(refused).toMatchObject({ code: 'STORE_MISMATCH', message })
    expect(await rowsOf(store)).toEqual(before)
  })

  test('of an earlier version is whose identity it has', async () => {
    const store = memoryStore()
    const mine = await createIdentity()
    await store.commit({ writes: [{ op: 'put', table: 'meta', key: ['identity'], value: mine.seed }] })
    expect(await failure(world.join('ada', { store, identity: await createIdentity(), carrier }))).toMatchObject({
      code: 'STORE_MISMATCH',
    })
    expect(await run(store)).toBe(mine.id)
  })

  test('is told of too where both start at once: one of them has it', async () => {
    // As two processes with one database have it: each has an object of its own.
    const rows = memoryStore()
    const starts = await Promise.allSettled(
      [await createIdentity(), await createIdentity()].map(identity =>
        world.join('ada', { store: new OwnStore(rows), identity }),
      ),
    )
    expect(starts.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(starts.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'STORE_MISMATCH' } })
  })

  test('is not guessed where its owner cannot be read', async () => {
    const store = memoryStore()
    await store.commit({ writes: [{ op: 'put', table: 'meta', key: ['owner'], value: new Uint8Array([1]) }] })
    expect(await failure(world.join('ada', { store, carrier }))).toMatchObject({ code: 'STORE_FAILED' })
  })

  test.each([
    ['that says whose it is', true],
    ['of an earlier version', false],
  ])('%s is not guessed where the identity in it is damaged', async (_whose, owned) => {
    const store = memoryStore()
    if (owned) await run(store)
    await store.commit({ writes: [{ op: 'put', table: 'meta', key: ['identity'], value: new Uint8Array(3) }] })
    const before = await rowsOf(store)
    for (const identity of owned ? [undefined] : [undefined, named]) {
      expect(await failure(world.join('ada', { store, identity, carrier }))).toMatchObject({
        name: 'AfpDataStoreError',
        code: 'STORE_FAILED',
        reference: 'meta',
        message: 'the row that has the identity of the store is damaged',
      })
    }
    expect(await rowsOf(store)).toEqual(before)
  })

  test('is opened with the identity that it belongs to, where the one in it is damaged', async () => {
    const seed = new Uint8Array(32).fill(7)
    const mine = await createIdentity(seed)
    const store = memoryStore()
    await store.commit({ writes: [{ op: 'put', table: 'meta', key: ['identity'], value: seed }] })
    expect(await run(store)).toBe(mine.id)
    await store.commit({ writes: [{ op: 'put', table: 'meta', key: ['identity'], value: new Uint8Array(3) }] })
    expect(await run(store, { identity: mine })).toBe(mine.id)
    expect(await failure(world.join('ada', { store, identity: named, carrier }))).toMatchObject({
      code: 'STORE_MISMATCH',
    })
  })
})

test('A store is not given to an agent that nobody is at its next start: it would be that one’s for ever.', async () => {
  const store = memoryStore()
  const carrier = (): never => {
    throw new Error('started')
  }
  expect(await failure(world.join('ada', { store, identity: 'ephemeral', carrier }))).toMatchObject({
    name: 'AfpError',
    code: 'INVALID_OPTION',
    message: expect.stringContaining('leave out identity'),
  })
  expect(await rowsOf(store)).toEqual([])
  const id = await run(store)
  expect(await failure(world.join('ada', { store, identity: 'ephemeral' }))).toMatchObject({ code: 'INVALID_OPTION' })
  expect(await run(store)).toBe(id)
})

describe('A store that an agent of this process has', () => {
  test('is refused to another, whoever that is, and free once the first has closed', async () => {
    const store = memoryStore()
    const identity = await createIdentity()
    const first = await world.join('ada', { store, identity })
    for (const options of [{}, { identity }, { identity: await createIdentity() }]) {
      expect(await failure(world.join('ada', { store, ...options }))).toMatchObject({
        name: 'AfpDataStoreError',
        code: 'STORE_IN_USE',
      })
    }
    await first.storage.change(transaction => transaction.put(['mine'], 1))
    await world.during(first.close())
    expect(await run(store, { identity })).toBe(identity.id)
  })

  test('is free again after a start that failed', async () => {
    const store = memoryStore()
    const failing = (): never => {
      throw new Error('no carrier')
    }
    expect(await failure(world.join('ada', { store, carrier: failing }))).toMatchObject({ message: 'no carrier' })
    const id = await run(store)
    const other = await createIdentity()
    expect(await failure(world.join('ada', { store, identity: other }))).toMatchObject({ code: 'STORE_MISMATCH' })
    expect(await run(store)).toBe(id)
  })
})
