import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toHex } from '../../src/common/bytes.ts'
import { decodeKey, encodeKey, encodeRange } from '../../src/store/key.ts'
import { type Key, MAX_KEY_BYTES } from '../../src/store/store.ts'

describe('the bytes of a key', () => {
  it('stay as they are from release to release: stores on disks hold them', () => {
    const known: [Key, string][] = [
      [[], ''],
      [[0], '018000000000000000'],
      [[1], '01bff0000000000000'],
      [[-1], '01400fffffffffffff'],
      [['a'], '026100'],
      [['a\0é'], '026100ffc3a900'],
      [['\u{1f600}'], '02eda0bdedb88000'],
      [['', 2], '020001c000000000000000'],
      [[Uint8Array.of(0, 255, 1)], '0300ffff0100'],
    ]
    for (const [key, hex] of known) {
      expect(toHex(encodeKey(key))).toBe(hex)
      expect(decodeKey(encodeKey(key))).toEqual(key)
    }
  })

  it('are the same for 0 and -0', () => {
    expect(encodeKey([-0])).toEqual(encodeKey([0]))
  })

  it('fill the limit and not a byte more', () => {
    expect(encodeKey(['x'.repeat(MAX_KEY_BYTES - 2)])).toHaveLength(MAX_KEY_BYTES)
    for (const key of [['x'.repeat(MAX_KEY_BYTES - 1)], ['x'.repeat(MAX_KEY_BYTES - 10), 1], Array(2049).fill('')])
      expect(() => encodeKey(key)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('that were damaged are told with STORE_FAILED, never decoded to something else', () => {
    for (const bytes of [
      [0],
      [4],
      [255],
      [1, 0x80],
      [2, 0x61],
      [2, 0x61, 0, 0xff],
      [2, 0xff, 0],
      // half a surrogate pair, a longer form than need be, UTF-8 of a character that takes a pair
      [2, 0xed, 0xa0, 0xbd, 0],
      [2, 0xc1, 0xa1, 0],
      [2, 0xf0, 0x9f, 0x98, 0x80, 0],
      [3],
      // NaN, which no key can hold
      [1, 0xff, 0xf8, 0, 0, 0, 0, 0, 0],
    ]) {
      expect(() => decodeKey(Uint8Array.from(bytes))).toThrow(expect.objectContaining({ code: 'STORE_FAILED' }))
    }
  })

  it('decode to a key that encodes to the same bytes, or not at all', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom(0, 1, 2, 3, 255), fc.nat(255)), { maxLength: 24 }), bytes => {
        let key: Key
        try {
          key = decodeKey(Uint8Array.from(bytes))
        } catch (error) {
          expect(error).toMatchObject({ code: 'STORE_FAILED' })
          return
        }
        if (key.some(part => Object.is(part, -0))) return
        expect([...encodeKey(key)]).toEqual(bytes)
      }),
    )
  })
})

describe('the interval of a range', () => {
  it('is the narrowest of prefix and bounds', () => {
    expect(encodeRange({ prefix: ['a'], gte: ['a', 1], lt: ['b'] })).toEqual({
      from: encodeKey(['a', 1]),
      to: Uint8Array.of(2, 0x61, 0, 4),
    })
    expect(encodeRange()).toEqual({ from: new Uint8Array(0), to: Uint8Array.of(255) })
  })
})
