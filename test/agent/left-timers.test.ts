/** What the application never finishes keeps nothing alive of an agent that has closed. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
afterEach(() => world.close())

const never = new Promise<never>(() => {})

let ada: Agent
let bob: Agent
beforeEach(async () => {
  world = drivenWorld()
  ada = await world.join('ada', { guarantee: 'at-least-once' })
})

/** Everybody closes; in the end there is no timer of anybody. */
async function closing(): Promise<number> {
  await world.during(Promise.all([ada, bob].map(agent => agent.close())))
  return world.clock.pending
}

test.each(['at-most-once', 'at-least-once'] as const)('a handler of a message %s', async guarantee => {
  bob = await world.join('bob')
  await world.during(ada.waitFor('bob'))
  const begun = Promise.withResolvers<void>()
  bob.handle(() => {
    begun.resolve()
    return never
  })
  await world.during(ada.send('bob', 'hang', { guarantee }))
  await world.during(begun.promise)
  expect(await closing()).toBe(0)
})

test('a callback of a subscription', async () => {
  bob = await world.join('bob')
  await world.during(ada.waitFor('bob'))
  const begun = Promise.withResolvers<void>()
  bob.subscribe({ sender: ada.id }, () => {
    begun.resolve()
    return never
  })
  await world.during(ada.send('bob', 'hang'))
  await world.during(begun.promise)
  expect(await closing()).toBe(0)
})

test('a hook before sending', async () => {
  const begun = Promise.withResolvers<void>()
  const beforeSend = (): Promise<never> => {
    begun.resolve()
    return never
  }
  bob = await world.join('bob', { hooks: { beforeSend } })
  await world.during(bob.waitFor('ada'))
  const sending = expect(bob.send('ada', 'hang')).rejects.toMatchObject({ code: 'CLOSED' })
  await world.during(begun.promise)
  expect(await closing()).toBe(0)
  await sending
})
