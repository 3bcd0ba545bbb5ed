/** Kept messages in the queues of subscriptions: they end with their time, unless somebody has begun with them. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import type { Subscription } from '../../src/topics/subscriptions.ts'
import { collect } from './waiting.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

const image = { guarantee: 'exactly-once', ttl: 60, contentType: 'image/png' } as const
const later = { guarantee: 'exactly-once', ttl: 3_600, contentType: 'text/plain' } as const

let world: DrivenWorld
let store: Store
let ada: Agent
let bob: Agent
let got: unknown[]

async function meet(options: Partial<AgentOptions> = {}): Promise<void> {
  store = memoryStore()
  bob = await world.join('bob', { store, identity: await createIdentity(), ...options })
  ada = await world.join('ada')
  await world.during(ada.waitFor('bob'))
}
beforeEach(async () => {
  world = drivenWorld()
  got = []
  await meet()
})
afterEach(() => world.close())

const stateOf = async (id: string): Promise<unknown> => (await ada.deliveries.get(id))?.recipients.get(bob.id)?.state
const letters = async (): Promise<unknown[]> => (await bob.deadLetters.list()).map(({ reason }) => reason)
/** All that can be read now. */
async function unreadOf(subscription: Subscription): Promise<unknown[]> {
  subscription.finish()
  const contents: unknown[] = []
  for await (const { content } of subscription) contents.push(content)
  return contents
}

describe('What nobody reads', () => {
  test.each(['', ' that has ended'])(
    'in a subscription%s ends with its time, and holds up nothing more',
    async ended => {
      const subscription = bob.subscribe({ contentType: 'image/png' })
      bob.handle({ contentType: 'text/plain' }, ({ content }) => void got.push(content))
      const unread = await world.during(ada.send(bob.id, 'image', image))
      const { processed } = await world.during(ada.send(bob.id, 'later', later))
      if (ended !== '') subscription.finish()
      await world.clock.advance(59_000)
      expect(got).toEqual([])
      await world.during(processed)
      expect(got).toEqual(['later'])
      expect([await stateOf(unread.id), await letters(), await store.count('inbox')]).toEqual([
        'expired',
        ['expired'],
        0,
      ])
      // Also where its time begins anew, by the clock: it was refused.
      world.clock.jump(-120_000)
      expect(await unreadOf(subscription)).toEqual([])
    },
  )

  test('leaves its room to what comes', async () => {
    const subscription = bob.subscribe({ contentType: 'image/png', queue: 1 })
    await world.during(ada.send(bob.id, 'one', image))
    await world.clock.advance(30_000)
    await world.during(ada.send(bob.id, 'two', image))
    await world.clock.advance(40_000)
    expect(await unreadOf(subscription)).toEqual(['two'])
  })

  test('ends where wall time jumped too', async () => {
    bob.subscribe({ contentType: 'image/png' })
    const unread = await world.during(ada.send(bob.id, 'image', { ...image, ttl: 86_400 }))
    await world.pass()
    world.clock.jump(90_000_000)
    await world.clock.advance(600_000)
    expect([await letters(), await store.count('inbox')]).toEqual([['expired'], 0])
    expect(await stateOf(unread.id)).toBe('expired')
  })

  test('by one subscription has its end as read where another one has read it', async () => {
    const slow = bob.subscribe({ contentType: 'image/png' })
    bob.subscribe({ contentType: 'image/png' }, ({ content }) => void got.push(content))
    const { id } = await world.during(ada.send(bob.id, 'image', image))
    await world.clock.advance(62_000)
    expect([got, await stateOf(id), await letters()]).toEqual([['image'], 'processed', []])
    expect(await unreadOf(slow)).toEqual([])
  })

  test('ends behind a callback that is at work on another, which is waited for beyond its time', async () => {
    const gate = Promise.withResolvers<void>()
    bob.subscribe({}, ({ content }) => {
      got.push(content)
      return gate.promise
    })
    const eve = await world.join('eve')
    await world.during(eve.waitFor('bob'))
    const one = await world.during(ada.send(bob.id, 'one', image))
    await world.pass()
    await world.during(eve.send(bob.id, 'two', image))
    await world.clock.advance(62_000)
    expect([got, await letters(), await stateOf(one.id)]).toEqual([['one'], ['expired'], 'delivered'])
    gate.resolve()
    await world.during(one.processed)
    expect(got).toEqual(['one'])
  })

  test('of requests, however many, leaves their author its way to handlers', async () => {
    bob.subscribe({ contentType: 'image/png' })
    bob.handle({ contentType: 'text/plain' }, ({ content }) => `${content}!`)
    const asked = Array.from({ length: 256 }, (_, n) => ada.request(bob.id, n, { ...image, timeout: 30_000 }))
    const unanswered = Promise.allSettled(asked)
    const answer = ada.request(bob.id, 'hello', { ...later, timeout: 600_000 })
    await world.during(unanswered)
    expect((await world.during(answer)).content).toBe('hello!')
    expect(new Set(await letters())).toEqual(new Set(['expired']))
  })

  test('after its time by somebody who retries it by hand waits for its reader', async () => {
    const unread = bob.subscribe({ contentType: 'image/png' })
    await world.during(ada.send(bob.id, 'image', image))
    await world.clock.advance(62_000)
    expect(await unreadOf(unread)).toEqual([])
    const [letter] = await bob.deadLetters.list()
    const subscription = bob.subscribe({ contentType: 'image/png' })
    const retried = bob.deadLetters.retry(letter?.id as string)
    await world.clock.advance(5_000)
    const reader = subscription[Symbol.asyncIterator]()
    void reader.next()
    expect(await world.during(retried)).toBe('retried')
  })
})

test('A callback that does not come back has failed after the time of handlers, and the next message comes', async () => {
  await world.during(Promise.all([ada, bob].map(agent => agent.close())))
  await meet({ handlerTimeout: 5_000 })
  const errors = collect(bob, 'handler:error')
  const late = Promise.withResolvers<void>()
  bob.subscribe({}, ({ content }) => {
    got.push(content)
    if (content === 'hang') return late.promise
  })
  const hung = await world.during(ada.send(bob.id, 'hang', image))
  const behind = await world.during(ada.send(bob.id, 'behind', image))
  await world.clock.advance(4_000)
  expect(got).toEqual(['hang'])
  await world.during(Promise.all([hung.processed, behind.processed]))
  expect(got).toEqual(['hang', 'behind'])
  expect(errors).toMatchObject([{ id: hung.id, error: { code: 'TIMEOUT', timeoutSeconds: 5 } }])
  late.reject(new Error('too late, which nobody hears'))
  await world.pass()
})
