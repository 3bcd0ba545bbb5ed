/** Handlers that take their time with what comes in bundles hold its sender back: nothing is dropped for it. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { collect } from '../agent/waiting.ts'
import { type Epoch, Hostile } from './hostile-member.ts'
import { HostileWorld } from './hostile-world.ts'

const FRAMES = 256
const MESSAGES = 256

let world: HostileWorld
let mallory: Hostile
let epoch: Epoch
beforeEach(async () => {
  world = await HostileWorld.make()
  mallory = await Hostile.join(world, world.bob.agent)
  epoch = await mallory.open(world.bob.agent)
  mallory.send(world.bob, epoch.opening)
})
afterEach(() => world.close())

test('256 frames of 256 messages are handled one by one, a few frames at a time, and in their order', {
  timeout: 60_000,
}, async () => {
  const { bob } = world
  bob.tap.recording = false
  const dropped = collect(bob.agent, 'message:dropped')
  bob.hold(mallory)
  for (let i = 0; i < FRAMES; i++) {
    const texts = Array.from({ length: MESSAGES }, (_, j) => `held ${i * MESSAGES + j}`)
    mallory.send(bob, await mallory.bundle(epoch, 1 + i, texts))
  }
  await world.clock.advance(5_000)
  // Until some are done so many are at work: those that nothing is held back for, those that may be, and a frame more.
  const first = bob.from(mallory).length
  expect(first).toBeGreaterThan(MESSAGES)
  expect(first).toBeLessThanOrEqual(256 + 1_024 + MESSAGES)
  bob.release(mallory)
  await world.until(() => bob.from(mallory).length === FRAMES * MESSAGES)
  expect(bob.from(mallory)).toEqual(Array.from({ length: FRAMES * MESSAGES }, (_, i) => `held ${i}`))
  expect(dropped).toEqual([])
  expect(bob.reasons(mallory)).toEqual([])
})
