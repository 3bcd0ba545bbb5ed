/** Requests of a run that was killed: nobody waits for them any more, and however many there are, they hold up nobody. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SLICE_ITEMS } from '../../src/common/slices.ts'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import { putOutbox, readOutbox } from '../../src/delivery/rows.ts'
import type { Batch, Key } from '../../src/store/store.ts'
import { DeliveryWorld, type Machine, type Node } from './world.ts'

const COUNT = 300
/** How long the disk takes to write the end of one, ms, however many it writes at a time. */
const SYNC = 10

let world: DeliveryWorld
let adas: Machine
let bob: Node
let shown: ReturnType<Node['prekeys']['current']> | undefined
beforeEach(async () => {
  world = new DeliveryWorld()
  adas = await world.machine()
  bob = await world.start(await world.machine())
})
afterEach(() => world.close())

/** Asks so often, and is killed; the ids of what was asked. */
async function asked(count: number, ttl = 600): Promise<string[]> {
  const ada = await world.start(adas, undefined, { prekeyOf: () => shown })
  const requests = Array.from({ length: count }, (_, i) => ada.message(bob, `${i}`, { ttl }))
  await Promise.all(requests.map(request => ada.delivery.send(ada.delivery.draft(request, 'request'), [bob.id])))
  await ada.delivery.close()
  ada.crash()
  return requests.map(({ id }) => id)
}

const state = async (id: string): Promise<string | undefined> =>
  (await loadReceipt(adas.store, id))?.recipients.get(bob.id)?.state

describe.each([
  ['sealed', true],
  ['not sealed yet', false],
])('requests of an earlier run that are %s', (_, sealed) => {
  beforeEach(() => {
    shown = sealed ? bob.prekeys.current() : undefined
  })

  it('are ended a slice at a time, and what is sent meanwhile is on the disk with the first ones', async () => {
    const ids = await asked(COUNT)
    const rows = new Set((await adas.store.range('outbox', { limit: COUNT })).map(({ key }) => JSON.stringify(key)))
    expect(rows.size).toBe(COUNT)
    const isEnd = ({ writes }: Batch): boolean =>
      writes.some(write => 'key' in write && rows.has(JSON.stringify(write.key as Key)))
    const commit = adas.store.commit.bind(adas.store)
    let [now, most, ends] = [0, 0, 0]
    adas.store.commit = async (batch, options) => {
      if (isEnd(batch)) {
        ends++
        most = Math.max(most, ++now)
        await new Promise<void>(resolve => world.clock.after(SYNC, resolve))
      }
      return commit(batch, options)
    }
    const nextTask = async (): Promise<void> => {
      await new Promise(resolve => setImmediate(resolve))
      now = 0
    }
    const ada = await world.start(adas, undefined, { prekeyOf: () => shown, nextTask })
    let kept = false
    const from = world.clock.now()
    const sending = ada.send(bob, 'the first of this run').then(() => {
      kept = true
    })
    await world.clock.advanceUntil(() => kept)
    await sending
    expect(world.clock.now() - from).toBeLessThanOrEqual(2 * SYNC)
    await world.clock.advanceUntil(() => ends === COUNT)
    await world.clock.advance(SYNC)
    expect(most).toBe(SLICE_ITEMS)
    expect(new Set(await Promise.all(ids.map(state)))).toEqual(new Set(['cancelled']))
    shown = bob.prekeys.current()
    ada.delivery.cardChanged(bob.id)
    await ada.meet(bob)
    await world.clock.advanceUntil(() => bob.texts.length > 0)
    await world.clock.advance(5_000)
    expect(bob.texts).toEqual(['the first of this run'])
    expect(await adas.store.count('outbox')).toBe(0)
    expect(ada.errors).toEqual([])
  })

  it('are no dead letters, although their time was up before', async () => {
    const ids = await asked(2 * SLICE_ITEMS, 60)
    await world.clock.advance(120_000)
    const ada = await world.start(adas, undefined, { prekeyOf: () => shown })
    await world.clock.advance(5_000)
    expect(new Set(await Promise.all(ids.map(state)))).toEqual(new Set(['cancelled']))
    expect(await ada.deadLetters.list()).toEqual([])
  })
})

it('one that cannot be opened any more is called off all the same: of its bytes nothing is kept', async () => {
  shown = bob.prekeys.current()
  const [id] = (await asked(1)) as [string]
  for (const stored of await adas.store.range('outbox')) {
    const { row } = readOutbox(stored)
    const frame = row.frame.slice()
    frame[frame.length - 1] = (frame.at(-1) as number) ^ 1
    await adas.store.commit({ writes: [putOutbox(stored.key, { ...row, frame })] })
  }
  const ada = await world.start(adas)
  await world.clock.advance(10)
  expect(await state(id)).toBe('cancelled')
  expect(ada.errors).toEqual([])
})
