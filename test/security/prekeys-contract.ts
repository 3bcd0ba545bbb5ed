/** What prekeys do over every store. */

import { describe, expect, test } from 'vitest'
import { toHex } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import { decode } from '../../src/message/codec.ts'
import { PrekeyRing, prekeyId } from '../../src/security/prekeys.ts'
import type { Store } from '../../src/store/store.ts'

const DAY = 86_400_000
const start = 1_800_000_000_000

export function prekeysContract(where: string, open: () => Promise<Store>): void {
  describe(`prekeys ${where}`, () => {
    const ringOver = async (store: Store, seed = 1) => {
      const ring = new PrekeyRing({ store, random: seededRandom(seed) })
      await ring.load()
      return ring
    }

    test('there is none before the first rotation, and one for 21 days after it', async () => {
      const ring = await ringOver(await open())
      expect(ring.current()).toBeUndefined()
      expect(await ring.rotate(start)).toBe(true)
      const key = ring.current()
      expect(key).toMatchObject({ madeAt: start, notAfter: start + 21 * DAY })
      expect(key?.id).toEqual(await prekeyId(key?.publicKey as Uint8Array))
      expect(key?.id).toHaveLength(8)
      expect(key?.publicKey).toHaveLength(32)
      expect(ring.find(key?.id as Uint8Array)).toBe(key)
      expect(ring.find(new Uint8Array(8))).toBeUndefined()
    })

    test('a week later there is a new one, and the old one still opens', async () => {
      const ring = await ringOver(await open())
      await ring.rotate(start)
      const first = ring.current()
      expect(await ring.rotate(start + 7 * DAY - 1)).toBe(false)
      expect(ring.current()).toBe(first)
      expect(await ring.rotate(start + 7 * DAY)).toBe(true)
      expect(ring.current()).toMatchObject({ madeAt: start + 7 * DAY })
      expect(ring.current()?.id).not.toEqual(first?.id)
      expect(ring.find(first?.id as Uint8Array)).toBe(first)
    })

    test('after 35 days a private half is gone: from memory, and from the disk', async () => {
      const store = await open()
      const ring = await ringOver(store)
      await ring.rotate(start)
      const first = ring.current()
      const id = first?.id as Uint8Array
      const secret = toHex(first?.privateKey as Uint8Array)
      const onDisk = async () =>
        (await store.range('prekeys')).map(({ value }) => toHex((decode(value) as Uint8Array[])[0] as Uint8Array))
      for (let day = 1; day < 35; day++) await ring.rotate(start + day * DAY)
      expect(ring.find(id)).toBe(first)
      expect(await onDisk()).toContain(secret)
      await ring.rotate(start + 35 * DAY)
      expect(ring.find(id)).toBeUndefined()
      expect(await onDisk()).not.toContain(secret)
      expect(toHex(first?.privateKey as Uint8Array)).toBe('00'.repeat(32))
      expect(await onDisk()).toHaveLength(5)
    })

    test('after a long sleep the old ones are gone, and there is a new one at once', async () => {
      const store = await open()
      const ring = await ringOver(store)
      await ring.rotate(start)
      expect(await ring.rotate(start + 400 * DAY)).toBe(true)
      expect(ring.current()).toMatchObject({ madeAt: start + 400 * DAY })
      expect(await store.count('prekeys')).toBe(1)
    })

    test('another run finds them as they were', async () => {
      const store = await open()
      const ring = await ringOver(store)
      for (const day of [0, 7, 14]) await ring.rotate(start + day * DAY)
      const again = await ringOver(store, 2)
      expect(again.current()).toEqual(ring.current())
      expect(await again.rotate(start + 15 * DAY)).toBe(false)
      for (const { key } of await store.range('prekeys')) {
        const id = key[0] as Uint8Array
        expect(again.find(id)).toEqual(ring.find(id))
      }
      expect(await store.count('prekeys')).toBe(3)
    })
  })
}
