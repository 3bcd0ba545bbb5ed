/** An opening that comes again and again: what is known of it is not worked out anew. */

import { expect, test, vi } from 'vitest'
import { FrameType, frameOf, readAcks } from '../../src/delivery/frames.ts'
import { makeOpening } from '../../src/security/opening.ts'
import type { OwnPrekey } from '../../src/security/prekeys.ts'
import { MESH } from '../contracts/network-world.ts'
import { DeliveryWorld } from './world.ts'

test('An opening that is known is answered as before, without a look at its signature or the key it was sealed to', async () => {
  const world = new DeliveryWorld()
  const [bob, mallory] = [await world.start(await world.machine()), await world.start(await world.machine())]
  const answers: Uint8Array[] = []
  mallory.delivery.received = (_from, frame) => void answers.push(frame.slice())
  await bob.meet(mallory)
  const prekey = bob.prekeys.current() as OwnPrekey
  const { identity: author } = mallory.machine
  const made = { author, mesh: MESH, recipient: bob.id, prekey, earlier: [], notAfter: prekey.notAfter }
  const { epoch, packet } = await makeOpening({ ...made, random: world.random })
  let looks = 0
  vi.spyOn(bob.prekeys, 'find').mockImplementation(() => ({
    ...prekey,
    get privateKey() {
      looks++
      return prekey.privateKey
    },
  }))
  for (let times = 1; times <= 3; times++) {
    const asked = bob.delivery.received(mallory.id, frameOf(FrameType.opening, packet))
    await world.clock.advanceUntil(() => answers.length === times)
    await asked
    if (times === 1) expect(looks).toBeGreaterThan(0)
    if (times === 1) looks = 0
  }
  expect(looks).toBe(0)
  expect(answers[0]?.[0]).toBe(FrameType.acks)
  expect(readAcks((answers[0] as Uint8Array).subarray(1)).acks.map(ack => ack.epoch)).toEqual([epoch])
  expect(answers[1]).toEqual(answers[0])
  expect(answers[2]).toEqual(answers[0])
  expect(bob.refused).toEqual([])
  await world.close()
})
