/** Machines that sleep: their timers do not go on meanwhile, and the time of day does. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
beforeEach(() => {
  world = drivenWorld()
})
afterEach(() => world.close())

const HOUR = 3_600_000

test.each([20, 23.9, 25, 60])(
  'Who starts after another has slept for %d hours knows it, and reaches it',
  async hours => {
    const bob = await world.join('bob')
    bob.handle(() => 'hi')
    await world.clock.advance(10_000)
    world.clock.jump(hours * HOUR)
    const eve = await world.join('eve')
    await world.clock.advance(1_000)
    expect(eve.peers().map(({ card }) => card.name)).toEqual(['bob'])
    expect((await world.during(eve.request(bob.id, null))).content).toBe('hi')
  },
)

test('A signer that is away as its machine wakes is asked every few seconds, and the card is good when it is back', async () => {
  const own = await createIdentity()
  let away = false
  let asked = 0
  const identity: Identity = {
    ...own,
    sign: async (label, data) => {
      if (label === 'afp/1/card' && away) {
        asked++
        throw new Error('no smart card')
      }
      return own.sign(label, data)
    },
  }
  const bob = await world.join('bob', { identity })
  const eve = await world.join('eve')
  await world.clock.advance(10_000)
  const told: unknown[] = []
  bob.addEventListener('handler:error', ({ detail }) => told.push(detail.error))
  away = true
  world.clock.jump(25 * HOUR)
  // Each of what eve announces is looked at beside bob's own card.
  await world.clock.advance(60_000)
  expect(asked).toBeGreaterThan(3)
  expect(asked).toBeLessThanOrEqual(12)
  expect(told).toHaveLength(asked)
  away = false
  await world.clock.advance(10_000)
  expect(bob.card.expiresAt).toBeGreaterThan(world.clock.now() + 23 * HOUR)
  expect(eve.peers().map(({ card }) => card.seq)).toEqual([bob.card.seq])
})
