/** What an earlier run left that nobody asks for goes, however often the disk refuses that. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { DeliveryWorld } from './world.ts'

let world: DeliveryWorld
beforeEach(() => {
  world = new DeliveryWorld()
})
afterEach(() => world.close())

test('Rows of an epoch that is over go once the disk takes their deletion', async () => {
  const rows = memoryStore()
  let refusals = 0
  const store: Store = {
    ...rows,
    durability: rows.durability,
    get: rows.get.bind(rows),
    range: rows.range.bind(rows),
    count: rows.count.bind(rows),
    commit: async batch => {
      const deletes = batch.writes.some(({ op, table }) => op === 'delete' && table === 'epochs')
      if (deletes && refusals-- > 0) throw new Error('refused')
      return rows.commit(batch)
    },
    close: async () => {},
  }
  const adas = await world.machine(store)
  const bob = await world.start(await world.machine())
  let ada = await world.start(adas)
  await ada.meet(bob)
  await ada.send(bob, 'first')
  await world.clock.advance(1_000)
  ada.crash()
  const left = (): Promise<number> => rows.count('epochs', { prefix: ['out'] })
  expect(await left()).toBe(1)
  refusals = 2
  ada = await world.start(adas)
  await world.clock.advance(100)
  expect(ada.errors).toEqual([new Error('refused')])
  expect(await left()).toBe(1)
  await world.clock.advance(2_000)
  expect(ada.errors).toHaveLength(2)
  expect(await left()).toBe(0)
})
