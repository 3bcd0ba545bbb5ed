/** Kept messages that nobody could take when they came: who they are for gets them first, before what came later. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import type { Subscription } from '../../src/topics/subscriptions.ts'
import { collect } from './waiting.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
beforeEach(() => {
  world = drivenWorld()
})
afterEach(() => world.close())

const kept = { guarantee: 'exactly-once', ttl: 60 } as const

describe('A message whose handler asks for its author by name', () => {
  /** Bob with a message that waits, in a run that has not heard of ada. */
  async function startedAnew(): Promise<{ disk: { identity: Identity; store: Store }; bob: Agent; got: unknown[] }> {
    const [hers, his] = [await createIdentity(), await createIdentity()]
    const [herStore, hisStore] = [memoryStore(), memoryStore()]
    const before = await world.join('bob', { identity: his, store: hisStore })
    const ada = await world.join('ada', { identity: hers, store: herStore })
    const { delivered } = await world.during(ada.send(before.id, 'one', kept))
    await world.during(delivered)
    await world.during(ada.close())
    await world.during(before.close())
    const bob = await world.join('bob', { identity: his, store: hisStore })
    const got: unknown[] = []
    bob.handle({ sender: 'ada' }, ({ content }) => void got.push(content))
    await world.pass()
    expect(got).toEqual([])
    return { disk: { identity: hers, store: herStore }, bob, got }
  }

  test('is handled when she comes, before what she sends then', async () => {
    const { disk, bob, got } = await startedAnew()
    const ada = await world.join('ada', disk)
    await world.during(bob.waitFor('ada'))
    const { processed } = await world.during(ada.send(bob.id, 'two', kept))
    await world.during(processed)
    expect(got).toEqual(['one', 'two'])
  })

  test('is handled when the name is pinned to her', async () => {
    const { disk, bob, got } = await startedAnew()
    bob.pin('ada', disk.identity.id)
    await world.pass()
    expect(got).toEqual(['one'])
  })
})

describe('A message whose subscription has no room', () => {
  const image = { ...kept, contentType: 'image/png' }
  const later = { guarantee: 'exactly-once', contentType: 'text/plain' } as const
  let ada: Agent
  let bob: Agent
  let dropped: { reason: string }[]
  /** Has room for one. */
  let subscription: Subscription
  const got: unknown[] = []
  /** What is not kept takes all the room, and then comes what is. */
  async function send(...images: readonly string[]): Promise<void> {
    await world.during(ada.send(bob.id, 'not kept', { guarantee: 'at-most-once', contentType: 'image/png' }))
    await world.pass()
    for (const content of images) await world.during(ada.send(bob.id, content, image))
    await world.during(ada.send(bob.id, 'later', later))
    await world.pass()
  }
  beforeEach(async () => {
    got.splice(0)
    bob = await world.join('bob')
    ada = await world.join('ada')
    await world.during(ada.waitFor('bob'))
    dropped = collect(bob, 'message:dropped')
    subscription = bob.subscribe({ contentType: 'image/png', queue: 1 })
  })

  test('waits for room, is not told to be dropped, and what came later does not pass it', async () => {
    bob.handle({ contentType: 'text/plain' }, ({ content }) => void got.push(content))
    await send('first', 'second')
    expect(got).toEqual([])
    const read = (async () => {
      for await (const { content } of subscription) if (got.push(content) === 3) break
    })()
    await world.during(read)
    await world.pass()
    expect(got).toEqual(['not kept', 'first', 'second', 'later'])
    expect(dropped).toEqual([])
  })

  test.each(['unsubscribes', 'is over'])('holds up nothing once that %s, and waits for whoever comes', async how => {
    bob.handle({ contentType: 'text/plain' }, ({ content }) => void got.push(content))
    await send('first')
    expect(got).toEqual([])
    if (how === 'is over') subscription.finish()
    else subscription.unsubscribe()
    await world.pass()
    expect(got).toEqual(['later'])
    expect((await world.during(bob.receive())).content).toBe('first')
  })

  test('holds up nothing once somebody else has read it, or it has expired', async () => {
    bob.handle({ contentType: 'text/plain' }, ({ content }) => void got.push(content))
    await send('first', 'second')
    expect((await world.during(bob.receive())).content).toBe('first')
    await world.pass()
    expect(got).toEqual([])
    await world.clock.advance(70_000)
    expect(got).toEqual(['later'])
  })

  test('is dropped by it, which is told, where somebody else has taken it', async () => {
    bob.subscribe({}, ({ content }) => void got.push(content))
    await send('first')
    expect(got).toEqual(['not kept', 'first', 'later'])
    expect(dropped).toMatchObject([{ reason: 'subscription-full' }])
  })
})
