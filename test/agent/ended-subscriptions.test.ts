/** Subscriptions that end while their callback is at work: that is waited for as with those that go on. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { acquainted, type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
let store: ReturnType<typeof memoryStore>
let ada: Agent
let bob: Agent
/** What bob's callback is at, of each message. */
let log: string[]

beforeEach(async () => {
  world = drivenWorld()
  store = memoryStore()
  log = []
  ada = await world.join('ada')
  bob = await world.join('bob', { store })
  await world.during(acquainted([ada, bob]))
})
afterEach(() => world.close())

const slow = async ({ content }: { content: unknown }): Promise<void> => {
  log.push(`begins ${content}`)
  await new Promise<void>(resolve => world.clock.after(1_000, resolve))
  log.push(`ends ${content}`)
}

/** Subscribes, and says what ends that when its callback is at work. */
const WAYS: [string, () => () => void][] = [
  [
    'has had its last message',
    () => {
      bob.subscribe({ maxMessages: 1 }, slow)
      return () => {}
    },
  ],
  [
    'has expired',
    () => {
      bob.subscribe({ expiresAt: world.clock.now() + 400 }, slow)
      return () => {}
    },
  ],
  [
    'was unsubscribed',
    () => {
      const subscription = bob.subscribe({}, slow)
      return () => subscription.unsubscribe()
    },
  ],
  [
    'was ended by its signal',
    () => {
      const controller = new AbortController()
      bob.subscribe({ signal: controller.signal }, slow)
      return () => controller.abort()
    },
  ],
]

/** Ada sends one message, and bob's callback is at work on it when its subscription has ended. */
async function begin(way: () => () => void): Promise<{ processed: Promise<unknown> }> {
  const end = way()
  const receipt = await world.during(ada.send(bob.id, 'pay', { guarantee: 'exactly-once' }))
  await world.clock.advance(500)
  end()
  expect(bob.subscriptions.size).toBe(0)
  expect(log).toEqual(['begins pay'])
  return receipt
}

test.each(WAYS)(
  'close waits for the callback of a subscription that %s, and the next run does not have its message',
  async (_how, way) => {
    const { processed } = await begin(way)
    await world.during(bob.close())
    expect(log).toEqual(['begins pay', 'ends pay'])
    const next = await world.join('bob', { store })
    next.subscribe({}, slow)
    await world.during(acquainted([ada, next]))
    await world.during(processed)
    await world.clock.advance(2_000)
    expect(log).toEqual(['begins pay', 'ends pay'])
  },
)

test.each(WAYS)('drain waits for the callback of a subscription that %s', async (_how, way) => {
  await begin(way)
  await world.during(bob.drain())
  expect(log).toEqual(['begins pay', 'ends pay'])
})

test('a signal ends the wait for the callback of a subscription that has ended', async () => {
  await begin(WAYS[0]?.[1] as () => () => void)
  const controller = new AbortController()
  const drained = bob.drain({ signal: controller.signal })
  controller.abort(new Error('enough'))
  await expect(drained).rejects.toThrow('enough')
  expect(log).toEqual(['begins pay'])
})
