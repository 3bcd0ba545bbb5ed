import { describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { Clock } from '../../src/common/clock.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { collect, failure } from './waiting.ts'
import { acquainted, ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

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

  test('draining waits for what was sent, also where its recipient is still to come', async () => {
    const sent = ada.send('carl', 'x', { timeout: 60_000 })
    let drained = false
    const draining = ada.drain().then(() => {
      drained = true
    })
    await world.pass()
    expect(drained).toBe(false)
    const carl = await world.join('carl')
    await world.during(draining)
    expect((await sent).recipients.get(carl.id)).toMatchObject({ status: 'sent' })
  })

  test('closing does not wait for recipients that are not there', async () => {
    const sent = failure(ada.send('carl', 'x', { timeout: 60_000 }))
    await world.pass()
    await ada.close()
    expect(await sent).toMatchObject({ code: 'CLOSED' })
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

  test('closing again from what closing tells is closing once', async () => {
    const closed = collect(ada, 'closed')
    const again: PromiseLike<void>[] = []
    let told = 0
    const gate = Promise.withResolvers<void>()
    ada.handle(async (_message, { signal }) => {
      signal.addEventListener('abort', () => {
        told++
        again.push(ada.close())
      })
      await gate.promise
    })
    ada.addEventListener('closed', () => void again.push(ada.close(), ada[Symbol.asyncDispose]()))
    ada.addEventListener('peer:offline', () => void again.push(ada.close()))
    await bob.send('ada', 'x')
    await world.pass()
    const closing = ada.close()
    gate.resolve()
    await world.during(closing)
    await world.during(Promise.all(again))
    expect(told).toBe(1)
    expect(closed).toHaveLength(1)
    expect(again.length).toBeGreaterThanOrEqual(3)
    for (const promise of again) expect(promise).toBe(closing)
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

  test('a request without an answer is out of time, also where its way ends in the same moment', async () => {
    // Timers are not exact: those after the first may be a little early.
    let early = 0
    const after: Clock['after'] = (ms, callback) => world.clock.after(ms - (ms === 2_000 ? early++ : 0), callback)
    const carl = await world.join('carl', {
      clock: { now: () => world.clock.now(), monotonic: () => world.clock.monotonic(), after },
    })
    const stranger = (await createIdentity()).id
    const asked = failure(carl.request(stranger, 'anybody?', { timeout: 2_000 }))
    expect(await world.during(asked)).toMatchObject({ code: 'TIMEOUT' })
  })
})
