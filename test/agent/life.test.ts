import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import type { Message } from '../../src/message/message.ts'
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

describe('Draining and closing', () => {
  test('draining waits for handlers and callbacks, and new messages are still taken', async () => {
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
    bob.handle({ contentType: 'text/plain' }, () => gates[0].promise)
    bob.subscribe({ contentType: 'application/json' }, () => gates[1].promise)
    await ada.send('bob', 'x')
    await ada.send('bob', 1)
    await world.pass()
    let drained = false
    const draining = bob.drain().then(() => {
      drained = true
    })
    await world.pass()
    gates[0].resolve()
    await world.pass()
    expect(drained).toBe(false)
    gates[1].resolve()
    await draining
    await bob.send('ada', 'still open')
    expect((await world.during(ada.receive())).content).toBe('still open')
  })

  test('closing lets handlers finish and their replies leave', async () => {
    const gate = Promise.withResolvers<void>()
    let told: AbortSignal | undefined
    bob.handle(async (_message, { signal }) => {
      told = signal
      await gate.promise
      return 'just in time'
    })
    const answer = ada.request('bob', 'x')
    await world.pass()
    const closing = bob.close()
    await world.pass()
    expect(told?.aborted).toBe(true)
    expect(told?.reason).toMatchObject({ code: 'CLOSED' })
    gate.resolve()
    await world.during(closing)
    expect((await answer).content).toBe('just in time')
  })

  test('closing inside a handler or a callback ends', async () => {
    const ended: string[] = []
    ada.handle(async () => {
      await ada.close()
      ended.push('handler')
    })
    bob.subscribe({}, async () => {
      await bob.close()
      ended.push('callback')
    })
    await Promise.all([bob.send('ada', 'go'), ada.send('bob', 'go')])
    await world.pass()
    await world.during(Promise.all([ada.close(), bob.close()]))
    await world.pass()
    expect(ended.sort()).toEqual(['callback', 'handler'])
  })

  test('a handler that never ends holds closing up for five seconds, no longer', async () => {
    bob.handle(() => new Promise(() => {}))
    await ada.send('bob', 'x')
    await world.pass()
    const start = world.clock.monotonic()
    await world.during(bob.close())
    expect(world.clock.monotonic() - start).toBeGreaterThanOrEqual(5_000)
    expect(world.clock.monotonic() - start).toBeLessThan(5_500)
  })

  test('closing twice is closing once, also while it is under way', async () => {
    const closed = collect(ada, 'closed')
    const first = ada.close()
    expect(ada.close()).toBe(first)
    await world.during(first)
    await ada.close()
    expect(closed).toHaveLength(1)
  })

  test('an agent at the end of its block is closed', async () => {
    let left: Agent
    {
      await using carol = await world.join('carol')
      left = carol
    }
    expect(await failure(left.send('ada', 'x'))).toMatchObject({ code: 'CLOSED' })
  })

  test('a closed agent does nothing more, and says so', async () => {
    await world.during(ada.close())
    const closed = expect.objectContaining({ code: 'CLOSED' })
    for (const attempt of [
      ada.send('bob', 'x'),
      ada.request('bob', 'x'),
      ada.publish('t', 'x'),
      ada.broadcast('x'),
      ada.receive(),
      ada.waitFor('bob'),
      ada.connect(bob.addresses[0] as string),
    ].map(attempt => failure(attempt))) {
      expect(await attempt).toEqual(closed)
    }
    expect(() => ada.handle(() => {})).toThrow(closed)
    expect(() => ada.subscribe()).toThrow(closed)
    expect(() => ada.receiveAll()).toThrow(closed)
    expect(() => ada.pin('bob', bob.id)).toThrow(closed)
    expect(() => ada.unpin('bob')).toThrow(closed)
    await ada.drain()
  })

  test('what waits when an agent closes is told that it closed', async () => {
    const { id } = await createIdentity()
    bob.handle(() => new Promise(() => {}))
    const waits = [
      ada.receive(),
      ada.request('bob', 'x', { timeout: 60_000 }),
      ada.send(id, 'x', { timeout: 60_000 }),
      ada.send('nobody', 'x', { timeout: 60_000 }),
      ada.send({ capability: 'fly' }, 'x', { timeout: 60_000 }),
      ada.waitFor('nobody'),
    ].map(wait => failure(wait))
    await world.pass()
    const start = world.clock.monotonic()
    await world.during(ada.close())
    for (const wait of waits) expect(await wait).toMatchObject({ code: 'CLOSED' })
    expect(world.clock.monotonic() - start).toBeLessThan(1_000)
  })

  test('subscriptions end with their agent: loops finish with what they took', async () => {
    const subscription = bob.subscribe({ topic: 'news' })
    await world.during(acquainted([ada, bob]))
    await ada.publish('news', 1)
    await ada.publish('news', 2)
    await world.pass()
    await world.during(bob.close())
    const read: unknown[] = []
    for await (const { content } of subscription) read.push(content)
    expect(read).toEqual([1, 2])
    expect(bob.subscriptions.size).toBe(0)
  })

  test('a subscription ends by its time and leaves its topic', async () => {
    const subscription = bob.subscribe({ topic: 'news', expiresAt: world.clock.now() + 1_000 })
    await world.clock.advance(500)
    expect((await ada.publish('news', 1)).peers).toEqual([bob.id])
    await world.clock.advance(501)
    expect(bob.subscriptions.get(subscription.id)).toBeUndefined()
    await world.clock.advance(100)
    expect((await ada.publish('news', 2)).peers).toEqual([])
  })

  test('the others see a closed agent leave at once, and a crashed one when it is silent for too long', async () => {
    const carol = await world.join('carol')
    await world.during(acquainted([ada, bob, carol]))
    const offline = collect(ada, 'peer:offline')
    await world.during(carol.close())
    await world.clock.advance(10)
    expect(offline).toEqual([{ id: carol.id, reason: 'left' }])
    world.net.crash(bob.id)
    await world.clock.advance(30_000)
    expect(offline.slice(1)).toEqual([{ id: bob.id, reason: 'silent' }])
    await failure(world.during(ada.send('bob', 'x', { timeout: 100 })))
  })

  test('nothing of an agent is left ticking when it has closed', async () => {
    await ada.send('bob', 'x')
    await failure(ada.receive({ signal: AbortSignal.abort() }))
    const waiting = failure(ada.request('nobody', 'x', { timeout: 60_000 }))
    await world.during(Promise.all([ada.close(), bob.close(), waiting]))
    expect(world.clock.pending).toBe(0)
  })
})

describe('Time to live', () => {
  test('a message whose time is up before there is a way to its recipient is dropped with an error', async () => {
    await world.during(bob.close())
    const { id } = await createIdentity()
    const late = failure(ada.send('late', 'x', { ttl: 2, timeout: 10_000 }))
    const never = failure(ada.send(id, 'x', { ttl: 2, timeout: 10_000 }))
    await world.clock.advance(3_000)
    const lateAgent = await world.join('late', { peers: ada.addresses })
    expect(await world.during(late)).toMatchObject({ code: 'MESSAGE_EXPIRED' })
    expect(await world.during(never)).toMatchObject({ code: 'NO_ROUTE' })
    await world.during(ada.send('late', 'y'))
    await world.pass()
    expect(lateAgent.receiveAll().map(({ content }) => content)).toEqual(['y'])
  })

  test('a message waits for its recipient as long as there is time', async () => {
    const sent = ada.send('late', 'x', { timeout: 10_000 })
    await world.clock.advance(3_000)
    const late = await world.join('late')
    await world.during(sent)
    expect((await world.during(late.receive())).content).toBe('x')
  })

  test('a message that expires on the way never reaches a handler', async () => {
    const handled: unknown[] = []
    bob.handle(message => void handled.push(message))
    world.net.setFaults({ delay: [1_500, 1_500] })
    await ada.send('bob', 'x', { ttl: 1 })
    await world.clock.advance(1_600)
    expect(handled).toEqual([])
    expect(bob.metrics.counter('refused', { reason: 'expired' }).value).toBe(1)
  })

  test('a sender whose clock is more than two minutes ahead is refused, one that is less is not', async () => {
    const carol = await world.join('carol', { limits: { clockSkew: 1_000 } })
    await world.during(acquainted([bob, carol]))
    const refused = collect(bob, 'refused')
    await carol.send('bob', 'a little', { timestamp: world.clock.now() + 119_000 })
    await carol.send('bob', 'too much', { timestamp: world.clock.now() + 121_000 })
    await world.pass()
    expect(bob.receiveAll().map(({ content }) => content)).toEqual(['a little'])
    expect(refused).toMatchObject([{ peer: carol.id, reason: 'clock-skew' }])
  })
})

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

describe('Names', () => {
  test('a name stands for who was meant by it first; a later claimant is an event and changes nothing', async () => {
    await world.during(ada.send('bob', 'first'))
    const conflicts = collect(ada, 'name:conflict')
    const impostor = await world.join('bob')
    await world.during(acquainted([ada, bob, impostor]))
    expect(conflicts).toEqual([{ name: 'bob', pinned: bob.id, claimant: impostor.id }])
    await world.during(ada.send('bob', 'second'))
    await world.pass()
    expect(bob.receiveAll().map(({ content }) => content)).toEqual(['first', 'second'])
    expect(impostor.receiveAll()).toEqual([])
  })

  test('two unused claims to a name are ambiguous until one is pinned', async () => {
    const twins = [await world.join('twin'), await world.join('twin')] as const
    await world.during(acquainted([ada, ...twins]))
    expect(await failure(ada.send('twin', 'x'))).toMatchObject({
      code: 'AMBIGUOUS_NAME',
      recipients: expect.arrayContaining([twins[0].id, twins[1].id]),
    })
    ada.pin('twin', twins[1].id)
    await world.during(ada.send('twin', 'x'))
    expect((await world.during(twins[1].receive())).sender).toBe(ada.id)
    expect(ada.unpin('twin')).toBe(true)
    expect(ada.unpin('twin')).toBe(false)
    expect(await failure(ada.send('twin', 'x'))).toMatchObject({ code: 'AMBIGUOUS_NAME' })
    expect(() => ada.pin('two', 'twin')).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(() => ada.pin('', twins[0].id)).toThrow(expect.objectContaining({ code: 'INVALID_NAME' }))
  })

  test('a filter by name means who had the name when it was made', async () => {
    const got: unknown[] = []
    ada.subscribe({ sender: 'bob' }, ({ content }) => void got.push(content))
    const impostor = await world.join('bob')
    await world.during(acquainted([ada, bob, impostor]))
    await world.during(impostor.send('ada', 'I am bob'))
    await world.during(bob.send('ada', 'I am'))
    await world.pass()
    expect(got).toEqual(['I am'])
  })

  test('a filter by a name that nobody has yet means the first who comes with it', async () => {
    const got: unknown[] = []
    ada.subscribe({ sender: ['dan', bob.id] }, ({ content }) => void got.push(content))
    const dan = await world.join('dan')
    await world.during(acquainted([ada, bob, dan]))
    for (const agent of [dan, bob]) await world.during(agent.send('ada', agent.name))
    await world.pass()
    expect(got).toEqual(['dan', 'bob'])
  })
})

describe('known faults of the Python code', () => {
  test('nobody chooses what another takes for a duplicate of a message of somebody else', async () => {
    const eve = await world.join('eve')
    await world.during(acquainted([ada, bob, eve]))
    const id = '019b7656-c000-7000-8000-00000000000c'
    await eve.send('bob', 'first with this id', { id })
    await ada.send('bob', 'the honest one', { id })
    await ada.send('bob', 'the same again', { id })
    await world.pass()
    expect(bob.receiveAll().map(({ content }) => content)).toEqual(['first with this id', 'the honest one'])
    expect(bob.metrics.counter('refused', { reason: 'duplicate' }).value).toBe(1)
  })

  test('nobody answers for another by asking under the same id', async () => {
    const eve = await world.join('eve')
    await world.during(acquainted([ada, bob, eve]))
    const id = '019b7656-c000-7000-8000-00000000000d'
    const asked = new Map<string, Message>()
    bob.subscribe({}, message => void asked.set(message.sender, message))
    const honest = ada.request('bob', 'ada asks', { id })
    await world.pass()
    const other = eve.request('bob', 'eve asks', { id })
    await world.pass()
    await bob.respond(asked.get(eve.id) as Message, 're: eve')
    await bob.respond(asked.get(ada.id) as Message, 're: ada')
    expect((await world.during(Promise.all([honest, other]))).map(({ content }) => content)).toEqual([
      're: ada',
      're: eve',
    ])
  })

  test('a priority is a whole number from 0 to 9', async () => {
    for (const priority of [-1, 10, 1.5, Number.NaN, '5' as never]) {
      expect(await failure(ada.send('bob', 'x', { priority }))).toMatchObject({ code: 'INVALID_PRIORITY' })
    }
    for (const priority of [0, 9]) await ada.send('bob', 'x', { priority })
    await world.pass()
    expect(bob.receiveAll().map(({ priority }) => priority)).toEqual([0, 9])
  })
})
