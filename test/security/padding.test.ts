import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MIN_PADDED, pad, paddedLength, unpad } from '../../src/security/padding.ts'

const undecryptable = expect.objectContaining({ name: 'AfpSecurityError', code: 'UNDECRYPTABLE' })

describe('Padding', () => {
  test('whatever is padded comes back', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 3_000 }),
      fc.array(fc.constantFrom(0, 0x80), { maxLength: 600 }).map(list => Uint8Array.from(list)),
    )
    fc.assert(
      fc.property(bytes, plain => {
        const padded = pad(plain)
        expect(padded).toHaveLength(paddedLength(plain.length))
        expect(unpad(padded)).toEqual(plain)
      }),
      { numRuns: 500 },
    )
  })

  test('costs an eighth at the most once there are 256 bytes, and makes eight sizes to a doubling', () => {
    const sizes = new Set<number>()
    for (let length = 0; length <= 70_000; length++) {
      const padded = paddedLength(length)
      sizes.add(padded)
      expect(padded).toBeGreaterThan(length)
      if (length >= MIN_PADDED) expect(padded - length).toBeLessThanOrEqual(length / 8)
      else expect(padded).toBeLessThanOrEqual(MIN_PADDED + 32)
    }
    const of = (from: number) => [...sizes].filter(size => size > from && size <= 2 * from)
    expect(of(0)).toEqual([])
    expect(of(MIN_PADDED)).toEqual([288, 320, 352, 384, 416, 448, 480, 512])
    expect(of(4_096)).toHaveLength(8)
    expect(of(32_768)).toHaveLength(8)
    for (const length of [2 ** 20 - 1, 2 ** 20, 2 ** 24 + 1, 2 ** 30 - 1, 2 ** 30]) {
      expect(paddedLength(length)).toBeGreaterThan(length)
      expect(paddedLength(length) - length).toBeLessThanOrEqual(length / 8)
    }
  })

  test('what it would not have made itself is refused', () => {
    const shaped = (length: number, at: number, ...bytes: number[]) => {
      const out = new Uint8Array(length)
      out.set(bytes, at)
      return out
    }
    for (const wrong of [
      new Uint8Array(0),
      shaped(1, 0, 0x80),
      new Uint8Array(256),
      shaped(256, 10, 0x81),
      shaped(256, 10, 0x80, 1),
      shaped(255, 10, 0x80),
      shaped(257, 10, 0x80),
      shaped(512, 10, 0x80),
      shaped(288, 255, 0x80),
      shaped(1_024, 900, 0x80),
    ]) {
      expect(() => unpad(wrong)).toThrow(undecryptable)
    }
    expect(unpad(shaped(256, 255, 0x80))).toHaveLength(255)
    expect(unpad(shaped(288, 256, 0x80))).toHaveLength(256)
  })
})
