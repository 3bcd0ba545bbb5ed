/** An author runs twice, as from a copy of its store, and each run speaks for both. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { FrameType, frameOf, statesFrame } from '../../src/delivery/frames.ts'
import { makeOpening } from '../../src/security/opening.ts'
import type { OwnPrekey } from '../../src/security/prekeys.ts'
import { MESH } from '../contracts/network-world.ts'
import { DeliveryWorld, type Node } from './world.ts'

let world: DeliveryWorld
let ada: Node
let bob: Node
beforeEach(async () => {
  world = new DeliveryWorld()
  bob = await world.start(await world.machine())
  ada = await world.start(await world.machine())
  await ada.meet(bob)
})
afterEach(() => world.close())

/** The other run opens an epoch of its own, and names no other: all that it knows of those is settled. */
async function twinSpeaks(): Promise<void> {
  const { identity: author } = ada.machine
  const prekey = bob.prekeys.current() as OwnPrekey
  const { notAfter } = prekey
  const options = { author, mesh: MESH, recipient: bob.id, prekey, earlier: [], notAfter, random: world.random }
  const { epoch, packet } = await makeOpening(options)
  await bob.delivery.received(author.id, frameOf(FrameType.opening, packet))
  await bob.delivery.received(author.id, statesFrame([{ epoch, base: 0, last: 1, skips: [0, []] }]))
}

test('What one run of an author goes on to send in an epoch that the other has ended arrives in another one, once', async () => {
  await ada.send(bob, 'first')
  await world.clock.advance(1_000)
  await twinSpeaks()
  await world.clock.advance(100)
  const later = [await ada.send(bob, 'second'), await ada.send(bob, 'third')]
  await world.clock.advance(10_000)
  expect(bob.texts).toEqual(['first', 'second', 'third'])
  await Promise.all(later.map(({ processed }) => processed))
  expect(bob.refused).not.toContain('id-conflict')
})
