/** Circuit breakers whose `isFailure`, which is the application's, throws. */

import { describe, expect, test } from 'vitest'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { collect } from './waiting.ts'
import { acquainted, ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

const broken = new Error('isFailure is broken')
const isFailure = (): never => {
  throw broken
}

describe('An isFailure that throws', () => {
  test('has the call fail with its own error, and the breaker go on', async () => {
    const told = collect(ada, 'handler:error')
    const breaker = ada.breakers.getOrCreate('rates', { failureThreshold: 1, resetTimeout: 1_000, isFailure })
    const boom = new Error('boom')
    const fail = (): Promise<never> => Promise.reject(boom)
    await expect(breaker.execute(fail)).rejects.toBe(boom)
    expect(breaker).toMatchObject({ state: 'open', failureCount: 1 })
    await world.clock.advance(1_000)
    // The one that tries gives its place back.
    await expect(breaker.execute(fail)).rejects.toBe(boom)
    expect(breaker.state).toBe('open')
    await world.clock.advance(1_000)
    await breaker.execute(async () => {})
    expect(breaker.state).toBe('closed')
    expect(told).toEqual(Array(2).fill({ id: 'rates', error: broken }))
  })

  test('is told, and the message arrives once its recipient answers', async () => {
    const eve = await world.join('eve', { breaker: { failureThreshold: 1, isFailure }, guarantee: 'at-least-once' })
    await world.during(acquainted([eve, bob]))
    const told = collect(eve, 'handler:error')
    world.net.cut(bob.id, eve.id)
    const receipt = await eve.send(bob.id, 'hello', { retry: fixedRetry({ delay: 300, retries: 5 }) })
    while (told.length === 0) await world.clock.advance(100)
    expect(told).toEqual([{ id: bob.id, error: broken }])
    world.net.heal()
    await world.during(receipt.delivered)
    expect((await world.during(bob.receive())).content).toBe('hello')
  })
})
