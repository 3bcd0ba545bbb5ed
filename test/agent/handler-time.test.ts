/** Handlers that take too long: they count as failed, and hold nothing up. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { HandlerContext } from '../../src/agent/options.ts'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { collect, failure, until } from './waiting.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
let ada: Agent
let bob: Agent
beforeEach(async () => {
  world = drivenWorld()
  ada = await world.join('ada', { guarantee: 'exactly-once' })
  bob = await world.join('bob', {
    guarantee: 'exactly-once',
    handlerTimeout: 5_000,
    handlerRetry: fixedRetry({ delay: 1_000, retries: 1 }),
  })
  await world.during(ada.waitFor('bob'))
})
afterEach(() => world.close())

const never = new Promise<never>(() => {})

describe('A handler that is not done in time', () => {
  test('is told, runs again, and is a dead letter in the end; what comes behind it goes on', async () => {
    const contexts: HandlerContext[] = []
    const fired: unknown[] = []
    const errors = collect(bob, 'handler:error')
    bob.handle(({ content }, context) => {
      if (content !== 'hang') return undefined
      contexts.push(context)
      context.signal.addEventListener('abort', () => fired.push(context.signal.reason))
      context.transaction.put(['half'], 'done')
      return never
    })
    const hung = await ada.send('bob', 'hang')
    const behind = await ada.send('bob', 'behind')
    expect(await failure(world.during(hung.processed))).toMatchObject({ code: 'DELIVERY_FAILED' })
    await world.during(behind.processed)
    expect(contexts.map(({ redelivered }) => redelivered)).toEqual([false, true])
    expect(fired).toHaveLength(2)
    expect(errors.map(({ error }) => (error as { code?: string }).code)).toEqual(['TIMEOUT', 'TIMEOUT'])
    const [letter] = await bob.deadLetters.list()
    expect(letter).toMatchObject({ reason: 'handler-error', lastError: { code: 'TIMEOUT' } })
    expect(await bob.storage.list()).toEqual([])
    // What is still at work of it writes no more.
    for (const { transaction } of contexts) expect(() => transaction.put(['late'], 1)).toThrow(AfpDataStoreError)
  })

  test('has a signal that has fired also where it looks for it late', async () => {
    let context: HandlerContext | undefined
    bob.handle((_, given) => {
      context = given
      return never
    })
    await world.during((await ada.send('bob', 'hang')).processed.catch(() => {}))
    expect(context?.signal.aborted).toBe(true)
  })

  test.each(['exactly-once', 'at-most-once'] as const)('answers a request %s with a failure', async guarantee => {
    bob.handle(async (_, { transaction }) => {
      transaction.put(['half'], 'done')
      await never
    })
    const asked = ada.request('bob', 'hang', { guarantee, timeout: 60_000 })
    expect(await failure(world.during(asked))).toMatchObject({
      code: 'HANDLER_FAILED',
      message: expect.stringContaining('not done within 5 s'),
    })
    expect(await bob.storage.list()).toEqual([])
  })

  test('may still throw, which nobody hears', async () => {
    const gate = Promise.withResolvers<void>()
    bob.handle(() => gate.promise)
    await world.during((await ada.send('bob', 'hang')).processed.catch(() => {}))
    gate.reject(new Error('too late'))
    await world.pass()
  })
})

test('a handler is told by its signal that the agent closes, before and after', async () => {
  let context: HandlerContext | undefined
  const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  bob.handle((_, given) => {
    context = given
    begun.resolve()
    return gate.promise
  })
  await ada.send('bob', 'work')
  await world.during(begun.promise)
  expect(context?.signal.aborted).toBe(false)
  const told = new Promise<void>(resolve => context?.signal.addEventListener('abort', () => resolve()))
  const closed = bob.close()
  await told
  gate.resolve()
  await world.during(closed)
})

test('a handler that failed runs again after its pause, however the clock is set meanwhile', async () => {
  let runs = 0
  bob.handle(() => {
    if (++runs === 1) throw new Error('once')
  })
  const failed = until(bob, 'handler:error')
  const { processed } = await ada.send('bob', 'work')
  await world.during(failed)
  world.clock.jump(-3_600_000)
  const began = world.clock.monotonic()
  await world.during(processed)
  expect(runs).toBe(2)
  expect(world.clock.monotonic() - began).toBeLessThan(3_000)
})

describe("An id of one's own", () => {
  test.each([
    ['waits', 'pending'],
    ['is done', 'delivered'],
  ])(
    'that a message of an earlier run has is refused, and that message is left alone: one that %s',
    async (_, status) => {
      const id = crypto.randomUUID()
      const [identity, away] = await Promise.all([createIdentity(), createIdentity()])
      const got: unknown[] = []
      bob.handle(({ content }) => void got.push(content))
      const store = Object.assign(memoryStore(), { close: async () => {} })
      const start = (): Promise<Agent> => world.join('cid', { identity, store, guarantee: 'at-least-once' })
      const before = await start()
      await world.during(before.waitFor('bob'))
      const first = await before.send(status === 'pending' ? away.id : bob.id, 'first', { id })
      if (status !== 'pending') await world.during(first.processed)
      await world.during(before.close())
      got.length = 0
      const cid = await start()
      await world.during(cid.waitFor('bob'))
      const again = cid.send('bob', 'second', { id })
      const behind = cid.send('bob', 'behind')
      expect(await failure(world.during(again))).toMatchObject({ code: 'DUPLICATE_MESSAGE' })
      expect(await failure(world.during(cid.request('bob', 'third', { id })))).toMatchObject({
        code: 'DUPLICATE_MESSAGE',
      })
      expect(await cid.deliveries.get(id)).toMatchObject({ status })
      await world.during((await behind).processed)
      expect(got).toEqual(['behind'])
    },
  )

  test('is the same one in either case: no second message is kept under it, and it is found under both', async () => {
    const id = crypto.randomUUID()
    const cid = await world.join('cid', { guarantee: 'at-least-once' })
    await world.during(cid.waitFor('bob'))
    const receipt = await cid.send(bob.id, 'first', { id: id.toUpperCase() })
    expect(receipt.id).toBe(id)
    for (const same of [id, id.toUpperCase()]) {
      expect(await failure(cid.send(bob.id, 'second', { id: same }))).toMatchObject({ code: 'DUPLICATE_MESSAGE' })
      expect(await cid.deliveries.get(same)).toMatchObject({ id })
    }
    expect(await world.during(bob.receive())).toMatchObject({ id, content: 'first' })
  })

  test('keeps its message in its place', async () => {
    const got: unknown[] = []
    bob.handle(({ content }) => void got.push(content))
    const sent = [1, 2, 3, 4].map(n => ada.send('bob', n, n % 2 === 1 ? { id: crypto.randomUUID() } : {}))
    for (const receipt of sent) await world.during((await receipt).processed)
    expect(got).toEqual([1, 2, 3, 4])
  })
})
