/** An agent closes while a handler is at work on one of its dead letters. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { Handler } from '../../src/agent/options.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { failure, until } from './waiting.ts'
import { acquainted, type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
beforeEach(() => {
  world = drivenWorld()
})
afterEach(() => world.close())

const never = new Promise<never>(() => {})

test.each<[string, (bob: Agent) => Promise<unknown>]>([
  ['hangs', () => never],
  ['closes the agent', bob => bob.close()],
])('One that %s holds it up no longer than others do, and its letter stays as it was', async (_what, work) => {
  // Closing an agent closes its store: what is in it has to outlive that here.
  const store = Object.assign(memoryStore(), { close: async () => {} })
  const machine = { identity: await createIdentity(), store, handlerRetry: fixedRetry({ delay: 10, retries: 0 }) }
  const ada = await world.join('ada', { guarantee: 'at-least-once' })
  const bob = await world.join('bob', machine)
  await world.during(acquainted([ada, bob]))
  let runs = 0
  const started = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const handler: Handler = async (_message, { transaction }) => {
    if (runs++ === 0) throw new Error('not yet')
    transaction.put(['half'], true)
    started.resolve()
    await work(bob)
    // By now nobody listens to it.
    expect(() => transaction.put(['other half'], true)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    ended.resolve()
  }
  bob.handle(handler)
  const added = until(bob, 'dead-letter:added')
  await world.during(ada.send(bob.id, 'hello', { guarantee: 'exactly-once' }))
  const { letter } = await world.during(added)
  const retried = failure(bob.deadLetters.retry(letter.id))
  await world.during(started.promise)
  let closed = false
  const closing = bob.close().then(() => {
    closed = true
  })
  await world.clock.advance(6_000)
  expect(closed).toBe(true)
  await closing
  expect(await retried).toMatchObject({ code: 'CLOSED' })
  if (work.length > 0) await ended.promise
  const again = await world.join('bob', machine)
  expect(await again.storage.list()).toEqual([])
  expect(await again.deadLetters.get(letter.id)).toEqual(letter)
  again.handle(async (_message, { transaction }) => transaction.put(['whole'], true))
  expect(await world.during(again.deadLetters.retry(letter.id))).toBe('retried')
  expect(await again.storage.list()).toEqual([{ key: ['whole'], value: true }])
  expect(runs).toBe(2)
})
