/** Recipients that somebody holds back by hand, through their circuit breakers. */

import { beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { AfpTimeoutError } from '../../src/common/errors.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch, Store } from '../../src/store/store.ts'
import { collect, failure } from './waiting.ts'
import { ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

/** Where eve, whose messages are kept, starts again. */
let disk: { readonly identity: Identity; readonly store: Store }
/** What comes in between when it is written that a breaker is held open, or no longer. */
let disturb: () => Promise<void>
beforeEach(async () => {
  const store = memoryStore()
  const { commit } = store
  store.commit = async (batch: Batch, options) => {
    if (batch.writes.some(write => write.op !== 'deleteRange' && write.key[0] === 'held-open')) await disturb()
    return commit.call(store, batch, options)
  }
  disturb = async () => {}
  disk = { identity: await createIdentity(), store }
})

async function startEve(): Promise<Agent> {
  const eve = await world.join('eve', { ...disk, guarantee: 'at-least-once' })
  await world.during(Promise.all([eve.waitFor(bob.id), eve.waitFor(ada.id)]))
  return eve
}

const held = ({ breakers }: Agent): string[] => breakers.all().flatMap(({ name, forced }) => (forced ? [name] : []))

describe('What is held back by hand', () => {
  test('is still so after a restart, and goes when it is let go, for good', async () => {
    let eve = await startEve()
    eve.breakers.getOrCreate(bob.id).forceOpen()
    await eve.send(bob.id, 'held back')
    await world.during(eve.close())
    eve = await startEve()
    expect(held(eve)).toEqual([bob.id])
    await world.clock.advance(120_000)
    expect(bob.receiveAll()).toEqual([])
    eve.breakers.getOrCreate(bob.id).reset()
    expect((await world.during(bob.receive())).content).toBe('held back')
    await world.during(eve.close())
    eve = await startEve()
    expect(held(eve)).toEqual([])
    expect(await disk.store.count('meta', { prefix: ['held-open'] })).toBe(0)
  })

  test('is so too where failures had opened its breaker before; what only they did is tried anew', async () => {
    let eve = await startEve()
    for (const { id } of [ada, bob]) {
      const breaker = eve.breakers.getOrCreate(id)
      for (let i = 0; i < 5; i++) breaker.admit()?.fail(new Error('no answer'))
      expect(breaker.state).toBe('open')
    }
    const changes = collect(eve, 'breaker:changed')
    for (let i = 0; i < 2; i++) eve.breakers.get(bob.id)?.forceOpen()
    expect(changes).toMatchObject([{ name: bob.id, from: 'open', to: 'open', forced: true }])
    await world.during(eve.close())
    eve = await startEve()
    expect(held(eve)).toEqual([bob.id])
    expect(eve.breakers.getOrCreate(ada.id).state).toBe('closed')
  })

  test('is not, once its breaker is removed, lent out or not', async () => {
    let eve = await startEve()
    await world.during((await eve.send(bob.id, 'hello')).delivered)
    for (const name of [bob.id, 'something else']) eve.breakers.getOrCreate(name).forceOpen()
    await world.pass()
    expect(await disk.store.count('meta', { prefix: ['held-open'] })).toBe(2)
    for (const name of [bob.id, 'something else']) eve.breakers.remove(name)
    await world.during(eve.close())
    eve = await startEve()
    expect(held(eve)).toEqual([])
  })

  test('is told where it cannot be written, and written when it can be, before the agent has closed', async () => {
    let eve = await startEve()
    const errors = collect(eve, 'store:error')
    const fault = new Error('the disk failed')
    disturb = () => Promise.reject(fault)
    eve.breakers.getOrCreate(bob.id).forceOpen()
    expect(held(eve)).toEqual([bob.id])
    await world.pass()
    expect(errors).toEqual([{ error: fault }])
    const disturbed = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    disturb = () => {
      disturbed.resolve()
      return gate.promise
    }
    let closed = false
    const closing = eve.close().then(() => {
      closed = true
    })
    await world.during(disturbed.promise)
    await world.pass()
    expect(closed).toBe(false)
    gate.resolve()
    await world.during(closing)
    eve = await startEve()
    expect(held(eve)).toEqual([bob.id])
  })

  test('is kept for so many and no more; of others it is told', async () => {
    let eve = await startEve()
    const errors = collect(eve, 'store:error')
    const names = Array.from({ length: 1_025 }, (_, i) => `agent ${i}`)
    for (const name of names) eve.breakers.getOrCreate(name).forceOpen()
    expect(held(eve)).toEqual(names)
    expect(errors).toMatchObject([{ error: { code: 'STORE_FULL', reference: 'agent 1024' } }])
    await world.during(eve.close())
    eve = await startEve()
    expect(new Set(held(eve))).toEqual(new Set(names.slice(0, 1_024)))
  })
})

/** Has a breaker open by failures, for 30 s. */
function fail({ breakers }: Agent, to: string): void {
  for (let i = 0; i < 5; i++) breakers.getOrCreate(to).admit()?.fail(new Error('no answer'))
}

describe('While the circuit breaker of a recipient is open', () => {
  test('what is sent at most once is refused at once, and told, and others have it', async () => {
    const carol = await world.join('carol')
    await world.during(ada.waitFor(carol.id))
    const dropped = collect(ada, 'message:dropped')
    ada.breakers.getOrCreate(bob.id).forceOpen()
    const error = await world.during(failure(ada.send('bob', 'held back')))
    const details = { state: 'open', forced: true, retryAfter: Number.POSITIVE_INFINITY }
    expect(error).toMatchObject({ name: 'AfpRoutingError', code: 'CIRCUIT_OPEN', recipients: [bob.id], details })
    expect(error.cause).toMatchObject({ name: 'AfpCircuitBreakerError', circuitName: bob.id })
    expect(dropped).toMatchObject([{ peer: bob.id, reason: 'not-sent', error }])
    expect(await world.during(failure(ada.request('bob', 'asked')))).toMatchObject({ code: 'CIRCUIT_OPEN', details })
    const { recipients } = await world.during(ada.send(['bob', 'carol'], 'both'))
    expect(recipients.get(bob.id)).toMatchObject({ status: 'failed', error: { code: 'CIRCUIT_OPEN' } })
    expect((await world.during(carol.receive())).content).toBe('both')
    expect(bob.receiveAll()).toEqual([])
    ada.breakers.getOrCreate(bob.id).reset()
    fail(ada, bob.id)
    const retryAfter = 30_000
    expect(await failure(ada.send('bob', 'x'))).toMatchObject({ code: 'CIRCUIT_OPEN', details: { retryAfter } })
    await world.clock.advance(retryAfter)
    // Nobody acknowledges it: it does not try the breaker, and is not kept from going.
    await world.during(ada.send('bob', 'tried'))
    expect((await world.during(bob.receive())).content).toBe('tried')
  })

  test('nobody is waited for who is not there', async () => {
    const { id } = await createIdentity()
    ada.breakers.getOrCreate(id).forceOpen()
    const start = world.clock.monotonic()
    expect(await failure(ada.send(id, 'x'))).toMatchObject({ code: 'CIRCUIT_OPEN' })
    expect(world.clock.monotonic()).toBe(start)
  })

  test('replies go all the same: who waits for one is there', async () => {
    bob.handle(({ content }) => {
      if (content === 'fail') throw new Error('as asked')
      return 'answer'
    })
    bob.breakers.getOrCreate(ada.id).forceOpen()
    expect((await world.during(ada.request('bob', 'x'))).content).toBe('answer')
    expect(await world.during(failure(ada.request('bob', 'fail')))).toMatchObject({ code: 'HANDLER_FAILED' })
  })

  test('a request that cannot be answered in time is refused at once, with nothing kept; another one waits', async () => {
    bob.handle(() => 'answer')
    const eve = await startEve()
    const start = world.clock.monotonic()
    eve.breakers.getOrCreate(bob.id).forceOpen()
    const forced = failure(eve.request('bob', 'x', { timeout: 3_600_000 }))
    expect(await forced).toMatchObject({ code: 'CIRCUIT_OPEN', recipients: [bob.id], details: { forced: true } })
    eve.breakers.getOrCreate(bob.id).reset()
    fail(eve, bob.id)
    const late = failure(eve.request('bob', 'x', { timeout: 30_000 }))
    expect(await late).toMatchObject({ code: 'CIRCUIT_OPEN', details: { forced: false, retryAfter: 30_000 } })
    expect(await disk.store.count('outbox')).toBe(0)
    expect(world.clock.monotonic()).toBe(start)
    expect((await world.during(eve.request('bob', 'x', { timeout: 30_500 }))).content).toBe('answer')
    expect(world.clock.monotonic() - start).toBeGreaterThanOrEqual(30_000)
  })

  test('a request that comes to its timeout says what was in its way', async () => {
    const eve = await startEve()
    fail(eve, bob.id)
    const asked = failure(eve.request('bob', 'x', { timeout: 40_000 }))
    await world.clock.advance(10_000)
    eve.breakers.getOrCreate(bob.id).forceOpen()
    const error = await world.during(asked)
    const details = { state: 'open', forced: true, retryAfter: Number.POSITIVE_INFINITY }
    expect(error).toMatchObject({ name: 'AfpTimeoutError', code: 'TIMEOUT', timeoutSeconds: 40, details })
    expect(error.message).toMatch(/within 40 s: circuit breaker .* was opened by hand$/)
    eve.breakers.getOrCreate(bob.id).reset()
    bob.handle(() => new Promise(() => {}))
    const other = await world.during(failure(eve.request('bob', 'x', { timeout: 100 })))
    expect(other).toMatchObject({ code: 'TIMEOUT', details: {} })
    expect(other.message).toMatch(/within 0.1 s$/)
    const mine = new AfpTimeoutError('it takes too long', { timeoutSeconds: 1 })
    const calling = new AbortController()
    fail(eve, bob.id)
    const calledOff = failure(eve.request('bob', 'x', { timeout: 60_000, signal: calling.signal }))
    calling.abort(mine)
    expect(await world.during(calledOff)).toBe(mine)
  })
})
