/** Handlers of messages that are not kept, and are in each other's way: each message counts once. */

import { describe, expect, test } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { collect } from './waiting.ts'
import { ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

const COUNT = ['count']
const unkept = { guarantee: 'at-most-once' } as const
const pause = (ms: number): Promise<void> => new Promise(resolve => world.clock.after(ms, resolve))
const counted = async (): Promise<unknown> => (await bob.storage.list({ prefix: COUNT }))[0]?.value

describe('Handlers of messages sent at most once', () => {
  test('that read and write one value count each of them, once, and those that are kept too', async () => {
    const failed = collect(bob, 'handler:error')
    const again: boolean[] = []
    bob.handle(async (_, { transaction, redelivered }) => {
      again.push(redelivered)
      const count = Number((await transaction.get(COUNT)) ?? 0)
      await pause(5)
      transaction.put(COUNT, count + 1)
    })
    await world.during(Promise.all(Array.from({ length: 30 }, (_, i) => ada.send(bob.id, i, unkept))))
    const kept = await world.during(Promise.all([1, 2, 3].map(i => ada.send(bob.id, i, { guarantee: 'exactly-once' }))))
    await world.during(Promise.all(kept.map(({ processed }) => processed)))
    await world.during(bob.drain())
    expect(await counted()).toBe(33)
    expect(failed).toEqual([])
    expect(again.filter(redelivered => !redelivered)).toHaveLength(33)
  })

  test('that are requests answer what was committed', async () => {
    bob.handle(async (_, { transaction }) => {
      const count = Number((await transaction.get(COUNT)) ?? 0) + 1
      await pause(5)
      transaction.put(COUNT, count)
      return count
    })
    const replies = await world.during(
      Promise.all(Array.from({ length: 10 }, () => ada.request(bob.id, 'add', unkept))),
    )
    expect(replies.map(({ content }) => content).toSorted((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 10 }, (_, i) => i + 1),
    )
  })

  test('that fail at a conflict of their own have failed, and keep nothing', async () => {
    const failed = collect(bob, 'handler:error')
    bob.handle((_, { transaction }) => {
      transaction.put(COUNT, 1)
      throw new AfpDataStoreError('STORE_CONFLICT', 'elsewhere')
    })
    await world.during(ada.send(bob.id, 'x', unkept))
    await world.during(bob.drain())
    expect(failed).toMatchObject([{ error: { message: 'elsewhere' } }])
    expect(await counted()).toBe(undefined)
  })

  test('that change what they read in another way have failed after some runs', async () => {
    const failed = collect(bob, 'handler:error')
    let runs = 0
    bob.handle(async (_, { transaction }) => {
      runs++
      await transaction.get(COUNT)
      await bob.storage.change(async other => other.put(COUNT, runs))
      transaction.put(COUNT, 0)
    })
    await world.during(ada.send(bob.id, 'x', unkept))
    await world.during(bob.drain())
    expect(failed).toMatchObject([{ error: { code: 'STORE_CONFLICT' } }])
    expect(runs).toBe(17)
  })
})
