/** Recipients whose circuit breaker opens: they are left alone for a while, and no longer. */

import { afterEach, expect, it } from 'vitest'
import { memoryStore } from '../../src/store/memory.ts'
import { DeliveryWorld } from './world.ts'

let world: DeliveryWorld
afterEach(() => world.close())

const MINUTES = 60_000

it.each([30_000, 5_000])(
  'a recipient whose disk failed for a while gets everything, tried again after %i ms',
  async resetTimeout => {
    world = new DeliveryWorld()
    const store = memoryStore()
    let fails = false
    const { commit } = store
    store.commit = async (batch, options) => {
      if (fails && batch.writes.some(({ table }) => table === 'inbox')) throw new Error('the disk failed')
      return commit.call(store, batch, options)
    }
    const ada = await world.start(await world.machine())
    const bob = await world.start(await world.machine(store))
    const breaker = ada.breakers.getOrCreate(bob.id, { resetTimeout })
    const states: string[] = []
    breaker.addEventListener('change', ({ detail }) => states.push(detail.to))
    await ada.meet(bob)
    await ada.send(bob, 'one')
    await world.clock.advanceUntil(() => bob.texts.length === 1)
    fails = true
    await ada.send(bob, 'two')
    await world.clock.advance(2 * MINUTES)
    expect(states).toContain('open')
    fails = false
    await world.clock.advance(2 * MINUTES)
    expect(bob.texts).toEqual(['one', 'two'])
    await ada.send(bob, 'three')
    await world.clock.advance(1_000)
    expect(bob.texts).toEqual(['one', 'two', 'three'])
    expect(breaker.state).toBe('closed')
  },
)
