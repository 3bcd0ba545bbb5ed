import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toHex } from '../../src/common/bytes.ts'
import { MAX_NUMBER, nonceOf } from '../../src/security/nonce.ts'

describe('The nonce of a message', () => {
  test('is the counter’s bit and the number', () => {
    expect(toHex(nonceOf({ number: 1, numbered: true }))).toBe('000000000000000000000001')
    expect(toHex(nonceOf({ number: 1, numbered: false }))).toBe('800000000000000000000001')
    expect(toHex(nonceOf({ number: 0x0102_0304_0506, numbered: true }))).toBe('000000000000010203040506')
    expect(toHex(nonceOf({ number: MAX_NUMBER, numbered: true }))).toBe('000000000000ffffffffffff')
    expect(toHex(nonceOf({ number: 2 ** 32, numbered: false }))).toBe('800000000000000100000000')
  })

  test('never repeats: not within a counter, and not between the two', () => {
    // The interesting numbers lie around the halves that they are written in.
    const number = fc.oneof(
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: -300, max: 300 }).map(offset => 2 ** 32 + offset),
      fc.integer({ min: 1, max: 0xffff }).map(high => high * 2 ** 32),
      fc.integer({ min: 1, max: MAX_NUMBER }),
      fc.integer({ min: MAX_NUMBER - 300, max: MAX_NUMBER }),
    )
    const counted = fc.record({ number, numbered: fc.boolean() })
    fc.assert(
      fc.property(fc.array(counted, { minLength: 2, maxLength: 100 }), list => {
        const places = new Set(list.map(({ number, numbered }) => `${number} ${numbered}`))
        const nonces = new Set(list.map(item => toHex(nonceOf(item))))
        expect(nonces.size).toBe(places.size)
      }),
      { numRuns: 500 },
    )
  })

  test('does not exist for a number that no message can have', () => {
    for (const number of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, MAX_NUMBER + 1, 2 ** 53]) {
      for (const numbered of [true, false]) {
        expect(() => nonceOf({ number, numbered })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
      }
    }
  })
})
