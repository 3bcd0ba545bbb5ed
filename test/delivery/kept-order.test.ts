import { expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { DeliveryWorld } from './world.ts'

it('What waits for a key keeps its order over a restart, where the disk has refused an envelope', async () => {
  const world = new DeliveryWorld()
  const rows = memoryStore()
  const adas = await world.machine(rows)
  const bob = await world.start(await world.machine())
  let shown = false
  const parts = { prekeyOf: () => (shown ? bob.prekeys.current() : undefined) }
  const first = await world.start(adas, undefined, parts)
  const kept: Promise<unknown>[] = [first.send(bob, 'first')]
  await Promise.all(kept)
  const commit = rows.commit.bind(rows)
  let fails = 1
  rows.commit = async (...batch) => {
    const fail = fails-- > 0
    await new Promise<void>(resolve => world.clock.after(10, resolve))
    if (fail) throw new AfpDataStoreError('STORE_FAILED', 'the disk fails just now')
    return commit(...batch)
  }
  shown = true
  kept.push(first.send(bob, 'second'))
  await world.clock.advance(5)
  kept.push(first.send(bob, 'third'))
  await world.clock.advance(100)
  await Promise.all(kept)
  first.crash()
  rows.commit = commit
  const ada = await world.start(adas, undefined, parts)
  await ada.meet(bob)
  await world.clock.advanceUntil(() => bob.texts.length === 3)
  expect(bob.texts).toEqual(['first', 'second', 'third'])
  await world.close()
})
