/** Recipients that somebody holds back by hand, through their circuit breakers. */

import { beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch, Store } from '../../src/store/store.ts'
import { collect } from './waiting.ts'
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
