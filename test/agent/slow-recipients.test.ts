import { describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { collect, failure } from './waiting.ts'
import { acquainted, ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

const BYTES = 10_000

/** An agent that takes no more from ada: she has sent it as much as fits on the way, and every further message waits. */
async function stuck(name: string): Promise<{ agent: Agent; sent: Promise<unknown>; goOn: () => void }> {
  const gate = Promise.withResolvers<void>()
  const agent = await world.join(name, { hooks: { afterReceive: () => gate.promise } })
  await world.during(acquainted([ada, bob]))
  await world.during(ada.waitFor(name))
  let settled = 0
  const sends: Promise<unknown>[] = []
  do {
    for (let i = 0; i < 50; i++) {
      const sending = ada.send(name, new Uint8Array(BYTES), { timeout: 60_000 })
      sends.push(sending.finally(() => settled++))
    }
    await world.clock.advance(20)
  } while (settled === sends.length)
  const sent = Promise.all(sends)
  sent.catch(() => {})
  return { agent, sent, goOn: gate.resolve }
}

describe('A recipient that stops reading', () => {
  test('costs its sender the time that it gave and no more; the message is taken back and never arrives', async () => {
    const { agent, sent, goOn } = await stuck('carol')
    const dropped = collect(ada, 'message:dropped')
    const start = world.clock.monotonic()
    const error = await world.during(failure(ada.send('carol', 'in a hurry', { timeout: 1_000 })))
    expect(error).toMatchObject({ name: 'AfpTimeoutError', code: 'TIMEOUT', timeoutSeconds: 1 })
    expect(error.message).toBe(`${agent.id} did not take the message within 1 s: it has not left`)
    expect(world.clock.monotonic() - start).toBeGreaterThanOrEqual(1_000)
    expect(world.clock.monotonic() - start).toBeLessThan(1_010)
    expect(dropped).toMatchObject([{ peer: agent.id, reason: 'not-sent', error }])
    expect(ada.metrics.counter('messages.dropped', { reason: 'TIMEOUT' }).value).toBe(1)
    goOn()
    await world.during(sent)
    await world.during(ada.send('carol', 'later'))
    await world.pass()
    expect(agent.receiveAll().map(({ content }) => content)).not.toContain('in a hurry')
  })

  test('is given five seconds where its sender does not say, from the call on', async () => {
    const { sent, goOn } = await stuck('carol')
    const start = world.clock.monotonic()
    for (const attempt of [ada.send('carol', 'x'), ada.request('carol', 'x')].map(attempt => failure(attempt))) {
      expect(await world.during(attempt)).toMatchObject({ code: 'TIMEOUT', timeoutSeconds: 5 })
    }
    expect(world.clock.monotonic() - start).toBeGreaterThanOrEqual(5_000)
    expect(world.clock.monotonic() - start).toBeLessThan(5_010)
    goOn()
    await world.during(sent)
  })

  test('is a failed one in the receipt of a message that others have', async () => {
    const { agent, sent, goOn } = await stuck('carol')
    const { recipients } = await world.during(ada.send(['bob', 'carol'], 'both', { timeout: 100 }))
    expect(recipients.get(bob.id)).toEqual({ status: 'sent', state: 'sent' })
    expect(recipients.get(agent.id)).toMatchObject({ status: 'failed', error: { code: 'TIMEOUT' } })
    await world.pass()
    expect(bob.receiveAll()).toHaveLength(1)
    goOn()
    await world.during(sent)
  })

  test('does not keep what is sent to others waiting, and each message has its own time', async () => {
    const { sent, goOn } = await stuck('carol')
    const order: number[] = []
    for (const timeout of [300, 100, 200]) {
      failure(ada.send('carol', 'x', { timeout })).then(() => order.push(timeout))
    }
    for (let i = 0; i < 100; i++) await ada.send('bob', i)
    await world.clock.advance(400)
    expect(order).toEqual([100, 200, 300])
    goOn()
    await world.during(sent)
  })
})

describe('A message that is called off', () => {
  const reason = new Error('changed my mind')

  test('when some have it gives a receipt that says who', async () => {
    const { agent, sent, goOn } = await stuck('carol')
    const dropped = collect(ada, 'message:dropped')
    const aborting = new AbortController()
    const sending = ada.send(['bob', 'carol'], 'both', { signal: aborting.signal })
    await world.pass()
    aborting.abort(reason)
    const { recipients, delivered } = await sending
    expect(recipients.get(bob.id)).toEqual({ status: 'sent', state: 'sent' })
    expect(recipients.get(agent.id)).toEqual({ status: 'failed', state: 'cancelled', error: reason })
    expect(await failure(delivered)).toMatchObject({ code: 'DELIVERY_FAILED', details: { failed: [agent.id] } })
    expect(bob.receiveAll()).toHaveLength(1)
    expect(dropped).toEqual([])
    goOn()
    await world.during(sent)
    await world.pass()
    expect(agent.receiveAll().map(({ content }) => content)).not.toContain('both')
  })

  test('when nobody has it is an error, the reason of its signal', async () => {
    const { sent, goOn } = await stuck('carol')
    const aborting = new AbortController()
    const attempts = [
      ada.send('carol', 'x', { signal: aborting.signal }),
      ada.request('carol', 'x', { signal: aborting.signal }),
    ]
    await world.pass()
    aborting.abort(reason)
    for (const attempt of attempts) expect(await failure(attempt)).toBe(reason)
    goOn()
    await world.during(sent)
  })

  test('when everybody has it changes nothing', async () => {
    const aborting = new AbortController()
    const sending = ada.send('bob', 'x', { signal: aborting.signal })
    sending.then(() => aborting.abort(reason))
    expect((await world.during(sending)).recipients.get(bob.id)).toEqual({ status: 'sent', state: 'sent' })
    expect((await world.during(bob.receive())).content).toBe('x')
  })
})
