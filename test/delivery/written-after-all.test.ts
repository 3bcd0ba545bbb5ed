/** A disk that says that it failed, and has written all the same: no store may do that, and no handler's work is done twice. */

import { afterEach, expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { keptValues } from '../../src/delivery/transaction.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { DeliveryWorld } from './world.ts'

const COUNT = ['count']

let world: DeliveryWorld
afterEach(() => world.close())

it('a handler does not run again on what it wrote itself', async () => {
  world = new DeliveryWorld()
  const store = memoryStore()
  const commit = store.commit.bind(store)
  let lies = 0
  store.commit = async batch => {
    await commit(batch)
    if (lies > 0 || !batch.writes.some(({ op, table }) => op === 'delete' && table === 'inbox')) return
    lies++
    throw new AfpDataStoreError('STORE_FAILED', 'the disk said no')
  }
  const ada = await world.start(await world.machine())
  const bob = await world.start(await world.machine(store), async (_, transaction) => {
    transaction.put(COUNT, ((await transaction.get<number>(COUNT)) ?? 0) + 1)
    return undefined
  })
  await ada.meet(bob)
  for (const text of ['x', 'y']) {
    const { processed } = await ada.send(bob, text, { guarantee: 'exactly-once' })
    let over = false
    void processed.then(() => {
      over = true
    })
    await world.clock.advanceUntil(() => over)
  }
  expect(lies).toBe(1)
  expect(bob.texts).toEqual(['x', 'y'])
  expect(await keptValues(() => store).list({ prefix: COUNT })).toEqual([{ key: COUNT, value: 2 }])
})
