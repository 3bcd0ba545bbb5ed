import { describe, expect, test, vi } from 'vitest'
import { primitives } from '#crypto'
import { toHex } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import { decode, encode } from '../../src/message/codec.ts'
import { PrekeyRing, prekeyId } from '../../src/security/prekeys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Key, Store } from '../../src/store/store.ts'
import { prekeysContract } from './prekeys-contract.ts'
import { failureOf } from './vectors.ts'

prekeysContract('in memory', async () => memoryStore())

const DAY = 86_400_000
const start = 1_800_000_000_000

const ringOver = (store: Store, seed = 1) => new PrekeyRing({ store, random: seededRandom(seed) })

describe('Prekeys', () => {
  test('are on the disk before they can be seen: where there is no room, there is no new one', async () => {
    const store = memoryStore({ maxBytes: 150 })
    const ring = ringOver(store)
    expect(await ring.rotate(start)).toBe(true)
    const first = ring.current()
    expect(await failureOf(() => ring.rotate(start + 8 * DAY))).toMatchObject({ code: 'STORE_FULL' })
    expect(ring.current()).toBe(first)
    expect(await store.count('prekeys')).toBe(1)
    // The failure does not stand in the way of the next try: here the old one makes room for the new one.
    expect(await ring.rotate(start + 36 * DAY)).toBe(true)
    expect(ring.current()).toMatchObject({ madeAt: start + 36 * DAY })
  })

  test('a private half stays where it is until the disk has deleted it', async () => {
    const store = memoryStore()
    let broken = false
    const failing: Store = {
      ...store,
      durability: 'memory',
      range: (...args) => store.range(...args),
      commit: (...args) => (broken ? Promise.reject(new Error('the disk')) : store.commit(...args)),
    }
    const ring = ringOver(failing)
    await ring.rotate(start)
    const first = ring.current()
    broken = true
    expect(await failureOf(() => ring.rotate(start + 40 * DAY))).toMatchObject({ message: 'the disk' })
    expect(ring.find(first?.id as Uint8Array)).toBe(first)
    expect(toHex(first?.privateKey as Uint8Array)).not.toBe('00'.repeat(32))
  })

  test('rotations that meet make one key', async () => {
    const store = memoryStore()
    const ring = ringOver(store)
    expect(await Promise.all([ring.rotate(start), ring.rotate(start), ring.rotate(start)])).toEqual([
      true,
      false,
      false,
    ])
    expect(await store.count('prekeys')).toBe(1)
  })

  test('a key made while the clock was ahead is replaced at once, and gone four weeks later', async () => {
    const store = memoryStore()
    const ring = ringOver(store)
    await ring.rotate(start + 3_650 * DAY)
    const ahead = ring.current()?.id as Uint8Array
    expect(await ring.rotate(start)).toBe(true)
    expect(ring.current()).toMatchObject({ madeAt: start, notAfter: start + 21 * DAY })
    expect(ring.find(ahead)).toBeDefined()
    const again = ringOver(store, 2)
    await again.load()
    expect(again.current()).toMatchObject({ madeAt: start })
    await again.rotate(start + 28 * DAY)
    expect(again.find(ahead)).toBeUndefined()
  })

  test('a clock that is set back by seconds changes nothing', async () => {
    const ring = ringOver(memoryStore())
    await ring.rotate(start)
    expect(await ring.rotate(start - 60_000)).toBe(false)
    expect(ring.current()).toMatchObject({ madeAt: start })
  })

  test('a row that is no prekey counts as a lost one, and is deleted: there may be a private half in it', async () => {
    const store = memoryStore()
    const ring = ringOver(store)
    await ring.rotate(start)
    const good = ring.current()
    const { publicKey, privateKey } = good as { publicKey: Uint8Array; privateKey: Uint8Array }
    const rows: Uint8Array[] = [
      new Uint8Array(0),
      encode('text'),
      encode([]),
      encode([privateKey, publicKey, start]),
      encode([privateKey.slice(1), publicKey, start, start]),
      encode([privateKey, new Uint8Array(32), start + 1, start]),
      encode([privateKey, publicKey, 'then', start]),
    ]
    const writes = rows.map((value, i) => ({ op: 'put' as const, table: 'prekeys', key: [i], value }))
    // Whole, but not where it would be deleted.
    const [row] = await store.range('prekeys')
    writes.push({ op: 'put', table: 'prekeys', key: [rows.length], value: row?.value as Uint8Array })
    await store.commit({ writes })
    const again = ringOver(store)
    await again.load()
    expect(again.current()).toEqual(good)
    expect(again.find(await prekeyId(new Uint8Array(32)))).toBeUndefined()
    expect(await again.rotate(start + 1)).toBe(false)
    expect(await store.range('prekeys')).toEqual([row])
    expect(again.current()).toEqual(good)
  })

  test('one that ended before it began is no prekey, and is made anew', async () => {
    const store = memoryStore()
    await ringOver(store).rotate(start)
    const [row] = await store.range('prekeys')
    const fields = decode(row?.value as Uint8Array) as unknown[]
    const value = encode([...fields.slice(0, 3), 1])
    await store.commit({ writes: [{ op: 'put', table: 'prekeys', key: row?.key as Key, value }] })
    const ring = ringOver(store)
    await ring.load()
    expect(ring.current()).toBeUndefined()
    await ring.rotate(start)
    expect((await store.range('prekeys')).map(({ key }) => key)).toEqual([[ring.current()?.id]])
  })

  test('one that the disk does not delete at first goes later', async () => {
    const store = memoryStore()
    const value = encode(['a secret'])
    await store.commit({ writes: [{ op: 'put', table: 'prekeys', key: [1], value }] })
    const ring = ringOver(store)
    await ring.load()
    const { commit } = store
    store.commit = () => Promise.reject(new Error('the disk'))
    expect(await failureOf(() => ring.rotate(start))).toMatchObject({ message: 'the disk' })
    store.commit = commit.bind(store)
    await ring.rotate(start)
    expect((await store.range('prekeys')).map(({ key }) => key)).toEqual([[ring.current()?.id]])
  })

  test('a row is not taken for damaged where the platform fails', async () => {
    const store = memoryStore()
    await ringOver(store).rotate(start)
    const before = await store.range('prekeys')
    const ring = ringOver(store, 2)
    const fails = vi.spyOn(primitives, 'x25519PublicKey').mockRejectedValueOnce(new Error('the platform'))
    expect(await failureOf(() => ring.load())).toMatchObject({ message: 'the platform' })
    fails.mockRestore()
    await ring.rotate(start + 1)
    expect(await store.range('prekeys')).toEqual(expect.arrayContaining(before))
  })
})
