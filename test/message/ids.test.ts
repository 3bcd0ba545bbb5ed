import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { type Random, seededRandom } from '../../src/common/random.ts'
import { bytesToUuid, createIds, isUuid, messageIdFrom, uuidToBytes } from '../../src/message/ids.ts'

test('An id is a UUIDv7: time first, then version 7 and variant 2.', () => {
  const clock = new DrivenClock(0x0123456789ab)
  const id = createIds({ clock, random: seededRandom(1) })()
  expect(id).toMatch(/^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(isUuid(id)).toBe(true)
})

test('Ids of one generator rise within a millisecond, from one to the next, and when the clock goes back.', async () => {
  const clock = new DrivenClock()
  const next = createIds({ clock, random: seededRandom(2) })
  const ids: string[] = []
  for (let i = 0; i < 5000; i++) {
    if (i === 2000) await clock.advance(1)
    if (i === 3000) clock.jump(-60_000)
    ids.push(next())
  }
  expect(ids).toEqual([...ids].sort())
  expect(new Set(ids).size).toBe(ids.length)
})

test('When the counter runs over, the time moves on and ids still rise.', () => {
  const full: Random = { bytes: length => new Uint8Array(length).fill(255), float: () => 0 }
  const next = createIds({ clock: new DrivenClock(1000), random: full })
  const ids = Array.from({ length: 2_050 }, next)
  expect(ids[0]).toBe('00000000-03e8-77ff-bfff-ffffffffffff')
  expect(ids.at(-2)).toBe('00000000-03e8-7fff-bfff-ffffffffffff')
  expect(ids.at(-1)).toBe('00000000-03e9-7000-bfff-ffffffffffff')
})

test('Two generators make different ids in the same millisecond.', () => {
  const clock = new DrivenClock()
  expect(createIds({ clock, random: seededRandom(3) })()).not.toBe(createIds({ clock, random: seededRandom(4) })())
})

test('A UUID survives its way through bytes.', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), bytes => {
      expect(uuidToBytes(bytesToUuid(bytes))).toEqual(bytes)
    }),
  )
})

test.each([
  ['', false],
  ['019b7656-c000-7000-8000-00000000000', false],
  ['019B7656-C000-7000-8000-000000000001', false],
  ['019b7656-c000-7000-8000-000000000001\n', false],
  ['019b7656c000700080000000000000001', false],
  ['019b7656-c000-7000-8000-000000000001', true],
])('Whether %j is a canonical UUID is told: %s.', (text, expected) => {
  expect(isUuid(text)).toBe(expected)
  if (!expected) expect(() => uuidToBytes(text)).toThrow(expect.objectContaining({ code: 'INVALID_MESSAGE' }))
})

test('Other numbers of bytes than 16 are no UUID.', () => {
  expect(() => bytesToUuid(new Uint8Array(15))).toThrow(expect.objectContaining({ code: 'INVALID_MESSAGE' }))
})

test("The id of a text is a UUIDv8 of its SHA-256, always the same and no other text's.", () => {
  // The first 16 bytes of SHA-256('abc') (FIPS 180-4), with version 8 and variant 2.
  expect(messageIdFrom('abc')).toBe('ba7816bf-8f01-8fea-8141-40de5dae2223')
  const texts = ['', 'abc ', 'ABC', 'a\u0000bc', '東京']
  const ids = texts.map(messageIdFrom)
  expect(new Set([...ids, messageIdFrom('abc')]).size).toBe(texts.length + 1)
  expect(ids.every(isUuid)).toBe(true)
  expect(texts.map(messageIdFrom)).toEqual(ids)
})

test.each([[undefined], [null], [7], [{ order: 7 }], [['a']]])('No id stands for %j, which is no text.', wrong => {
  expect(() => messageIdFrom(wrong as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
})
