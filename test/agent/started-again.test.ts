/** Starts on what an earlier run left, under other circumstances than its own. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { failure } from './waiting.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

const DAY = 86_400_000

let world: DrivenWorld
beforeEach(() => {
  world = drivenWorld()
})
afterEach(() => world.close())

/** Outlives the agents that have it. */
const machine = async () => ({
  identity: await createIdentity(),
  store: Object.assign(memoryStore(), { close: async () => {} }),
})

test('Messages and dead letters that are larger than the limits of today are handled', async () => {
  const ada = await world.join('ada', { guarantee: 'at-least-once' })
  const bobs = await machine()
  const first = await world.join('bob', { ...bobs, handlerRetry: { kind: 'fixed', delay: 1, retries: 0 } })
  let failed = false
  first.handle({ contentType: 'text/x-fails' }, () => {
    failed = true
    throw new Error('not today')
  })
  await world.during(ada.waitFor(first.id))
  const metadata = { note: 'y'.repeat(10_000) }
  await ada.send(first.id, 'x'.repeat(100_000), { metadata })
  await ada.send(first.id, 'z'.repeat(100_000), { contentType: 'text/x-fails' })
  await world.clock.advanceUntil(() => failed)
  await world.pass()
  await world.during(first.close())

  const limits = { messageBytes: 2 ** 16, metadataBytes: 1_024 }
  const bob = await world.join('bob', { ...bobs, limits })
  const got: number[] = []
  bob.handle(({ content }) => void got.push(String(content).length))
  await world.clock.advanceUntil(() => got.length === 1)
  const [letter] = await bob.deadLetters.list()
  expect(await world.during(bob.deadLetters.retry(letter?.id as string))).toBe('retried')
  expect(got).toEqual([100_000, 100_000])
})

test('A full disk keeps no agent from starting whose key for its senders can still be used, and it has a new one later', async () => {
  const bobs = await machine()
  const first = await world.join('bob', bobs)
  const old = first.card.prekey?.id
  await world.during(first.close())
  world.clock.jump(8 * DAY)
  const commit = bobs.store.commit.bind(bobs.store)
  let full = true
  bobs.store.commit = (batch, options) =>
    full && batch.writes.some(({ op }) => op === 'put')
      ? Promise.reject(new AfpDataStoreError('STORE_FULL', 'no room'))
      : commit(batch, options)
  const bob = await world.join('bob', bobs)
  expect(bob.card.prekey?.id).toEqual(old)
  full = false
  await world.clock.advanceUntil(() => bob.card.prekey?.id !== old)
  await world.during(bob.close())

  full = true
  world.clock.jump(30 * DAY)
  expect(await failure(world.join('bob', bobs))).toMatchObject({ code: 'STORE_FULL' })
})
