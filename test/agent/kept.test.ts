/** Messages that are kept until they are done with: over departures, restarts, failures, and what is told of them. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { collect, failure, until } from './waiting.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
let ada: Agent
beforeEach(async () => {
  world = drivenWorld()
  ada = await join('ada')
})
afterEach(() => world.close())

/** An agent whose messages are kept. */
const join = (name: string, options: Partial<AgentOptions> = {}): Promise<Agent> =>
  world.join(name, { guarantee: 'at-least-once', ...options })

/** A machine on which an agent can start again. */
interface Machine {
  readonly name: string
  readonly identity: Identity
  readonly store: Store
}
const machine = async (name: string): Promise<Machine> => ({
  name,
  identity: await createIdentity(),
  // An agent leaves a store open that it was given: it is there for the next run.
  store: memoryStore(),
})
const start = ({ name, identity, store }: Machine, options: Partial<AgentOptions> = {}): Promise<Agent> =>
  join(name, { identity, store, ...options })

const met = (agent: Agent, other: Agent): Promise<unknown> => world.during(agent.waitFor(other.id))

describe('A kept message', () => {
  test('is delivered, and then processed when its handler is done', async () => {
    const bob = await join('bob')
    await met(ada, bob)
    const gate = Promise.withResolvers<void>()
    bob.handle(() => gate.promise)
    const receipt = await ada.send('bob', 'hello')
    expect(receipt.status).toBe('sent')
    const delivered = await world.during(receipt.delivered)
    expect(delivered.get(bob.id)).toMatchObject({ status: 'delivered', state: 'delivered', retries: 0 })
    gate.resolve()
    const processed = await world.during(receipt.processed)
    expect(processed.get(bob.id)).toMatchObject({ status: 'delivered', state: 'processed' })
    expect(receipt.recipients.get(bob.id)).toMatchObject({ state: 'processed' })
    expect(await ada.deliveries.get(receipt.id)).toMatchObject({ id: receipt.id, status: 'delivered' })
  })

  test('is received once, however often it is offered until somebody wants it', async () => {
    const bob = await join('bob')
    await met(ada, bob)
    await world.during((await ada.send('bob', 'for later')).delivered)
    for (let i = 0; i < 5; i++) bob.handle({ contentType: `application/x-${i}` }, () => {})
    await world.pass()
    const received = (): number => bob.metrics.counter('messages.received').value
    expect(received()).toBe(1)
    expect((await world.during(bob.receive())).content).toBe('for later')
    expect(received()).toBe(1)
  })

  test('is what is sent unless something else is asked for', async () => {
    const [carl, bob] = [await join('carl', { guarantee: undefined }), await join('bob')]
    await met(carl, bob)
    await world.during(carl.send('bob', 'x'))
    expect(await world.during(bob.receive())).toMatchObject({
      guarantee: 'at-least-once',
      requiresAck: true,
      security: { level: 'high' },
    })
  })

  test('waits for a recipient that is not there yet', async () => {
    const bobs = await machine('bob')
    const receipt = await world.during(ada.send(bobs.identity.id, 'early'))
    expect(receipt.status).toBe('pending')
    await world.clock.advance(60_000)
    const bob = await start(bobs)
    expect((await world.during(bob.receive())).content).toBe('early')
    await world.during(receipt.processed)
  })

  test('is kept with others of its turn for a recipient that nobody has met, and they come in their order', async () => {
    const bobs = await machine('bob')
    const texts = Array.from({ length: 20 }, (_, i) => `message ${i}`)
    const sent = texts.map(text => ada.send(bobs.identity.id, text))
    await world.during(Promise.all(sent))
    const bob = await start(bobs)
    const got: unknown[] = []
    bob.handle(({ content }) => got.push(content))
    for (const receipt of sent) await world.during((await receipt).processed)
    expect(got).toEqual(texts)
  })

  test('waits at its recipient until somebody reads, over a restart of both', async () => {
    const [adas, bobs] = await Promise.all([machine('ada 2'), machine('bob')])
    let [sender, bob] = [await start(adas), await start(bobs)]
    await met(sender, bob)
    const ids: string[] = []
    for (const text of ['one', 'two', 'three']) ids.push((await world.during(sender.send(bob.id, text))).id)
    await world.clock.advance(5_000)
    expect(await sender.deliveries.get(ids[2] as string)).toMatchObject({ status: 'delivered' })
    await world.during(Promise.all([sender.close(), bob.close()]))
    bob = await start(bobs)
    expect((await world.during(bob.receive())).content).toBe('one')
    expect(bob.receiveAll().map(({ content }) => content)).toEqual(['two', 'three'])
    sender = await start(adas)
    await met(sender, bob)
    await world.clock.advance(5_000)
    expect((await sender.deliveries.get(ids[0] as string))?.recipients.get(bob.id)).toMatchObject({
      state: 'processed',
    })
  })

  test('is taken by a subscription, and done with once its reader has it', async () => {
    const bob = await join('bob')
    await met(ada, bob)
    const subscription = bob.subscribe({ contentType: 'text/plain' })
    const receipt = await world.during(ada.send('bob', 'for a reader'))
    await world.during(receipt.delivered)
    await world.clock.advance(10_000)
    expect(receipt.recipients.get(bob.id)).toMatchObject({ state: 'delivered' })
    for await (const { content } of subscription) {
      expect(content).toBe('for a reader')
      break
    }
    await world.during(receipt.processed)
  })

  test('that nobody wanted is handled when a handler comes', async () => {
    const bob = await join('bob')
    await met(ada, bob)
    const receipts = [await world.during(ada.send('bob', 1)), await world.during(ada.send('bob', 2))]
    await world.clock.advance(5_000)
    const got: unknown[] = []
    bob.handle(({ content }) => got.push(content))
    for (const { processed } of receipts) await world.during(processed)
    expect(got).toEqual([1, 2])
  })

  test('of several recipients is told for each', async () => {
    const [bob, carol] = [await join('bob'), await join('carol')]
    await met(ada, bob)
    await met(ada, carol)
    bob.handle(() => {})
    carol.handle(() => {
      throw new Error('no')
    })
    const receipt = await world.during(ada.send(['bob', 'carol'], 'x'))
    const error = await world.during(failure(receipt.processed))
    expect(error).toMatchObject({ code: 'DELIVERY_FAILED' })
    expect(receipt.recipients.get(bob.id)).toMatchObject({ status: 'delivered', state: 'processed' })
    expect(receipt.recipients.get(carol.id)).toMatchObject({ status: 'failed', state: 'dead', reason: 'handler-error' })
    expect(receipt.status).toBe('failed')
    expect(await carol.deadLetters.list()).toMatchObject([
      { side: 'recipient', reason: 'handler-error', sender: ada.id, attempts: 6 },
    ])
  })

  test('can be called off as long as its recipient does not have it', async () => {
    const { identity } = await machine('bob')
    const receipt = await world.during(ada.send(identity.id, 'never mind'))
    expect(await world.during(ada.deliveries.cancel(receipt.id))).toBe(true)
    expect(receipt.recipients.get(identity.id)).toMatchObject({ status: 'failed', state: 'cancelled' })
    expect(await world.during(failure(receipt.delivered))).toMatchObject({ code: 'DELIVERY_FAILED' })
    expect(await world.during(ada.deliveries.cancel(receipt.id))).toBe(false)
  })

  test('to the agent itself goes the same way', async () => {
    const got: unknown[] = []
    ada.handle(({ content, sender }) => got.push([content, sender]))
    const receipt = await world.during(ada.send(ada.id, 'note to self'))
    await world.during(receipt.processed)
    expect(got).toEqual([['note to self', ada.id]])
  })

  test('that expires undelivered becomes a dead letter, and is sent anew by its retry', async () => {
    const bobs = await machine('bob')
    const expired = until(ada, 'delivery:expired')
    const added = until(ada, 'dead-letter:added')
    const receipt = await world.during(ada.send(bobs.identity.id, 'too late', { ttl: 10 }))
    await world.clock.advance(11_000)
    expect(await expired).toMatchObject({ id: receipt.id, recipient: bobs.identity.id })
    const { letter } = await added
    expect(letter).toMatchObject({ side: 'sender', reason: 'expired', messageId: receipt.id, peer: bobs.identity.id })
    const bob = await start(bobs)
    await met(ada, bob)
    expect(await world.during(ada.deadLetters.retry(letter.id))).toBe('retried')
    expect((await world.during(bob.receive())).content).toBe('too late')
    expect(await ada.deadLetters.list({ processed: false })).toEqual([])
  })

  test('whose handler fails comes again, and says so', async () => {
    const bob = await join('bob', { handlerRetry: fixedRetry({ delay: 1_000, retries: 2 }) })
    await met(ada, bob)
    const tries: boolean[] = []
    const errors = collect(bob, 'handler:error')
    bob.handle((_message, { redelivered }) => {
      tries.push(redelivered)
      if (tries.length < 3) throw new Error('not yet')
    })
    const receipt = await world.during(ada.send('bob', 'x'))
    await world.during(receipt.processed)
    expect(tries).toEqual([false, true, true])
    expect(errors).toHaveLength(2)
    expect(await bob.deadLetters.list()).toEqual([])
  })

  test('that could not be handled is handled by the retry of its dead letter', async () => {
    const bob = await join('bob', { handlerRetry: fixedRetry({ delay: 1_000, retries: 0 }) })
    await met(ada, bob)
    let works = false
    bob.handle(() => {
      if (!works) throw new Error('broken')
    })
    const receipt = await world.during(ada.send('bob', 'x'))
    await world.during(failure(receipt.processed))
    const [letter] = await bob.deadLetters.list()
    expect(letter).toMatchObject({ reason: 'handler-error', lastError: { message: 'broken' } })
    const id = letter?.id as string
    expect(await world.during(failure(bob.deadLetters.retry(id)))).toMatchObject({ message: 'broken' })
    works = true
    expect(await world.during(bob.deadLetters.retry(id))).toBe('retried')
    expect(await bob.deadLetters.get(id)).toMatchObject({ processed: true })
    // Its sender has been told that it failed, may have sent it anew, and hears no more of it.
    await world.pass()
    expect(receipt.recipients.get(bob.id)).toMatchObject({ state: 'dead', reason: 'handler-error' })
    expect(await ada.deliveries.get(receipt.id)).toMatchObject({ status: 'failed' })
  })

  test('waits while the circuit breaker of its recipient is held open', async () => {
    const bob = await join('bob')
    await met(ada, bob)
    await world.during((await world.during(ada.send('bob', 'first'))).delivered)
    ada.breakers.getOrCreate(bob.id).forceOpen()
    const receipt = await world.during(ada.send('bob', 'second'))
    await world.clock.advance(120_000)
    expect(receipt.status).toBe('pending')
    ada.breakers.getOrCreate(bob.id).reset()
    // At once, and not when somebody happens to look at the breaker again.
    await world.clock.advance(100)
    expect(receipt.status).toBe('delivered')
  })
})

describe('The circuit breaker of a recipient', () => {
  test('is the one that is kept under its id, also after it was removed, and however many others there are', async () => {
    const bob = await join('bob')
    await met(ada, bob)
    await world.during((await world.during(ada.send('bob', 'first'))).delivered)
    const { breakers } = ada
    const breaker = breakers.getOrCreate(bob.id)
    breaker.forceOpen()
    const held = await world.during(ada.send('bob', 'held back'))
    await world.pass()
    expect(held.status).toBe('pending')
    expect(breakers.remove(bob.id)).toBe(true)
    await world.during(held.delivered)
    for (let i = 0; i < 2_000; i++) breakers.getOrCreate(`stranger ${i}`)
    expect(breakers.getOrCreate(bob.id)).toBe(breaker)
    breaker.forceOpen()
    const other = await world.during(ada.send('bob', 'held back as well'))
    await world.clock.advance(60_000)
    expect(other.status).toBe('pending')
    breakers.resetAll()
    await world.during(other.delivered)
    await world.pass()
    expect(bob.receiveAll().map(({ content }) => content)).toEqual(['first', 'held back', 'held back as well'])
  })
})

describe('A kept request', () => {
  test('is answered over the same way, also when its handler runs on another day than its asker hoped', async () => {
    const bob = await join('bob')
    await met(ada, bob)
    bob.handle(({ content, guarantee }) => [content, guarantee])
    expect((await world.during(ada.request('bob', 1))).content).toEqual([1, 'at-least-once'])
    expect((await world.during(ada.request('bob', 2, { guarantee: 'exactly-once' }))).content).toEqual([
      2,
      'exactly-once',
    ])
    expect((await world.during(ada.request('bob', 3, { guarantee: 'at-most-once' }))).content).toEqual([
      3,
      'at-most-once',
    ])
  })

  test('is handled by the next run of its recipient, once there is somebody to handle it', async () => {
    const bobs = await machine('bob')
    let bob = await start(bobs)
    await met(ada, bob)
    bob.handle(() => new Promise(() => {}))
    const asked = ada.request(bob.id, 'again?', { timeout: 120_000 })
    asked.catch(() => {})
    await world.clock.advance(1_000)
    expect(await bobs.store.count('inbox')).toBe(1)
    await world.during(bob.close())
    bob = await start(bobs)
    const errors = collect(bob, 'handler:error')
    await met(ada, bob)
    await world.clock.advance(5_000)
    bob.handle(({ content }, { redelivered }) => [content, redelivered])
    expect((await world.during(asked)).content).toEqual(['again?', true])
    expect(errors).toEqual([])
  })

  test('whose asker gave up is not handled any more', async () => {
    const bobs = await machine('bob')
    const asked = failure(ada.request(bobs.identity.id, 'hurry', { timeout: 2_000 }))
    expect(await world.during(asked)).toMatchObject({ code: 'TIMEOUT' })
    const handled: unknown[] = []
    const bob = await start(bobs)
    bob.handle(({ content }) => handled.push(content))
    await met(ada, bob)
    await world.clock.advance(60_000)
    expect(handled).toEqual([])
  })
})

describe('A handler with a transaction', () => {
  const increment = (bob: Agent, work: () => Promise<void> = async () => {}): void => {
    bob.handle(async (_message, { transaction }) => {
      const count = (((await transaction.get(['count'])) as number | undefined) ?? 0) + 1
      await work()
      transaction.put(['count'], count)
      return count
    })
  }

  test('counts once, however often its message came and its agent went', async () => {
    const bobs = await machine('bob')
    let bob = await start(bobs)
    await met(ada, bob)
    increment(bob, () => Promise.reject(new Error('power cut')))
    const receipt = await world.during(ada.send(bob.id, 'x', { guarantee: 'exactly-once' }))
    await world.during(receipt.delivered)
    await world.during(bob.close())
    expect(await bobs.store.count('app')).toBe(0)
    bob = await start(bobs)
    increment(bob)
    await met(ada, bob)
    await world.during(receipt.processed)
    expect((await world.during(ada.request(bob.id, 'and now?', { guarantee: 'exactly-once' }))).content).toBe(2)
  })

  test('has a key for effects elsewhere that is the same at each run for one message, and another for each other', async () => {
    const [bob, eve] = [await join('bob'), await join('eve')]
    await met(ada, bob)
    await met(eve, bob)
    const keys: string[] = []
    bob.handle((_message, { idempotencyKey, redelivered }) => {
      keys.push(idempotencyKey)
      if (!redelivered) throw new Error('not at the first time')
    })
    // An id is its sender's choice, so that by itself it is nobody's.
    const id = '0190b2a0-0000-7000-8000-000000000001'
    await world.during((await ada.send('bob', 1, { id })).processed)
    await world.during((await eve.send('bob', 1, { id })).processed)
    await world.during((await ada.send('bob', 2)).processed)
    expect(keys).toHaveLength(6)
    expect(new Set(keys).size).toBe(3)
    expect([keys[0], keys[2], keys[4]]).toEqual([keys[1], keys[3], keys[5]])
  })

  test('answers with what was committed, also when two of them have read the same', async () => {
    const [bob, carol] = [await join('bob'), await join('carol')]
    await met(ada, bob)
    await met(carol, bob)
    let runs = 0
    const both = Promise.withResolvers<void>()
    increment(bob, () => {
      if (++runs === 2) both.resolve()
      return both.promise
    })
    const asked = [ada, carol].map(agent => agent.request('bob', null, { guarantee: 'exactly-once' }))
    const counts = (await world.during(Promise.all(asked))).map(({ content }) => content as number)
    expect(counts.sort()).toEqual([1, 2])
    expect(runs).toBe(3)
  })
})
