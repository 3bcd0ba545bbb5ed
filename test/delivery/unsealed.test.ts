/** Messages to somebody whose key is not known: they are on the disk until it is. */

import { afterEach, beforeEach, expect, it } from 'vitest'
import { failure } from '../agent/waiting.ts'
import { DeliveryWorld, type Node } from './world.ts'

let world: DeliveryWorld
let ada: Node
let bob: Node
beforeEach(async () => {
  world = new DeliveryWorld()
  ada = await world.start(await world.machine())
  bob = await world.start(await world.machine())
  world.nodes.delete(bob.id)
})
afterEach(() => world.close())

it('are written each by itself: one whose handler wrote what cannot be written fails alone', async () => {
  const broken = new Error('what the handler wrote is broken')
  const also = (): never => {
    throw broken
  }
  const draft = { ...ada.delivery.draft(ada.message(bob, 'broken'), 'message'), also }
  const failed = failure(ada.delivery.send(draft, [bob.id]))
  // In the same turn: it comes while that one is written.
  const after = ada.send(bob, 'after')
  expect(await failed).toBe(broken)
  await after
  world.nodes.set(bob.id, bob)
  await ada.meet(bob)
  ada.delivery.cardChanged(bob.id)
  await world.clock.advanceUntil(() => bob.got.length > 0)
  expect(bob.texts).toEqual(['after'])
})
