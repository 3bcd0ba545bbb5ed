/** A store of which one row is damaged: whoever cannot start on it is told which one, and what can be done without is. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
import { decode, encode } from '../../src/message/codec.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { TABLES } from '../../src/store/schema.ts'
import type { Row, Store } from '../../src/store/store.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
beforeEach(() => {
  world = drivenWorld()
})
afterEach(() => world.close())

/** The store of an agent that keeps something of each kind. */
async function usedStore(): Promise<Store> {
  const store = memoryStore()
  const bob = await world.join('bob')
  const ada = await world.join('ada', { store, guarantee: 'at-least-once' })
  await world.during(ada.waitFor('bob'))
  ada.pin('eve', bob.id)
  ada.breakers.getOrCreate('rates').forceOpen()
  await ada.storage.change(transaction => transaction.put(['total'], 5))
  await world.during(ada.send((await createIdentity()).id, 'waits for a card'))
  await world.during(ada.send((await createIdentity()).id, 'is a letter soon', { ttl: 5 }))
  bob.handle(() => new Promise(() => {}))
  await world.during((await world.during(ada.send('bob', 'is handled for long'))).delivered)
  await world.during(
    (await world.during(bob.send('ada', 'waits for a handler', { guarantee: 'at-least-once' }))).delivered,
  )
  await world.clock.advance(20_000)
  await world.during(ada.close())
  return store
}

/** What a row is of, whoever's it is. */
const kindOf = (table: string, key: Row['key']): string =>
  [table, ...(/^(meta|agents|epochs|dead-letters)$/.test(table) ? key.slice(0, 1) : [])].join('/')

test('An agent cannot start on a damaged row, which is named, unless it can do without it', async () => {
  const store = await usedStore()
  const named = new Set<string>()
  const started = new Set<string>()
  for (const table of TABLES) {
    for (const { key, value } of await store.range(table)) {
      for (const damaged of [Uint8Array.of(0x82, 0x01), Uint8Array.of(0x61, 0xff), Uint8Array.of(0x80)]) {
        await store.commit({ writes: [{ op: 'put', table, key, value: damaged }] })
        const start = world.join('ada', { store, guarantee: 'at-least-once' })
        const error = await world.during(
          start.then(
            agent => agent.close(),
            reason => reason,
          ),
        )
        if (error === undefined) started.add(kindOf(table, key))
        else {
          named.add(kindOf(table, key))
          expect(error, `${table} ${key}`).toMatchObject({ name: 'AfpDataStoreError', code: 'STORE_FAILED' })
          const rest = { receipts: key[0], 'dead-letters': key[1], meta: 'meta' }[table]
          expect([rest, `${table}/${key.join('/')}`]).toContain(error.reference)
        }
        await store.commit({ writes: [{ op: 'put', table, key, value }] })
      }
    }
  }
  const reads = [
    'meta/card-seq',
    'meta/identity',
    'meta/owner',
    'agents/pin',
    'outbox',
    'inbox',
    'epochs/in',
    'epochs/out',
  ]
  expect([...named].toSorted()).toEqual([...reads, 'receipts', 'dead-letters/entry'].toSorted())
  expect([...started].toSorted()).toEqual(['app', 'dead-letters/message', 'meta/held-open', 'prekeys'])
})

test('So is an epoch of which it cannot be read what came', async () => {
  const store = await usedStore()
  const [row] = await store.range('epochs', { prefix: ['in'] })
  const { key, value } = row as Row
  const fields = (decode(value) as unknown[]).with(3, [1])
  await store.commit({ writes: [{ op: 'put', table: 'epochs', key, value: encode(fields as never) }] })
  const start = world.join('ada', { store })
  await expect(world.during(start)).rejects.toMatchObject({
    code: 'STORE_FAILED',
    reference: `epochs/${key.join('/')}`,
  })
})
