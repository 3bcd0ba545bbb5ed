import { afterEach, expect, it } from 'vitest'
import { MOST_RECEIPTS_IN_MEMORY } from '../../src/agent/open-delivery.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { EndedReceipts } from '../../src/delivery/ended-receipts.ts'
import { writeReceipt } from '../../src/delivery/receipt-rows.ts'
import { newReceipt } from '../../src/delivery/receipts.ts'
import { Tracker } from '../../src/delivery/tracker.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { acquainted, type DrivenWorld, drivenWorld } from '../agent/worlds.ts'

const idsIn = async (store: Store): Promise<string[]> =>
  (await store.range('receipts')).map(({ key }) => String(key[0]))

async function stored(count: number): Promise<{ store: Store; ids: string[] }> {
  const store = memoryStore()
  const ids = Array.from({ length: count }, (_, i) => `m${String(i).padStart(5, '0')}`)
  const receipt = { guarantee: 'at-least-once', createdAt: 0, expiresAt: 1 } as const
  await store.commit({ writes: ids.map(id => writeReceipt(newReceipt({ id, ...receipt }, ['bob']))) })
  return { store, ids }
}

it('As many receipts stay as there may be, the newest, and those that are asked for', async () => {
  const { store, ids } = await stored(2_000)
  const ended = new EndedReceipts({ store, most: 100, wanted: id => id === 'm00007' })
  for (const id of ids) ended.add(id)
  const left = await idsIn(store)
  expect(left.slice(0, 1)).toEqual(['m00007'])
  expect(left.slice(-100)).toEqual(ids.slice(-100))
  expect(left.length).toBeLessThan(100 + 256 + 1)
})

it('A receipt that was asked for goes once nobody asks for it', async () => {
  const { store, ids } = await stored(2_000)
  const asked = new Set(['m00007'])
  const ended = new EndedReceipts({ store, most: 100, wanted: id => asked.has(id) })
  for (const id of ids.slice(0, 1_000)) ended.add(id)
  expect(await idsIn(store)).toContain('m00007')
  asked.clear()
  for (const id of ids.slice(1_000)) ended.add(id)
  expect(await idsIn(store)).not.toContain('m00007')
})

it('A message that ended again is as new as the others that did', async () => {
  const { store, ids } = await stored(500)
  const ended = new EndedReceipts({ store, most: 100, wanted: () => false })
  for (const id of ids.slice(0, 300)) ended.add(id)
  ended.add('m00000')
  for (const id of ids.slice(300, 356)) ended.add(id)
  expect(await idsIn(store)).not.toContain('m00001')
  expect(await idsIn(store)).toContain('m00000')
})

it('A message of which nobody waits for the last word any more is counted among those that ended', () => {
  const left: string[] = []
  const tracker = new Tracker({ clock: new DrivenClock(), limit: 1, onEnded: id => left.push(id) })
  for (const id of ['first', 'second']) {
    tracker.track(newReceipt({ id, guarantee: 'at-least-once', createdAt: 0, expiresAt: 1 }, ['bob']))
    tracker.apply(id, 'bob', { type: 'delivered' })?.committed()
  }
  expect(left).toEqual(['first'])
})

it('A store that is closed meanwhile is no fault', async () => {
  const { store, ids } = await stored(400)
  await store.close()
  const ended = new EndedReceipts({ store, most: 1, wanted: () => false })
  for (const id of ids) ended.add(id)
  await expect(store.count('receipts')).rejects.toMatchObject({ code: 'CLOSED' })
})

let world: DrivenWorld
afterEach(() => world?.close())

it('An agent with a store in memory keeps no more receipts than there may be, however many it sends', async () => {
  const most = MOST_RECEIPTS_IN_MEMORY
  world = drivenWorld()
  const store = memoryStore()
  const ada = await world.join('ada', { store })
  const bob = await world.join('bob')
  bob.handle(() => {})
  await world.during(acquainted([ada, bob]))
  const ids: string[] = []
  while (ids.length < 2 * most + 600) {
    const sending = Array.from({ length: 600 }, () => ada.send(bob.id, 'x', { guarantee: 'at-least-once' }))
    const receipts = await world.during(Promise.all(sending))
    ids.push(...receipts.map(({ id }) => id))
    await world.during(Promise.all(receipts.map(({ processed }) => processed)))
  }
  const left = new Set(await idsIn(store))
  for (const id of ids.slice(-most)) expect(left.has(id)).toBe(true)
  // Those that are followed, 10,000, are beside them.
  expect(left.size).toBeLessThan(2 * most + 300)
  expect(left.has(ids[0] as string)).toBe(false)
}, 60_000)
