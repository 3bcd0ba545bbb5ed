import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compare, concat, equal, fromHex, fromUtf8, toHex, utf8, utf8Length } from '../../src/common/bytes.ts'

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)

describe('UTF-8', () => {
  it('brings every well-formed string back, a byte order mark and NUL included', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        expect(fromUtf8(utf8(text))).toBe(text)
        expect(utf8Length(text)).toBe(utf8(text).length)
      }),
    )
    expect(fromUtf8(utf8('\ufeffa\0'))).toBe('\ufeffa\0')
  })

  it('refuses bytes that are not UTF-8 with a TypeError', () => {
    for (const bad of [bytes(0xff), bytes(0xc3), bytes(0xc0, 0x80), bytes(0xed, 0xa0, 0x80)]) {
      expect(() => fromUtf8(bad)).toThrow(TypeError)
    }
  })
})

describe('concat', () => {
  it('joins arrays in order into one of its own', () => {
    const first = bytes(1, 2)
    const joined = concat([first, bytes(), bytes(9, 3, 9).subarray(1, 2)])
    first.fill(0)
    expect(joined).toEqual(bytes(1, 2, 3))
    expect(concat([])).toEqual(bytes())
  })
})

describe('compare and equal', () => {
  it('order byte by byte, unsigned, a prefix first', () => {
    const sorted = [bytes(), bytes(0), bytes(0, 0), bytes(0, 255), bytes(1), bytes(127), bytes(128), bytes(255)]
    for (const [i, a] of sorted.entries()) {
      for (const [j, b] of sorted.entries()) {
        expect(Math.sign(compare(a, b))).toBe(Math.sign(i - j))
        expect(equal(a, b)).toBe(i === j)
      }
    }
  })

  it('look at the view, not at what it is a view of', () => {
    expect(equal(bytes(9, 1, 2, 9).subarray(1, 3), bytes(1, 2))).toBe(true)
    expect(equal(Buffer.from([1, 2]), bytes(1, 2))).toBe(true)
  })
})

describe('hexadecimal', () => {
  it('writes two lower-case digits a byte', () => {
    expect(toHex(bytes(0, 1, 0x0f, 0x10, 0xab, 0xff))).toBe('00010f10abff')
    expect(toHex(bytes())).toBe('')
  })

  it('is read in either case, every byte of it', () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i)
    expect(fromHex(toHex(all))).toEqual(all)
    expect(fromHex(toHex(all).toUpperCase())).toEqual(all)
  })
})
