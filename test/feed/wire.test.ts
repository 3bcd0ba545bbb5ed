import { describe, expect, it } from 'vitest'
import { MAX_NUMBER, MAX_RANGES } from '../../src/feed/ranges.ts'
import { type FeedAck, type FeedState, MAX_ACK_RANGES, MAX_REFUSED, readAck, readState } from '../../src/feed/wire.ts'

const epoch = '0'.repeat(32)
const EMPTY = [0, []] as const
const malformed = expect.objectContaining({ code: 'MALFORMED' })
const ranges = (count: number): readonly [number, number[]] => [0, new Array(2 * count).fill(1)]

describe('the state of a feed', () => {
  const state = (changes: object = {}): FeedState => ({ epoch, base: 2, last: 9, skips: [0, [4, 2]], ...changes })

  it('is read with its skips as a set', () => {
    const read = readState(state())
    expect(read).toMatchObject({ epoch, base: 2, last: 9 })
    expect([...read.skips]).toEqual([[5, 6]])
  })

  it('may be of an epoch in which nothing was ever given out', () => {
    expect(readState(state({ base: 0, last: 0, skips: EMPTY })).last).toBe(0)
  })

  it.each([
    ['a base above the last number', { base: 10 }],
    ['a base that is no number', { base: '2' }],
    ['a base below zero', { base: -1 }],
    ['no last number', { last: undefined }],
    ['a last number that no feed has', { last: MAX_NUMBER + 1 }],
    ['skips above the last number', { skips: [0, [9, 1]] }],
    ['a floor of skips above the last number', { skips: [10, []] }],
    ['skips that are no set', { skips: [1] }],
    ['more skips than it may have', { last: MAX_NUMBER, skips: ranges(MAX_RANGES + 1) }],
  ])('is refused with %s', (_, changes) => {
    expect(() => readState(state(changes))).toThrow(malformed)
  })
})

describe('an acknowledgement', () => {
  const ack = (changes: object = {}): FeedAck => ({
    epoch,
    delivered: [5, []],
    processed: [2, []],
    refused: [
      [3, 'rejected'],
      [5, 'handler-error'],
    ],
    skipped: [0, [6, 1]],
    ...changes,
  })

  it('is read with its sets', () => {
    const read = readAck(ack())
    expect([...read.delivered]).toEqual([[1, 5]])
    expect([...read.processed]).toEqual([[1, 2]])
    expect([...read.skipped]).toEqual([[7, 7]])
    expect(read.refused).toEqual(ack().refused)
  })

  it('has room for as much as a reader may have to say', () => {
    const refused = Array.from({ length: MAX_REFUSED }, (_, at) => [at + 1, 'x'.repeat(64)])
    const full = ranges(MAX_ACK_RANGES)
    expect(readAck(ack({ delivered: full, processed: full, skipped: full, refused })).refused.length).toBe(MAX_REFUSED)
  })

  it.each([
    ['delivered numbers that are no set', { delivered: undefined }],
    ['processed numbers that are no set', { processed: [0] }],
    ['skipped numbers that are no set', { skipped: 'all' }],
    ['too many ranges', { delivered: ranges(MAX_ACK_RANGES + 1) }],
    ['refusals that are no list', { refused: { length: 0 } }],
    ['too many refusals', { refused: Array.from({ length: MAX_REFUSED + 1 }, (_, at) => [at + 1, 'x']) }],
    ['a refusal without a reason', { refused: [[1]] }],
    ['a refusal of number 0', { refused: [[0, 'x']] }],
    ['a refusal of what is no number', { refused: [['1', 'x']] }],
    [
      'one number refused twice',
      {
        refused: [
          [1, 'x'],
          [1, 'y'],
        ],
      },
    ],
    [
      'refusals that do not ascend',
      {
        refused: [
          [2, 'x'],
          [1, 'y'],
        ],
      },
    ],
    ['an empty reason', { refused: [[1, '']] }],
    ['a reason that is too long', { refused: [[1, 'x'.repeat(65)]] }],
    ['a reason that is no text', { refused: [[1, 7]] }],
  ])('is refused with %s', (_, changes) => {
    expect(() => readAck(ack(changes))).toThrow(malformed)
  })
})
