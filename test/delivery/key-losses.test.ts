/** A recipient that loses one key after the other: what each of them costs, and that an honest one gets everything. */

import { expect, it } from 'vitest'
import { toHex } from '../../src/common/bytes.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { LOST_KEY_LABEL, lostKeyBody, lostKeyFrame } from '../../src/delivery/frames.ts'
import { KeyLosses } from '../../src/delivery/key-losses.ts'
import { PrekeyRing } from '../../src/security/prekeys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { MESH } from '../contracts/network-world.ts'
import { DeliveryWorld, type Node } from './world.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND

it('the first one pauses nothing, the next ones longer each, and after ten minutes without it is the first again', async () => {
  const clock = new DrivenClock()
  let over = 0
  const losses = new KeyLosses(clock, () => over++)
  const pauses: number[] = []
  for (let i = 0; i < 12; i++) {
    losses.add()
    const from = clock.monotonic()
    while (losses.pausing) await clock.advance(SECOND)
    pauses.push((clock.monotonic() - from) / SECOND)
  }
  expect(pauses).toEqual([0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
  expect(over).toBe(11)
  await clock.advance(5 * MINUTE)
  losses.add()
  expect(losses.pausing).toBe(true)
  await clock.advance(11 * MINUTE)
  losses.add()
  expect(losses.pausing).toBe(false)
  losses.add()
  losses.close()
  expect(clock.pending).toBe(0)
})

it('one that shows two keys in turn, and says each time that it has lost what came, has little written anew', async () => {
  const MESSAGES = 20
  const world = new DeliveryWorld()
  const store = memoryStore()
  const rings = [0, 1].map(() => new PrekeyRing({ store: memoryStore(), random: world.random }))
  for (const ring of rings) await ring.rotate(world.clock.now())
  const { identity: mallory } = await world.machine()
  let turn = 0
  const prekeyOf = () => rings[turn % 2]?.current()
  const ada = await world.start({ ...(await world.machine()), store }, undefined, { prekeyOf })
  for (let i = 0; i < MESSAGES; i++) await ada.send({ id: mallory.id } as Node, `${i}`)
  let sealed = 0
  const commit = store.commit.bind(store)
  store.commit = (batch, options) => {
    sealed += batch.writes.filter(({ op, table }) => op === 'put' && table === 'outbox').length
    return commit(batch, options)
  }
  for (let i = 0; i < 120; i++) {
    const rows = await store.range('epochs', { prefix: ['out', mallory.id] })
    const epochs = rows.map(({ key }) => key[2] as string)
    const signature = await mallory.sign(LOST_KEY_LABEL, lostKeyBody(MESH, ada.id, epochs))
    turn++
    await ada.delivery.received(mallory.id, lostKeyFrame(epochs, signature))
    ada.delivery.cardChanged(mallory.id)
    await world.clock.advance(SECOND / 2)
  }
  // At once, and after 1, 2, 4, 8 and 16 s more.
  expect(sealed / MESSAGES).toBe(6)
  expect(await store.count('outbox', { prefix: [mallory.id] })).toBe(MESSAGES)
  await world.close()
})

it('one that was restored twice in a row has everything, in order, soon after', async () => {
  const world = new DeliveryWorld()
  const ada = await world.start(await world.machine())
  let bob = await world.start(await world.machine())
  await ada.meet(bob)
  const keys = new Set<string>()
  for (const text of ['one', 'two']) {
    world.net.partition([ada.id], [bob.id])
    await ada.send(bob, text)
    keys.add(toHex(bob.prekeys.current()?.id as Uint8Array))
    bob.crash()
    world.net.heal()
    bob = await world.start({ identity: bob.machine.identity, store: memoryStore() })
    await ada.meet(bob)
    ada.delivery.cardChanged(bob.id)
  }
  await world.clock.advance(5 * SECOND)
  expect(keys.size).toBe(2)
  expect(bob.texts).toEqual(['one', 'two'])
  await world.close()
})
