/** What goes together in one seal, and comes out of it. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BUNDLE_BYTES, bundled, isBundled, runOf, unbundled } from '../../src/delivery/bundle.ts'
import { envelopeFrame } from '../../src/delivery/frames.ts'
import type { Draft } from '../../src/delivery/outgoing-parts.ts'
import { encode } from '../../src/message/codec.ts'
import { LEAST_FRAME_BYTES } from '../../src/message/validate.ts'
import { paddedLength } from '../../src/security/padding.ts'

const MOST = 256

const draft = (payload: Uint8Array | number, given: Partial<Draft> = {}): Draft => ({
  messageId: 'an id',
  guarantee: 'at-most-once',
  priority: 0,
  expiresAt: 1_000,
  strategy: undefined,
  payload: typeof payload === 'number' ? new Uint8Array(payload) : payload,
  ...given,
})

const drafts = (count: number, bytes: number, given?: Partial<Draft>): Draft[] =>
  Array.from({ length: count }, () => draft(bytes, given))

/** The lengths of the bundles that drafts go in. */
function runs(all: readonly Draft[]): number[] {
  const lengths: number[] = []
  for (let at = 0; at < all.length; at += lengths.at(-1) as number) lengths.push(runOf(all, at))
  return lengths
}

const malformed = expect.objectContaining({ code: 'MALFORMED' })

describe('What goes together', () => {
  test('is at most 256 messages', () => {
    expect(runs(drafts(MOST, 1))).toEqual([MOST])
    expect(runs(drafts(2 * MOST + 1, 1))).toEqual([MOST, MOST, 1])
  })

  test('is at most 32 KiB, with the heads of byte strings', () => {
    // A head takes three bytes.
    const quarter = BUNDLE_BYTES / 4 - 3
    expect(runs(drafts(4, quarter))).toEqual([4])
    expect(runs([...drafts(3, quarter), draft(quarter + 1)])).toEqual([3, 1])
    expect(runs([draft(quarter + 1), ...drafts(4, quarter)])).toEqual([3, 2])
  })

  test('is what has one priority, side by side: order is kept', () => {
    const given = [0, 0, 1, 0, 9, 9, 9].map(priority => draft(1, { priority }))
    expect(runs(given)).toEqual([2, 1, 1, 3])
  })

  test('is small, and for one recipient', () => {
    const half = BUNDLE_BYTES / 2 - 3
    expect(isBundled(draft(half))).toBe(true)
    expect(isBundled(draft(half + 1))).toBe(false)
    expect(isBundled(draft(1, { shared: { recipients: ['a', 'b'], content: () => Promise.reject() } }))).toBe(false)
    expect(runs([...drafts(3, half)])).toEqual([2, 1])
  })

  test('fits the smallest frame that anybody takes, padded and sealed', () => {
    const longest = bundled(drafts(2, BUNDLE_BYTES / 2 - 3)).payload.length
    const frame = envelopeFrame(new Uint8Array(256), new Uint8Array(paddedLength(longest) + 16))
    expect(frame.length).toBeLessThan(LEAST_FRAME_BYTES)
  })
})

describe('A bundle', () => {
  test('of one message is that message, with its own end', () => {
    const one = draft(7)
    expect(bundled([one])).toBe(one)
  })

  test('ends with the last of its messages, wherever that is', () => {
    const at = (...ends: number[]): number => bundled(ends.map(expiresAt => draft(1, { expiresAt }))).expiresAt
    expect([at(3, 1, 2), at(1, 3, 2), at(1, 2, 3)]).toEqual([3, 3, 3])
  })

  test('is read as what was put in, whatever that is', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.uint8Array({ maxLength: 700 }), fc.integer({ min: 0, max: 2 })), {
          minLength: 1,
          maxLength: 600,
        }),
        given => {
          const all = given.map(([payload, priority]) => draft(payload, { priority }))
          const read: Uint8Array[] = []
          for (let at = 0; at < all.length; ) {
            const some = all.slice(at, at + runOf(all, at))
            at += some.length
            const { payload, priority } = bundled(some)
            expect(some.every(each => each.priority === priority)).toBe(true)
            expect(payload.length).toBeLessThanOrEqual(BUNDLE_BYTES + 3)
            read.push(...(some.length === 1 ? [payload] : (unbundled(payload) as Uint8Array[])))
          }
          expect(read).toEqual(all.map(({ payload }) => payload))
        },
      ),
      { numRuns: 60 },
    )
  })

  test('has 2 to 256 messages', () => {
    const of = (count: number): Uint8Array => encode(Array.from({ length: count }, () => Uint8Array.of(1)))
    for (const count of [2, 23, 24, 255, MOST]) expect(unbundled(of(count))).toHaveLength(count)
    for (const count of [1, MOST + 1, 1_000]) expect(() => unbundled(of(count))).toThrow(malformed)
  })

  test('has nothing else in it, and nothing behind it', () => {
    const bytes = Uint8Array.of(1)
    for (const other of [1, 'text', null, true, [], [bytes], new Map()]) {
      expect(() => unbundled(encode([bytes, other]))).toThrow(
        expect.objectContaining({ code: 'MALFORMED', details: { reason: 'malformed' } }),
      )
    }
    const whole = encode([bytes, bytes])
    for (let length = 2; length < whole.length; length++) {
      expect(() => unbundled(whole.subarray(0, length))).toThrow(malformed)
    }
    expect(() => unbundled(Uint8Array.of(...whole, 0))).toThrow(malformed)
    // Two messages, with their count in one byte more than it takes.
    expect(() => unbundled(Uint8Array.of(0x98, 2, ...whole.subarray(1)))).toThrow(malformed)
  })

  test.each([
    ['a message', encode([1, 0, new Uint8Array(16)])],
    ['no array', encode(new Uint8Array(3))],
    ['an array of nothing', encode([])],
    ['nothing', new Uint8Array()],
    ['text', encode('text')],
    ['an array without a length', Uint8Array.of(0x9f, 0x41, 1, 0x41, 1, 0xff)],
  ])('is not %s', (_, payload) => {
    expect(unbundled(payload)).toBeUndefined()
  })
})
