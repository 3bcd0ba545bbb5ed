/** A message to several: each of its letters is retried, the receipt that told of them long gone. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import type { DeadLetter } from '../../src/delivery/dead-letter.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { collect, until } from './waiting.ts'
import { acquainted, type DrivenWorld, drivenWorld } from './worlds.ts'

const DAY = 86_400_000

let world: DrivenWorld
let store: Store
let ada: Agent
let bobs: { identity: Identity; store: Store }
let eves: typeof bobs
let id: string
let letters: DeadLetter[]

const start = (options: Partial<AgentOptions> = {}): Promise<Agent> =>
  world.join('ada', { guarantee: 'at-least-once', store, ...options })

/** A message expires for both, and days later nothing is left of it but its letters. */
beforeEach(async () => {
  world = drivenWorld()
  store = Object.assign(memoryStore(), { close: async () => {} })
  const machine = async (): Promise<typeof bobs> => ({
    identity: await createIdentity(),
    store: Object.assign(memoryStore(), { close: async () => {} }),
  })
  bobs = await machine()
  eves = await machine()
  ada = await start()
  const sent = await world.during(ada.send([bobs.identity.id, eves.identity.id], 'hello', { ttl: 10 }))
  id = sent.id
  await world.clock.advance(60_000)
  letters = await ada.deadLetters.list()
  expect(letters).toHaveLength(2)
  await world.during(ada.close())
  await world.clock.advance(2 * DAY)
  ada = await start()
  // Long enough that receipts which are over are looked for.
  await world.clock.advance(400_000)
  expect(await ada.deliveries.get(id)).toBeUndefined()
})
afterEach(() => world.close())

const retryAll = (some: readonly DeadLetter[] = letters): Promise<string[]> =>
  world.during(Promise.all(some.map(letter => ada.deadLetters.retry(letter.id))))

const states = async (): Promise<unknown> => {
  const { recipients } = (await ada.deliveries.get(id)) ?? {}
  return [bobs, eves].map(({ identity }) => recipients?.get(identity.id)?.state)
}

describe('Letters of one message that are retried once its receipt is gone', () => {
  test('stand in one receipt, which tells what becomes of each, over a restart', async () => {
    for (const letter of letters) expect(await retryAll([letter])).toEqual(['retried'])
    expect(await states()).toEqual(['queued', 'queued'])
    await world.during(ada.close())
    ada = await start()
    expect(await states()).toEqual(['queued', 'queued'])
    const delivered = collect(ada, 'delivery:delivered')
    const got: unknown[] = []
    for (const [name, kept] of [['bob', bobs] as const, ['eve', eves] as const])
      (await world.join(name, kept)).handle(({ content }) => void got.push([name, content]))
    await world.clock.advance(5_000)
    expect(got.sort()).toEqual([
      ['bob', 'hello'],
      ['eve', 'hello'],
    ])
    expect(delivered.map(({ recipient }) => recipient).sort()).toEqual([bobs.identity.id, eves.identity.id].toSorted())
    expect(await states()).toEqual(['processed', 'processed'])
  })

  test('are called off together', async () => {
    for (const letter of letters) await retryAll([letter])
    expect(await world.during(ada.deliveries.cancel(id))).toBe(true)
    expect(await states()).toEqual(['cancelled', 'cancelled'])
    const bob = await world.join('bob', bobs)
    const eve = await world.join('eve', eves)
    await world.during(acquainted([ada, bob, eve]))
    await world.clock.advance(30_000)
    expect([bob, eve].flatMap(agent => agent.receiveAll())).toEqual([])
  })

  test('are retried again once their recipients have said that nothing came', async () => {
    for (const letter of letters) await retryAll([letter])
    // Neither gets to keep it: what has left is in doubt when its time is up.
    const hung = { hooks: { afterReceive: () => new Promise<void>(() => {}) } }
    const deaf = [await world.join('bob', { ...bobs, ...hung }), await world.join('eve', { ...eves, ...hung })]
    await world.during(acquainted([ada, ...deaf]))
    await world.clock.advance(60_000)
    const open = await ada.deadLetters.list({ processed: false })
    expect(open.map(({ reason, inDoubt }) => [reason, inDoubt])).toEqual([
      ['expired', true],
      ['expired', true],
    ])
    expect(await retryAll(open)).toEqual(['waiting', 'waiting'])
    await world.during(Promise.all(deaf.map(agent => agent.close())))
    const [bob, eve] = [await world.join('bob', bobs), await world.join('eve', eves)]
    await world.during(acquainted([ada, bob, eve]))
    await world.clock.advance(60_000)
    for (const letter of open) expect(await retryAll([letter])).toEqual(['retried'])
    await world.clock.advance(5_000)
    expect([bob, eve].flatMap(agent => agent.receiveAll()).map(({ content }) => content)).toEqual(['hello', 'hello'])
  })

  test('have as many tries as they may, over a restart too', async () => {
    await world.during(ada.close())
    const retry = fixedRetry({ delay: 1_000, retries: 3 })
    ada = await start({ retry })
    for (const letter of letters) await retryAll([letter])
    const hung = { hooks: { afterReceive: () => new Promise<void>(() => {}) } }
    const deaf = [await world.join('bob', { ...bobs, ...hung }), await world.join('eve', { ...eves, ...hung })]
    const tries = collect(ada, 'delivery:retry')
    const twice = ({ recipient }: { recipient: string }): boolean =>
      tries.filter(other => other.recipient === recipient).length === 2
    const tried = Promise.all(
      deaf.map(each => until(ada, 'delivery:retry', news => news.recipient === each.id && twice(news))),
    )
    await world.during(acquainted([ada, ...deaf]))
    await world.during(tried)
    await world.during(ada.close())
    ada = await start({ retry })
    const later = collect(ada, 'delivery:retry')
    await world.during(acquainted([ada, ...deaf]))
    await world.clock.advance(60_000)
    for (const { id } of deaf) {
      const all = [...tries, ...later].filter(({ recipient }) => recipient === id)
      expect(all.map(({ receipt }) => receipt.retry.attempts)).toEqual([1, 2, 3])
    }
  })
})
