import { describe, expect, test } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
import { KnownAgents } from '../../src/identity/known-agents.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { card, NOW } from './cards.ts'

function directory(options: { store?: Store; limit?: number } = {}) {
  const conflicts: { name: string; pinned: string; claimant: string }[] = []
  const time = { now: NOW }
  const store = options.store ?? memoryStore()
  const known = new KnownAgents({
    store,
    limit: options.limit ?? 100,
    now: () => time.now,
    onConflict: conflict => conflicts.push(conflict),
  })
  return { known, conflicts, time, store }
}

describe('Known agents', () => {
  test('a name stands for the first agent that was meant by it, whoever claims it later', async () => {
    const { known, conflicts } = directory()
    const [ada, eve] = [await card(), await card()]
    expect(known.resolve('ada')).toBeUndefined()
    known.learn(ada)
    expect(known.resolve('ada')).toBe(ada.id)
    expect(known.learn(eve)).toBe(true)
    expect(conflicts).toEqual([{ name: 'ada', pinned: ada.id, claimant: eve.id }])
    expect(known.resolve('ada')).toBe(ada.id)
  })

  test('a name is pinned by use, not by being heard of', async () => {
    const { known, conflicts } = directory()
    const [ada, eve] = [await card(), await card()]
    known.learn(ada)
    expect(known.pinned('ada')).toBeUndefined()
    known.learn(eve)
    expect(conflicts).toEqual([])
    expect(() => known.resolve('ada')).toThrow(
      expect.objectContaining({ code: 'AMBIGUOUS_NAME', recipients: [ada.id, eve.id] }),
    )
    expect(known.pinned('ada')).toBeUndefined()
  })

  test('a conflict is told once for each claimant, not for each of its cards', async () => {
    const { known, conflicts } = directory()
    const identity = await createIdentity()
    const claim = (seq: number, name = 'ada') => card({ seq, name }, identity)
    known.pin('ada', (await card()).id)
    known.learn(await claim(NOW + 1))
    known.learn(await claim(NOW + 2))
    expect(conflicts).toHaveLength(1)
    known.learn(await claim(NOW + 3, 'mallory'))
    known.learn(await claim(NOW + 4))
    expect(conflicts).toHaveLength(2)
  })

  test('a pin decides between claimants, and freeing it lets the next use decide', async () => {
    const { known } = directory()
    const [ada, eve] = [await card(), await card()]
    known.learn(ada)
    known.learn(eve)
    known.pin('ada', eve.id)
    expect(known.resolve('ada')).toBe(eve.id)
    known.pin('ada', ada.id)
    expect(known.resolve('ada')).toBe(ada.id)
    expect(known.unpin('ada')).toBe(true)
    expect(known.unpin('ada')).toBe(false)
    expect(() => known.resolve('ada')).toThrow(expect.objectContaining({ code: 'AMBIGUOUS_NAME' }))
  })

  test('an id stands for itself, also when somebody has it for a name', async () => {
    const { known } = directory()
    const { id } = await createIdentity()
    known.learn(await card({ name: id }))
    expect(known.resolve(id)).toBe(id)
  })

  test('an expired card claims no name', async () => {
    const { known, time } = directory()
    const old = await card({ expiresAt: NOW + 10 })
    known.learn(old)
    time.now = NOW + 11
    expect(known.resolve('ada')).toBeUndefined()
    const ada = await card()
    known.learn(ada)
    expect(known.resolve('ada')).toBe(ada.id)
  })

  test('the newest card of an agent counts', async () => {
    const { known } = directory()
    const identity = await createIdentity()
    const [older, newer] = [await card({ seq: 5 }, identity), await card({ seq: 6, name: 'countess' }, identity)]
    expect(known.learn(newer)).toBe(true)
    expect(known.learn(older)).toBe(false)
    expect(known.learn(newer)).toBe(true)
    expect(known.get(identity.id)).toBe(newer)
  })

  test('only so many are kept; those whose card has expired make room', async () => {
    const { known, time } = directory({ limit: 3 })
    const cards = [await card(), await card({ expiresAt: NOW + 10 }), await card()]
    for (const each of cards) expect(known.learn(each)).toBe(true)
    const late = await card()
    expect(known.learn(late)).toBe(false)
    time.now = NOW + 11
    expect(known.learn(late)).toBe(true)
    expect(known.get(cards[1]?.id ?? '')).toBeUndefined()
    expect(known.learn(await card())).toBe(false)
  })

  test('pins outlast a restart, and so does freeing one', async () => {
    const { known, store } = directory()
    const [ada, bob] = [(await card()).id, (await card()).id]
    known.pin('ada', ada)
    known.pin('bob', bob)
    known.unpin('bob')
    await known.saved()
    const again = directory({ store })
    await again.known.load()
    expect(again.known.resolve('ada')).toBe(ada)
    expect(again.known.pinned('bob')).toBeUndefined()
    again.known.learn(await card({ name: 'ada' }))
    expect(again.conflicts).toHaveLength(1)
  })

  test('only so many pins are kept, in memory and in the store; the oldest gives way', async () => {
    const { known, store } = directory()
    const { id } = await createIdentity()
    for (let i = 0; i <= 4_096; i++) known.pin(`name ${i}`, id)
    await known.saved()
    expect(known.pinned('name 0')).toBeUndefined()
    expect(known.pinned('name 1')).toBe(id)
    expect(await store.count('agents')).toBe(4_096)
  })

  test('a store that fails costs the pins of the next run, not those of this one', async () => {
    const { known, store } = directory()
    await store.close()
    const { id } = await createIdentity()
    known.pin('ada', id)
    await known.saved()
    expect(known.resolve('ada')).toBe(id)
  })
})
