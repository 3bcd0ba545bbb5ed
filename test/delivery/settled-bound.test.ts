/** How much is remembered of the epochs of an author that are settled, and what comes after them. */

import { expect, test } from 'vitest'
import { toHex } from '../../src/common/bytes.ts'
import { putSettled } from '../../src/delivery/rows.ts'
import { MAX_SETTLED } from '../../src/feed/settled.ts'
import { type Planned, Restarts } from './restarts.ts'
import { DeliveryWorld } from './world.ts'

const DAY = 86_400_000

test('an author that started more often than is remembered is heard, and the oldest of its runs is forgotten', async () => {
  const world = new DeliveryWorld()
  const [bobs, adas] = [await world.machine(), await world.machine()]
  const now = world.clock.now()
  const epochs = Array.from({ length: MAX_SETTLED }, () => toHex(world.random.bytes(16)))
  // As a job that starts each minute leaves them: each is settled by the next one.
  const writes = epochs.map((epoch, i) => putSettled(adas.identity.id, { epoch, floor: 1, at: now - 60_000 * (i + 1) }))
  await bobs.store.commit({ writes })
  const bob = await world.start(bobs)
  for (let run = 1; run <= 3; run++) {
    const ada = await world.start(adas)
    await ada.meet(bob)
    const sent = await ada.send(bob, `run ${run}`)
    await world.clock.advanceUntil(() => sent.receipt.recipients.get(bob.id)?.state === 'processed')
    await world.clock.advance(30_000)
    ada.crash()
    await world.clock.advanceUntil(() => bob.network.link(adas.identity.id) === undefined)
  }
  expect(bob.texts).toEqual(['run 1', 'run 2', 'run 3'])
  expect(bob.refused).toEqual([])
  const kept = await bobs.store.range('epochs', { prefix: ['in'] })
  // That of the last run is not settled.
  expect(kept.length).toBe(MAX_SETTLED + 1)
  const ids = kept.map(({ key }) => key.at(-1))
  expect(epochs.map(epoch => ids.includes(epoch)).lastIndexOf(true)).toBe(MAX_SETTLED - 3)
  await world.close()
}, 60_000)

test('what came after an epoch that is forgotten is handed on again after a restart', async () => {
  const long: Planned = { given: false, priority: 0, ttl: (30 * DAY) / 1_000 }
  const all = await Restarts.make([[long], [long, long]])
  await all.take({ op: 'opening', epoch: 0 })
  await all.take({ op: 'envelope', epoch: 0, number: 1 })
  await all.take({ op: 'opening', epoch: 1 })
  await all.take({ op: 'envelope', epoch: 1, number: 1 })
  await all.take({ op: 'handled' })
  await all.take({ op: 'word', epoch: 1, settles: true })
  expect(all.bob.texts).toEqual(['0.1.0', '1.1.0'])
  all.world.clock.jump(10 * DAY)
  await all.take({ op: 'envelope', epoch: 1, number: 2 })
  all.world.clock.jump(23 * DAY)
  await all.bob.delivery.tidy()
  expect(await all.machine.store.count('epochs', { prefix: ['in'] })).toBe(1)
  // The first one of it, which had a handler, has expired meanwhile.
  await all.restart(false)
  await all.world.clock.advance(10)
  expect(all.bob.texts).toEqual(['1.2.0'])
  all.end()
})
