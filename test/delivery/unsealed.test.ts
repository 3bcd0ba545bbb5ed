/** Messages to somebody whose key is not known: they are on the disk until it is. */

import { afterEach, beforeEach, expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { outboxKey } from '../../src/delivery/rows.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { failure } from '../agent/waiting.ts'
import { Disk } from './held-disk.ts'
import { DeliveryWorld, type Node } from './world.ts'

let world: DeliveryWorld
let rows: Store
/** How often what is there cannot be read. */
let unreadable: number
let ada: Node
let bob: Node
beforeEach(async () => {
  world = new DeliveryWorld()
  rows = memoryStore()
  unreadable = 0
  const disk = new Disk(rows).store
  disk.range = async (table, ...query) => {
    if (table === 'outbox' && unreadable-- > 0) throw new AfpDataStoreError('STORE_FAILED', 'a disk that gives nothing')
    return rows.range(table, ...query)
  }
  ada = await world.start(await world.machine(disk))
  bob = await world.start(await world.machine())
  world.nodes.delete(bob.id)
})
afterEach(() => world.close())

it('are written each by itself: one whose handler wrote what cannot be written fails alone', async () => {
  const broken = new Error('what the handler wrote is broken')
  const also = (): never => {
    throw broken
  }
  const draft = { ...ada.delivery.draft(ada.message(bob, 'broken'), 'message'), also }
  const failed = failure(ada.delivery.send(draft, [bob.id]))
  // In the same turn: it comes while that one is written.
  const after = ada.send(bob, 'after')
  expect(await failed).toBe(broken)
  await after
  world.nodes.set(bob.id, bob)
  await ada.meet(bob)
  ada.delivery.cardChanged(bob.id)
  await world.clock.advanceUntil(() => bob.got.length > 0)
  expect(bob.texts).toEqual(['after'])
})

/** Its key is known from here on. */
async function appear(): Promise<void> {
  world.nodes.set(bob.id, bob)
  await ada.meet(bob)
  ada.delivery.cardChanged(bob.id)
  await world.clock.advance(10_000)
}

it('are read again where the disk does not give them, and go in their order', async () => {
  for (const text of ['first', 'second', 'third']) await ada.send(bob, text)
  unreadable = 3
  await appear()
  expect(bob.texts).toEqual(['first', 'second', 'third'])
  expect(ada.errors).toHaveLength(3)
})

it('go without those whose rows are gone from the store, which are told of', async () => {
  for (const text of ['first', 'second', 'third']) await ada.send(bob, text)
  await rows.commit({ writes: [{ op: 'delete', table: 'outbox', key: outboxKey(bob.id, '', 2) }] })
  await appear()
  expect(bob.texts).toEqual(['first', 'third'])
  expect(ada.errors).toMatchObject([{ code: 'STORE_FAILED' }])
  expect(await rows.count('outbox', {})).toBe(0)
})

it('that expire before there is a key have their dead letter, with what was sent', async () => {
  await ada.send(bob, 'late', { ttl: 1 })
  await ada.send(bob, 'in time')
  await world.clock.advance(2_000)
  const letters = await ada.deadLetters.list()
  expect(letters).toMatchObject([{ reason: 'expired', peer: bob.id }])
  expect(new TextDecoder().decode(letters[0]?.message)).toContain('late')
  await appear()
  expect(bob.texts).toEqual(['in time'])
})
