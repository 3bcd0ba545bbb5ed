import { describe, expect, test } from 'vitest'
import {
  DEFAULT_LIMITS,
  resolveLimits,
  runHook,
  validateGuarantee,
  validateMessage,
  validateMetadata,
  validateTopic,
  validateTtl,
} from '../../src/message/validate.ts'
import { message, NOW } from './messages.ts'

const code = (expected: string) => expect.objectContaining({ code: expected })

describe('limits', () => {
  test('Limits that are not named keep their defaults.', () => {
    expect(resolveLimits()).toEqual(DEFAULT_LIMITS)
    expect(resolveLimits({ recipients: 2, topics: undefined as never })).toEqual({ ...DEFAULT_LIMITS, recipients: 2 })
    expect(DEFAULT_LIMITS).toMatchObject({ frameBytes: 1_048_576, messageBytes: 262_144, clockSkew: 120 })
  })

  test.each([0, -1, 1.5, Number.NaN, Infinity, 2 ** 53, '5', null])('A limit of %j is refused.', value => {
    expect(() => resolveLimits({ queue: value as number })).toThrow(code('INVALID_OPTION'))
  })

  test('More recipients than can share a content are refused.', () => {
    expect(resolveLimits({ recipients: 64 }).recipients).toBe(64)
    expect(() => resolveLimits({ recipients: 65 })).toThrow(code('INVALID_OPTION'))
  })

  test('A limit that does not exist is refused, and so is one that Object.prototype has.', () => {
    expect(() => resolveLimits({ queues: 1 } as never)).toThrow(code('INVALID_OPTION'))
    expect(() => resolveLimits({ constructor: 1 } as never)).toThrow(code('INVALID_OPTION'))
  })

  test('A message has to fit into a frame.', () => {
    expect(() => resolveLimits({ messageBytes: 2 ** 21 })).toThrow(code('INVALID_OPTION'))
    expect(resolveLimits({ messageBytes: 2 ** 21, frameBytes: 2 ** 22 }).messageBytes).toBe(2 ** 21)
  })

  test('What delivery says beside messages needs room too: there is a least size of frames.', () => {
    const small = { messageBytes: 1_000, recipients: 1 }
    expect(resolveLimits({ ...small, frameBytes: 65_536 }).frameBytes).toBe(65_536)
    expect(() => resolveLimits({ ...small, frameBytes: 65_535 })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('65536') }),
    )
  })
})

describe('fields', () => {
  test.each(['news', 'a', 'x'.repeat(128), 'a/b c', 'Zürich', '天気', 'a$', '**'])('%j is a topic.', topic => {
    expect(validateTopic(topic)).toBe(topic)
  })

  test.each(['', 'x'.repeat(129), '*', '$news', 'a\nb', 'a\u0000', 'a\u0085', 'Zu\u0308rich', 'a\ud800', 7, null])(
    '%j is none.',
    topic => {
      expect(() => validateTopic(topic)).toThrow(code('INVALID_TOPIC'))
    },
  )

  test('A guarantee is one of three, or best-effort.', () => {
    expect(validateGuarantee('best-effort')).toBe('at-most-once')
    expect(validateGuarantee('exactly-once')).toBe('exactly-once')
    for (const other of ['', 'AT_MOST_ONCE', 'constructor', undefined, 1]) {
      expect(() => validateGuarantee(other)).toThrow(code('INVALID_OPTION'))
    }
  })

  test('A time to live is above 0 and at most 30 days.', () => {
    expect(validateTtl(0.001)).toBe(0.001)
    expect(validateTtl(2_592_000)).toBe(2_592_000)
    for (const other of [0, -1, 2_592_001, Number.NaN, Infinity, '60', 1n]) {
      expect(() => validateTtl(other)).toThrow(code('INVALID_TTL'))
    }
  })

  test('Metadata is a plain object of JSON within 16 KiB and 1,024 keys.', () => {
    const check = (metadata: unknown) => () => validateMetadata(metadata, DEFAULT_LIMITS)
    const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 0]))
    expect(check({ a: [{ b: null }] })).not.toThrow()
    expect(check(keys(1024))).not.toThrow()
    for (const other of [
      null,
      [],
      'text',
      new Map(),
      { a: () => 1 },
      { a: 1n },
      { a: Number.NaN },
      keys(1025),
      { a: 'x'.repeat(2 ** 14) },
      { a: 'ü'.repeat(2 ** 13) },
      { a: new Array(2 ** 14).fill(0) },
    ]) {
      expect(check(other)).toThrow(code('INVALID_METADATA'))
    }
  })
})

describe('validateMessage', () => {
  test('A message is good until its time to live is over.', () => {
    const given = message({ ttl: 10 })
    expect(() => validateMessage(given, DEFAULT_LIMITS, NOW + 10_000)).not.toThrow()
    expect(() => validateMessage(given, DEFAULT_LIMITS, NOW + 10_001)).toThrow(
      expect.objectContaining({ code: 'MESSAGE_EXPIRED', messageId: given.id }),
    )
  })

  test("A sender's clock may be ahead by 120 s, not by more.", () => {
    expect(() => validateMessage(message(), DEFAULT_LIMITS, NOW - 120_000)).not.toThrow()
    expect(() => validateMessage(message(), DEFAULT_LIMITS, NOW - 120_001)).toThrow(
      expect.objectContaining({ code: 'INVALID_MESSAGE', details: { reason: 'clock-skew' } }),
    )
  })

  test('Content that cannot fit is refused.', () => {
    const large = message({ content: new Uint8Array(DEFAULT_LIMITS.messageBytes + 1) })
    expect(() => validateMessage(large, DEFAULT_LIMITS, NOW)).toThrow(code('MESSAGE_TOO_LARGE'))
  })
})

describe('hooks', () => {
  test('Without a hook, or with one that says nothing, a message goes on at once.', () => {
    expect(runHook(undefined, message())).toBeUndefined()
    expect(runHook(() => {}, message())).toBeUndefined()
  })

  test('A hook that throws or rejects refuses the message, and its error is kept.', async () => {
    const cause = new Error('not on Sundays')
    const refused = expect.objectContaining({ code: 'HOOK_REFUSED', cause })
    expect(() =>
      runHook(() => {
        throw cause
      }, message()),
    ).toThrow(refused)
    await expect(runHook(() => Promise.reject(cause), message())).rejects.toEqual(refused)
    await expect(runHook(async () => {}, message())).resolves.toBeUndefined()
  })
})
