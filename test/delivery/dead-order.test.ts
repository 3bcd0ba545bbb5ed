import { afterEach, beforeEach, expect, test } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { DeliveryWorld, type Handler } from './world.ts'

let world: DeliveryWorld
beforeEach(() => {
  world = new DeliveryWorld()
})
afterEach(() => world.close())

test('Where the disk refuses the end of a message that failed, what comes behind it waits: a crash turns no order around', async () => {
  const store = memoryStore()
  let full = true
  let refused = 0
  const commit = store.commit.bind(store)
  store.commit = async (batch, options) => {
    if (full && batch.writes.some(({ op, table }) => op === 'put' && table === 'dead-letters')) {
      refused++
      throw new AfpDataStoreError('STORE_FULL', 'there is no room')
    }
    return commit(batch, options)
  }
  const effects: string[] = []
  let broken = true
  const handler: Handler = async ({ message }, transaction) => {
    const text = String(message.content)
    if (broken && text === '0') throw new Error('the backend is down')
    transaction.put(['effect', text], true)
    effects.push(text)
  }
  const parts = { handlerStrategy: fixedRetry({ delay: 100, retries: 0 }) }
  const ada = await world.start(await world.machine())
  const bob = await world.start(await world.machine(store), handler, parts)
  await ada.meet(bob)
  for (let i = 0; i < 3; i++) await ada.send(bob, `${i}`, { guarantee: 'exactly-once' })
  await world.clock.advance(5_000)
  expect(refused).toBeGreaterThan(1)
  expect(effects).toEqual([])
  bob.crash()
  broken = false
  full = false
  const next = await world.start(bob.machine, handler, parts)
  await ada.meet(next)
  await world.clock.advance(5_000)
  expect(effects).toEqual(['0', '1', '2'])
})

test('and goes on as soon as there is room for it', async () => {
  const store = memoryStore()
  let full = true
  const commit = store.commit.bind(store)
  store.commit = async (batch, options) => {
    if (full && batch.writes.some(({ op, table }) => op === 'put' && table === 'dead-letters'))
      throw new AfpDataStoreError('STORE_FULL', 'there is no room')
    return commit(batch, options)
  }
  const handler: Handler = async ({ message }) => {
    if (message.content === '0') throw new Error('it makes no sense')
  }
  const ada = await world.start(await world.machine())
  const parts = { handlerStrategy: fixedRetry({ delay: 100, retries: 0 }) }
  const bob = await world.start(await world.machine(store), handler, parts)
  await ada.meet(bob)
  for (let i = 0; i < 3; i++) await ada.send(bob, `${i}`)
  await world.clock.advance(2_000)
  expect(bob.texts).toEqual(['0'])
  full = false
  await world.clock.advanceUntil(() => bob.texts.length === 3)
  expect(bob.deadLetters.count()).toBe(1)
})
