import { describe, expect, it } from 'vitest'
import { toHex } from '../../src/common/bytes.ts'
import { seededRandom, systemRandom } from '../../src/common/random.ts'

describe('seeded randomness', () => {
  it('is the same for the same seed, from release to release', () => {
    const [one, two] = [seededRandom(42), seededRandom(42)]
    const floats = Array.from({ length: 100 }, () => one.float())
    expect(Array.from({ length: 100 }, () => two.float())).toEqual(floats)
    expect(one.bytes(32)).toEqual(two.bytes(32))
    expect(toHex(seededRandom(42).bytes(8))).toBe('18231f1a2acf3c67')
  })

  it('differs from seed to seed, also between neighbours', () => {
    const first = new Set(Array.from({ length: 1_000 }, (_, seed) => seededRandom(seed).float()))
    expect(first.size).toBe(1_000)
  })

  it('gives numbers in [0, 1), evenly', () => {
    const random = seededRandom(7)
    const tenths = new Array<number>(10).fill(0)
    for (let i = 0; i < 100_000; i++) {
      const value = random.float()
      expect(value >= 0 && value < 1).toBe(true)
      const tenth = Math.floor(value * 10)
      tenths[tenth] = (tenths[tenth] ?? 0) + 1
    }
    for (const count of tenths) expect(Math.abs(count - 10_000)).toBeLessThan(500)
  })

  it('gives every byte', () => {
    expect(new Set(seededRandom(3).bytes(10_000)).size).toBe(256)
    expect(seededRandom(3).bytes(0)).toEqual(new Uint8Array(0))
  })
})

describe('the platform randomness', () => {
  it('gives as many bytes as asked for, never the same, also beyond what one request takes', () => {
    expect(systemRandom.bytes(0)).toHaveLength(0)
    expect(systemRandom.bytes(16)).not.toEqual(systemRandom.bytes(16))
    const many = systemRandom.bytes(200_001)
    expect(many).toHaveLength(200_001)
    for (const at of [0, 65_536, 131_072, 196_608]) {
      expect(new Set(many.subarray(at, at + 3_000)).size).toBeGreaterThan(200)
    }
  })

  it('gives numbers in [0, 1)', () => {
    const values = Array.from({ length: 1_000 }, () => systemRandom.float())
    expect(values.every(value => value >= 0 && value < 1)).toBe(true)
    expect(new Set(values).size).toBeGreaterThan(990)
  })
})
