import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Random, seededRandom } from '../../../src/common/random.ts'
import { memoryStore } from '../../../src/store/memory.ts'
import { sqliteStore } from '../../../src/store/sqlite.ts'
import type { Batch } from '../../../src/store/store.ts'
import { put } from '../../contracts/store.ts'
import { SEED } from '../../seed.ts'
import { FileDisk, Files } from './file-disk.ts'
import { type Image, imageOf, torn, watched } from './power-cut.ts'

let files: Files
let wrong: string[]
let landings: boolean[]
beforeEach(() => {
  files = new Files()
  wrong = []
  landings = []
})
afterEach(() => files.remove())

const newDisk = (): FileDisk =>
  new FileDisk(memoryStore(), files, { cut: landed => landings.push(landed), wrong: what => wrong.push(what) })

/** What comes at once: rows that come and go, now and then too much for the redo log, or a range. */
function group(random: Random): Batch[] {
  const key = (): string[] => [`${Math.floor(random.float() * 20)}`]
  const table = (): string => (random.float() < 0.1 ? 'prekeys' : 'outbox')
  return Array.from({ length: 1 + Math.floor(random.float() * 4) }, () => {
    const draw = random.float()
    if (draw < 0.05) return { writes: [{ op: 'deleteRange', table: table(), range: { gte: key() } }] }
    if (draw < 0.2) return { writes: [{ op: 'delete', table: table(), key: key() }] }
    const value = new Uint8Array(draw < 0.22 ? 300_000 : 2_000 * random.float()).fill(256 * random.float())
    return { writes: [put(key(), value, table()), put(key(), value.subarray(0, 9), 'receipts')] }
  })
}

describe('A disk in files', () => {
  it('has what was there and all or nothing of what was being written, wherever the power goes', async () => {
    const random = seededRandom(SEED)
    const disk = newDisk()
    let landed = 0
    for (let turn = 0; turn < 120; turn++) {
      for (let i = random.float() * 8; i > 0; i--) await Promise.all(group(random).map(batch => disk.commit(batch)))
      const end = random.float()
      if (end < 0.1) await disk.close()
      else if (end < 0.2) disk.kill()
      const underWay = group(random)
      const there = await disk.cut(underWay, random)
      expect([0, underWay.length], `seed ${SEED}`).toContain(there)
      if (there > 0) landed++
    }
    await disk.end()
    expect(wrong, `seed ${SEED}`).toEqual([])
    expect(landings).toHaveLength(120)
    expect(landed).toBeGreaterThan(20)
    expect(landed).toBeLessThan(100)
  }, 60_000)

  it('tells where its files have lost something, whether its power was cut, or it was killed or closed', async () => {
    const ends = [(disk: FileDisk) => disk.cut([], seededRandom(1)), (disk: FileDisk) => disk.kill()]
    for (const end of [...ends, (disk: FileDisk) => disk.close()]) {
      const disk = newDisk()
      await disk.commit({ writes: [put(['a'], Uint8Array.of(1), 'outbox')] })
      await disk.model.commit({ writes: [put(['b'], Uint8Array.of(1), 'outbox')] })
      await end(disk)
      await disk.end()
      expect(wrong.splice(0)).toContainEqual(expect.stringMatching(/^its file has in outbox neither/))
    }
  })
})

describe('A power cut', () => {
  it('leaves pieces of what was being written to the log, and to the file, and what was synced before as it was', async () => {
    const random = seededRandom(1)
    const path = files.newPath()
    const store = await sqliteStore(path)
    const seen = { log: 0, file: 0 }
    for (let turn = 0; turn < 60; turn++) {
      const before = imageOf(path)
      const images = await watched(path, () => Promise.allSettled(group(random).map(batch => store.commit(batch))))
      const is = (image: Image, other: Image, name: 'file' | 'wal'): boolean =>
        Buffer.compare(image[name], other[name]) === 0
      for (const [image, now] of [
        [before, images[0]],
        [imageOf(path), images.at(-1)],
      ] as const)
        expect(now && is(image, now, 'file') && is(image, now, 'wal')).toBe(true)
      for (let cut = 0; cut < 20; cut++) {
        const left = torn(images, random)
        // Neither what was there at one of the steps nor at another.
        if (!images.some(image => is(image, left, 'wal'))) seen.log++
        if (!images.some(image => is(image, left, 'file'))) seen.file++
      }
    }
    await store.close()
    expect(seen.log).toBeGreaterThan(100)
    expect(seen.file).toBeGreaterThan(0)
  }, 60_000)
})
