import { describe, expect, test } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
import { collect, failure } from './waiting.ts'
import { acquainted, ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

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

  test('hundreds wait for the same recipient, and the platform has nothing to complain about', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning)
    process.on('warning', onWarning)
    const sent = Promise.all(Array.from({ length: 300 }, (_, i) => ada.send('late', i, { timeout: 10_000 })))
    await world.clock.advance(1_000)
    const late = await world.join('late')
    await world.during(sent)
    await world.pass()
    process.off('warning', onWarning)
    expect(late.receiveAll().map(({ content }) => content)).toEqual(Array.from({ length: 300 }, (_, i) => i))
    expect(warnings).toEqual([])
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

  test('what waited for its reader until its time was up reaches nobody: it is dropped with an event', async () => {
    const dropped = collect(bob, 'message:dropped')
    const started: unknown[] = []
    const gate = Promise.withResolvers<void>()
    const read = bob.subscribe({ metadata: { to: 'loop' } })
    bob.subscribe({ metadata: { to: 'callback' } }, ({ content }) => {
      started.push(content)
      return gate.promise
    })
    for (const to of ['loop', 'callback', 'inbox'])
      for (const ttl of [1, 3600]) await world.during(ada.send('bob', ttl, { ttl, metadata: { to } }))
    await world.clock.advance(2_000)
    gate.resolve()
    await world.pass()
    for await (const { content } of read) {
      expect(content).toBe(3600)
      break
    }
    expect((await world.during(bob.receive())).content).toBe(3600)
    // The callback was at work on the first when that expired; only what starts late is dropped.
    expect(started).toEqual([1, 3600])
    expect(dropped).toMatchObject([{ reason: 'expired' }, { reason: 'expired' }])
  })
})
