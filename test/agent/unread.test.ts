/** Kept messages that subscriptions took, and that nobody read there. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import type { Subscription } from '../../src/topics/subscriptions.ts'
import { rest } from '../topics/desk.ts'
import { failure, until } from './waiting.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

const kept = { guarantee: 'exactly-once', ttl: 60 } as const

let world: DrivenWorld
let bob: Agent
let ada: Agent
let eve: Agent
let disk: { identity: Identity; store: Store }
const got: unknown[] = []
beforeEach(async () => {
  got.splice(0)
  world = drivenWorld()
  disk = { identity: await createIdentity(), store: memoryStore() }
  bob = await world.join('bob', disk)
  ada = await world.join('ada')
  eve = await world.join('eve')
  await world.during(ada.waitFor('bob'))
  await world.during(eve.waitFor('bob'))
  await world.during(bob.waitFor('ada'))
  await world.during(bob.waitFor('eve'))
  // Until nothing new is learned of anybody: with that too what waits is offered again.
  await world.pass()
})
afterEach(() => world.close())

/** One of each author's: of one author only one at a time waits in a subscription. */
async function sendTwo(): Promise<() => Promise<unknown[]>> {
  const first = await world.during(ada.send(bob.id, 'first', kept))
  await world.pass()
  const second = await world.during(eve.send(bob.id, 'second', kept))
  await world.pass()
  const stateOf = async (agent: Agent, id: string): Promise<unknown> =>
    (await agent.deliveries.get(id))?.recipients.get(bob.id)?.state
  return () => Promise.all([stateOf(ada, first.id), stateOf(eve, second.id)])
}

async function readOne(subscription: Subscription): Promise<void> {
  for await (const { content } of subscription) {
    got.push(content)
    break
  }
}

const note = ({ content }: { content: unknown }): void => void got.push(content)

/** A callback that stays at work on each message until it is let go on. */
function slowly(): { subscription: Subscription; goOn: () => void } {
  const gate = Promise.withResolvers<void>()
  const subscription = bob.subscribe({}, message => {
    note(message)
    return gate.promise
  })
  return { subscription, goOn: gate.resolve }
}

describe('What a subscription lets go of unread', () => {
  const ends = {
    'it unsubscribes': async () => {
      const subscription = bob.subscribe()
      return { states: await sendTwo(), end: async () => subscription.unsubscribe() }
    },
    'its loop is left': async () => {
      const subscription = bob.subscribe()
      return { states: await sendTwo(), end: () => readOne(subscription) }
    },
    'its callback is at work on another': async () => {
      const { subscription, goOn } = slowly()
      const states = await sendTwo()
      const end = async (): Promise<void> => {
        subscription.unsubscribe()
        goOn()
      }
      return { states, end }
    },
  }
  test.each(Object.entries(ends))('has not ended, and is for whoever comes, where %s', async (how, prepare) => {
    const { states, end } = await prepare()
    await world.during(end())
    await world.pass()
    expect(await states()).toEqual([how === 'it unsubscribes' ? 'delivered' : 'processed', 'delivered'])
    bob.subscribe({}, note)
    await world.pass()
    expect(got).toEqual(['first', 'second'])
    expect(await states()).toEqual(['processed', 'processed'])
  })

  test('goes to who waits to receive', async () => {
    const subscription = bob.subscribe()
    const received = bob.receive()
    const states = await sendTwo()
    subscription.unsubscribe()
    expect((await world.during(received)).content).toBe('first')
    await world.pass()
    expect(await states()).toEqual(['processed', 'delivered'])
  })

  test('is done all the same where another one has read it', async () => {
    const subscription = bob.subscribe()
    bob.subscribe({}, note)
    const states = await sendTwo()
    expect(await states()).toEqual(['delivered', 'delivered'])
    subscription.unsubscribe()
    bob.subscribe({}, note)
    await world.pass()
    expect(got).toEqual(['first', 'second'])
    expect(await states()).toEqual(['processed', 'processed'])
  })

  test('is answered, where it is a request, by the handler that comes instead, or that there is none', async () => {
    const subscription = bob.subscribe()
    const handled = ada.request(bob.id, 'one', kept)
    await world.pass()
    subscription.unsubscribe()
    const handler = bob.handle(() => 'done')
    expect((await world.during(handled)).content).toBe('done')
    handler[Symbol.dispose]()
    const another = bob.subscribe()
    const refused = failure(ada.request(bob.id, 'two', kept))
    await world.pass()
    another.unsubscribe()
    expect(await world.during(refused)).toMatchObject({ code: 'NO_HANDLER' })
  })

  test('is there in the next run where its agent has closed', async () => {
    const subscription = bob.subscribe()
    const states = await sendTwo()
    await world.during(bob.close())
    subscription.unsubscribe()
    await world.pass()
    const again = await world.join('bob', disk)
    again.subscribe({}, note)
    await world.during(again.waitFor('ada'))
    await world.clock.advance(2_000)
    expect(got.sort()).toEqual(['first', 'second'])
    expect(await states()).toEqual(['processed', 'processed'])
  })
})

describe('What has expired in a subscription', () => {
  test('has ended so, each with its letter, when it is read late', async () => {
    const subscription = bob.subscribe()
    const states = await sendTwo()
    await world.clock.advance(70_000)
    const read = (async () => {
      for await (const message of subscription) note(message)
    })()
    await world.pass()
    expect(got).toEqual([])
    expect(await states()).toEqual(['expired', 'expired'])
    expect(await bob.deadLetters.list()).toMatchObject([{ reason: 'expired' }, { reason: 'expired' }])
    subscription.finish()
    await read
  })

  test('has ended so, with its letter, where the callback took its time with the one before it', async () => {
    const { goOn } = slowly()
    const states = await sendTwo()
    await world.clock.advance(70_000)
    goOn()
    await world.pass()
    expect(got).toEqual(['first'])
    expect(await states()).toEqual(['processed', 'expired'])
    expect(await bob.deadLetters.list()).toMatchObject([{ reason: 'expired', peer: eve.id }])
  })
})

test('What has expired in a subscription is left to the next run where its agent has closed', async () => {
  const subscription = bob.subscribe()
  await sendTwo()
  await world.during(bob.close())
  await world.clock.advance(70_000)
  expect(await world.during(rest(subscription))).toEqual([])
  await world.pass()
  expect(await disk.store.count('inbox')).toBe(2)
  const again = await world.join('bob', disk)
  await world.clock.advance(2_000)
  expect(await again.deadLetters.list()).toMatchObject([{ reason: 'expired' }, { reason: 'expired' }])
})

describe('A dead letter of what has expired', () => {
  const expired = async (): Promise<string> => {
    await world.during(ada.send(bob.id, 'late', kept))
    await world.clock.advance(70_000)
    const [letter] = await bob.deadLetters.list()
    expect(letter).toMatchObject({ reason: 'expired' })
    return letter?.id as string
  }

  test.each(['callback', 'loop'])('that is retried by hand is for the %s of a subscription', async how => {
    const id = await expired()
    const subscription = bob.subscribe({}, how === 'callback' ? note : undefined)
    const retried = bob.deadLetters.retry(id)
    await world.pass()
    if (how === 'loop') await world.during(readOne(subscription))
    expect(await world.during(retried)).toBe('retried')
    expect(got).toEqual(['late'])
    expect(await bob.deadLetters.list({ processed: false })).toEqual([])
  })

  test('stays where the subscription that took its retry lets go of it', async () => {
    const id = await expired()
    const subscription = bob.subscribe()
    const refused = failure(bob.deadLetters.retry(id))
    await world.pass()
    subscription.unsubscribe()
    expect(await world.during(refused)).toMatchObject({ code: 'NO_HANDLER' })
    expect(await bob.deadLetters.list({ processed: false })).toMatchObject([{ id }])
  })
})

test('A dead letter that a policy retries stays where it expires in a subscription', async () => {
  const retry = fixedRetry({ retries: 0 })
  const deadLetterRetry = { 'handler-error': fixedRetry({ delay: 10_000, retries: 5 }) }
  const carl = await world.join('carl', { store: memoryStore(), retry, deadLetterRetry })
  await world.during(ada.waitFor('carl'))
  const handler = carl.handle(() => {
    throw new Error('not now')
  })
  const added = until(carl, 'dead-letter:added')
  await world.during(ada.send(carl.id, 'late', kept))
  const { letter } = await world.during(added)
  handler[Symbol.dispose]()
  const subscription = carl.subscribe()
  await world.clock.advance(70_000)
  expect(subscription.receivedCount).toBe(1)
  subscription.finish()
  expect(await world.during(rest(subscription))).toEqual([])
  await world.pass()
  expect(carl.deadLetters.nextDueAt).toBeUndefined()
  expect(await carl.deadLetters.list({ processed: false })).toMatchObject([{ id: letter.id }])
})
