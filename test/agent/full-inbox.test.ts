/** An inbox that is full of messages which nobody wants. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { collect } from './waiting.ts'
import { acquainted, type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
let ada: Agent
let bob: Agent
beforeEach(async () => {
  world = drivenWorld()
  ada = await world.join('ada', { guarantee: 'at-least-once' })
  bob = await world.join('bob', { guarantee: 'at-least-once', inbox: { messages: 5 } })
  await world.during(acquainted([ada, bob]))
  ada.handle(() => 'pong')
})
afterEach(() => world.close())

/** More than bob has room for. */
async function fill(ttl: number): Promise<void> {
  for (let i = 0; i < 8; i++) await world.during(ada.send('bob', `unwanted ${i}`, { ttl }))
  await world.pass()
}

describe('An agent whose inbox has room for one', () => {
  test('takes a reply once, also when its copy comes second', async () => {
    const cid = await world.join('cid', { guarantee: 'at-least-once' })
    const dan = await world.join('dan', { guarantee: 'at-least-once', inbox: { messages: 1 } })
    await world.during(acquainted([cid, dan]))
    dan.handle(() => {})
    const receipt = await world.during(cid.send(dan.id, 'so that it says how much room it has'))
    await world.during(receipt.processed)
    cid.handle(() => {
      // What is said of the reply is on its way for longer than its author waits.
      world.net.cut(dan.id, cid.id)
      return 'pong'
    })
    const refused = collect(dan, 'refused')
    expect((await world.during(dan.request(cid.id, 'ping'))).content).toBe('pong')
    await world.clock.advance(2_500)
    world.net.heal()
    await world.clock.advance(10_000)
    expect(new Set(refused.map(({ reason }) => reason))).toEqual(new Set(['duplicate']))
  })
})

describe('An agent whose inbox is full', () => {
  test('gets the replies that it waits for, each once, and the rest once there is room', async () => {
    await fill(3_600)
    const refused = collect(bob, 'refused')
    for (const content of ['ping', 'ping again']) {
      expect((await world.during(bob.request('ada', content))).content).toBe('pong')
    }
    const got: unknown[] = []
    bob.handle(({ content }) => got.push(content))
    await world.clock.advance(120_000)
    expect(got).toEqual(Array.from({ length: 8 }, (_, i) => `unwanted ${i}`))
    expect(refused.map(({ reason }) => reason)).not.toContain('unsolicited')
    expect((await world.during(bob.request('ada', 'ping'))).content).toBe('pong')
  })

  test('has room again as soon as what nobody wanted has expired', async () => {
    await fill(10)
    expect(bob.deadLetters.count()).toBe(0)
    await world.clock.advance(13_000)
    // Those that it took, and maybe one that came into their room before its own time was over.
    expect(bob.deadLetters.count({ reason: 'expired', side: 'recipient' })).toBeGreaterThanOrEqual(5)
    const receipt = await world.during(ada.send('bob', 'wanted'))
    await world.clock.advance(20_000)
    expect(receipt.status).toBe('delivered')
  })
})
