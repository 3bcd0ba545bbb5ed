import { describe, expect, test } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
import { KnownAgents } from '../../src/identity/known-agents.ts'
import { encode } from '../../src/message/codec.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { card, NOW } from './cards.ts'

function directory(options: { store?: Store; limit?: number } = {}) {
  const conflicts: { name: string; pinned: string; claimant: string }[] = []
  const time = { now: NOW }
  /** Whom presence has given up. */
  const dropped = new Set<string>()
  const store = options.store ?? memoryStore()
  const known = new KnownAgents({
    store,
    limit: options.limit ?? 100,
    now: () => time.now,
    keeps: id => !dropped.has(id),
    onConflict: conflict => conflicts.push(conflict),
  })
  return { known, conflicts, time, store, dropped }
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

  test('only so many are kept; those that presence has given up make room, the others do not', async () => {
    const { known, dropped } = directory({ limit: 3 })
    const cards = [await card(), await card(), await card()]
    for (const each of cards) expect(known.learn(each)).toBe(true)
    const late = await card()
    expect(known.learn(late)).toBe(false)
    dropped.add(cards[1]?.id ?? '')
    expect(known.learn(late)).toBe(true)
    expect(known.get(cards[1]?.id ?? '')).toBeUndefined()
    expect(known.learn(await card())).toBe(false)
  })

  test('a name keeps its pin when the card of its agent is given up and strangers claim the name', async () => {
    const { known, dropped, conflicts } = directory({ limit: 1 })
    const ada = await card()
    known.learn(ada)
    expect(known.resolve('ada')).toBe(ada.id)
    dropped.add(ada.id)
    const eve = await card()
    expect(known.learn(eve)).toBe(true)
    expect(known.get(ada.id)).toBeUndefined()
    expect(known.resolve('ada')).toBe(ada.id)
    expect(conflicts).toEqual([{ name: 'ada', pinned: ada.id, claimant: eve.id }])
  })

  test('an agent is a stranger until the application uses a name of it or pins one', async () => {
    const { known } = directory()
    const ada = await card()
    known.learn(ada)
    expect(known.trust(ada.id)).toBe('stranger')
    known.resolve('ada')
    expect(known.trust(ada.id)).toBe('used')
    known.pin('countess', ada.id)
    known.resolve('ada')
    expect(known.trust(ada.id)).toBe('pinned')
    known.unpin('countess')
    expect(known.trust(ada.id)).toBe('used')
    known.pin('ada', (await card()).id)
    expect(known.trust(ada.id)).toBe('stranger')
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

  test('names that are used give way to others that are used, the longest unused first, over restarts too', async () => {
    const { known, store, time } = directory({ limit: 5_000 })
    const some = await card({ expiresAt: NOW + 2 * 86_400_000 })
    const use = (index: number): void => {
      time.now++
      known.learn({ ...some, id: `agent ${index}`, name: `name ${index}` })
      expect(known.resolve(`name ${index}`)).toBe(`agent ${index}`)
    }
    for (let i = 0; i < 4_096; i++) use(i)
    time.now += 86_400_000
    use(0)
    use(4_096)
    await known.saved()
    expect(known.pinned('name 0')).toBe('agent 0')
    expect(known.pinned('name 1')).toBeUndefined()
    expect(await store.count('agents')).toBe(4_096)
    const again = directory({ store })
    await again.known.load()
    again.known.learn({ ...some, id: 'agent x', name: 'name x' })
    again.known.resolve('name x')
    expect(again.known.pinned('name 2')).toBeUndefined()
    expect(again.known.pinned('name 0')).toBe('agent 0')
    expect(again.known.pinned('name 3')).toBe('agent 3')
  })

  test('a name that was pinned by hand stays, however many others are used or pinned, over restarts too', async () => {
    const { known, store } = directory({ limit: 5_000 })
    const { id } = await createIdentity()
    for (let i = 0; i < 4_096; i++) known.pin(`name ${i}`, id)
    expect(() => known.pin('one more', id)).toThrow(expect.objectContaining({ code: 'STORE_FULL' }))
    known.pin('name 7', 'another')
    await known.saved()
    const again = directory({ store, limit: 5_000 })
    await again.known.load()
    expect(() => again.known.pin('one more', id)).toThrow(expect.objectContaining({ code: 'STORE_FULL' }))
    const some = await card()
    for (let i = 0; i <= 4_096; i++) {
      again.known.learn({ ...some, id: `agent ${i}`, name: `used ${i}` })
      again.known.resolve(`used ${i}`)
    }
    expect(again.known.pinned('used 0')).toBeUndefined()
    expect(again.known.pinned('used 1')).toBe('agent 1')
    expect([again.known.pinned('name 0'), again.known.pinned('name 7')]).toEqual([id, 'another'])
    again.known.unpin('name 7')
    again.known.pin('one more', id)
    await again.known.saved()
    expect(await store.count('agents')).toBe(8_192)
  })

  test('using a name that was pinned by hand leaves it pinned by hand', async () => {
    const { known } = directory()
    const { id } = await createIdentity()
    known.pin('ada', id)
    expect(known.resolve('ada')).toBe(id)
    expect(known.trust(id)).toBe('pinned')
  })

  test('a pin as it was stored at first, an id alone, is one that use has made', async () => {
    const store = memoryStore()
    const [ada, eve] = [await card(), await card()]
    await store.commit({ writes: [{ op: 'put', table: 'agents', key: ['pin', 'ada'], value: encode(ada.id) }] })
    const { known, conflicts } = directory({ store })
    await known.load()
    expect([known.pinned('ada'), known.trust(ada.id)]).toEqual([ada.id, 'used'])
    known.learn(eve)
    expect(conflicts).toEqual([{ name: 'ada', pinned: ada.id, claimant: eve.id }])
    expect(known.resolve('ada')).toBe(ada.id)
  })

  test('what is stored as a pin and is none is named: without it its name would be anybody’s', async () => {
    const { id } = await createIdentity()
    const whole = [id, true, 1]
    const others = ['somebody', [id, 'yes', 1], [1, true, 1], [id, true, '1'], []].map(value => encode(value as never))
    for (const value of [...others, Uint8Array.of(0xff)]) {
      const { known, store } = directory()
      const put = (name: string, bytes: Uint8Array) =>
        store.commit({ writes: [{ op: 'put', table: 'agents', key: ['pin', name], value: bytes }] })
      await put('ada', encode(whole as never))
      await known.load()
      expect(known.pinned('ada')).toBe(id)
      await put('bob', value)
      await expect(known.load()).rejects.toMatchObject({ code: 'STORE_FAILED', reference: 'agents/pin/bob' })
    }
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
