import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createAgent } from '../../src/agent/create-agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { failure } from './waiting.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
beforeEach(() => {
  world = drivenWorld()
})
afterEach(() => world.close())

describe('createAgent', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['an empty name', { name: '' }, 'INVALID_NAME'],
    ['no name', { name: undefined }, 'INVALID_NAME'],
    ['a name of two scripts', { name: 'аda' }, 'INVALID_NAME'],
    ['a name of 65 characters', { name: 'x'.repeat(65) }, 'INVALID_NAME'],
    ['no mesh', { mesh: undefined }, 'INVALID_CARD'],
    ['an empty mesh', { mesh: '' }, 'INVALID_CARD'],
    ['a mesh with a line break', { mesh: 'a\nb' }, 'INVALID_CARD'],
    ['a long description', { description: 'x'.repeat(257) }, 'INVALID_CARD'],
    ['an empty capability', { capabilities: [''] }, 'INVALID_CARD'],
    ['too many capabilities', { capabilities: Array(65).fill('x') }, 'INVALID_CARD'],
    ['a relay that is no address', { relays: ['relay.example'] }, 'INVALID_ADDRESS'],
    ['a relay without an id', { relays: ['/dns4/relay.example/tcp/443/wss'] }, 'INVALID_ADDRESS'],
    ['a peer without an id', { peers: ['/ip4/127.0.0.1/tcp/1'] }, 'INVALID_ADDRESS'],
    ['an unknown limit', { limits: { bytes: 1 } }, 'INVALID_OPTION'],
    ['a limit of nothing', { limits: { frameBytes: 0 } }, 'INVALID_OPTION'],
    ['messages larger than frames', { limits: { frameBytes: 10, messageBytes: 11 } }, 'INVALID_OPTION'],
    ['an unknown guarantee', { guarantee: 'surely' }, 'INVALID_OPTION'],
    ['a guarantee that is not done', { guarantee: 'exactly-once' }, 'GUARANTEE_UNSUPPORTED'],
    ['another guarantee that is not done', { guarantee: 'at-least-once' }, 'GUARANTEE_UNSUPPORTED'],
  ])('refuses %s, and nothing is started', async (_what, options, code) => {
    const attempt = createAgent({
      name: 'ada',
      mesh: 'demo',
      carrier: () => {
        throw new Error('started')
      },
      ...options,
    } as AgentOptions)
    expect(await failure(attempt)).toMatchObject({ code })
  })

  test('ends with the reason of a signal that has fired', async () => {
    const reason = new Error('not now')
    expect(await failure(world.join('ada', { signal: AbortSignal.abort(reason) }))).toBe(reason)
  })

  test('takes best-effort for at-most-once', async () => {
    const ada = await world.join('ada', { guarantee: 'best-effort' })
    await ada.send('ada', 'x')
    expect(await ada.receive()).toMatchObject({ guarantee: 'at-most-once' })
  })

  test('without an identity is somebody new each time, with one the same', async () => {
    const identity = await createIdentity()
    const [first, second] = [await world.join('ada'), await world.join('ada')]
    expect(first.id).not.toBe(second.id)
    const run = await world.join('ada', { identity })
    expect(run.id).toBe(identity.id)
    await world.during(run.close())
    expect((await world.join('ada', { identity })).id).toBe(identity.id)
  })

  test('keeps in its store what names stand for, over runs', async () => {
    const store = memoryStore()
    const identity = await createIdentity()
    const first = await world.join('bob')
    const run = await world.join('ada', { store, identity })
    await world.during(run.send('bob', 'x'))
    const { seq } = run.card
    await world.during(run.close())
    await world.during(first.close())
    const impostor = await world.join('bob', { peers: [] })
    const again = await world.join('ada', { store, identity, peers: impostor.addresses })
    expect(again.card.seq).toBeGreaterThan(seq)
    expect(await world.during(failure(again.send('bob', 'y', { timeout: 500 })))).toMatchObject({ code: 'NO_ROUTE' })
    expect(impostor.receiveAll()).toEqual([])
  })

  test('a small frame and a small message are the limits of that agent alone', async () => {
    const ada = await world.join('ada')
    const bob = await world.join('bob', { limits: { messageBytes: 1_000 } })
    await world.during(ada.waitFor('bob'))
    expect(await failure(bob.send('ada', 'x'.repeat(1_000)))).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    await world.during(ada.send('bob', 'x'.repeat(2_000)))
    await world.clock.advance(100)
    expect(bob.metrics.counter('refused', { reason: 'too-large' }).value).toBe(1)
    expect(bob.receiveAll()).toEqual([])
  })
})
