import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { collect, failure } from './waiting.ts'
import { acquainted, type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
let ada: Agent
let bob: Agent
beforeEach(async () => {
  world = drivenWorld()
  ada = await world.join('ada')
  bob = await world.join('bob')
  await world.during(acquainted([ada, bob]))
})
afterEach(() => world.close())

describe('Hooks', () => {
  test('a hook refuses what leaves, and nothing of it leaves', async () => {
    const seen: unknown[] = []
    const carol = await world.join('carol', {
      hooks: {
        beforeSend: async ({ content }) => {
          seen.push(content)
          if (content === 'secret') throw new Error('not that')
        },
      },
    })
    await world.during(acquainted([ada, carol]))
    const error = expect.objectContaining({
      code: 'HOOK_REFUSED',
      cause: expect.objectContaining({ message: 'not that' }),
    })
    for (const attempt of [
      carol.send('ada', 'secret'),
      carol.request('ada', 'secret'),
      carol.publish('t', 'secret'),
      carol.broadcast('secret'),
    ].map(attempt => failure(attempt))) {
      expect(await attempt).toEqual(error)
    }
    await world.during(carol.send('ada', 'public'))
    await world.pass()
    expect(ada.receiveAll().map(({ content }) => content)).toEqual(['public'])
    expect(seen.filter(content => content !== null)).toEqual(['secret', 'secret', 'secret', 'secret', 'public'])
  })

  test('a hook refuses what comes, and its sender learns nothing', async () => {
    const carol = await world.join('carol', {
      hooks: {
        afterReceive: ({ metadata }) => {
          if (metadata.spam) throw new Error('spam')
        },
      },
    })
    await world.during(acquainted([ada, carol]))
    const refused = collect(carol, 'refused')
    await ada.send('carol', 'x', { metadata: { spam: true } })
    await ada.broadcast('x', { metadata: { spam: true } })
    await ada.send('carol', 'y')
    await world.pass()
    expect(carol.receiveAll().map(({ content }) => content)).toEqual(['y'])
    expect(refused).toMatchObject([
      { peer: ada.id, reason: 'hook' },
      { peer: ada.id, reason: 'hook' },
    ])
    expect(carol.metrics.counter('refused', { reason: 'hook' }).value).toBe(2)
  })

  test('a hook that takes its time keeps the order of its sender and holds up nobody else', async () => {
    const gate = Promise.withResolvers<void>()
    const carol = await world.join('carol', {
      hooks: { afterReceive: ({ content }) => (content === 'slow' ? gate.promise : undefined) },
    })
    await world.during(acquainted([ada, bob, carol]))
    await ada.send('carol', 'slow')
    await ada.send('carol', 'quick')
    await ada.broadcast('to all')
    await bob.send('carol', 'from bob')
    await world.pass()
    expect(carol.receiveAll().map(({ content }) => content)).toEqual(['from bob'])
    gate.resolve()
    await world.pass()
    expect(carol.receiveAll().map(({ content }) => content)).toEqual(['slow', 'quick', 'to all'])
    bob.receiveAll()
  })

  test('gossip beyond a thousand messages that a hook has not done with is refused', async () => {
    const gate = Promise.withResolvers<void>()
    const carol = await world.join('carol', {
      hooks: { afterReceive: ({ content }) => (content === null ? undefined : gate.promise) },
    })
    let got = 0
    carol.subscribe({ topic: 'flood' }, () => {
      got++
    })
    await world.during(acquainted([ada, carol]))
    await Promise.all(Array.from({ length: 1_100 }, (_, i) => ada.publish('flood', i)))
    await world.pass()
    expect(carol.metrics.counter('refused', { reason: 'overflow' }).value).toBe(1_100 - 1_024)
    gate.resolve()
    await world.pass()
    await ada.publish('flood', 'room again')
    await world.pass()
    expect(got).toBe(1_025)
  })
})
