import { describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { AfpError, AfpRoutingError } from '../../src/common/errors.ts'
import { seededRandom } from '../../src/common/random.ts'
import { acknowledge, buildMessage, type MessageInit, respondTo } from '../../src/message/build.ts'
import { readFailure, toFailure } from '../../src/message/failure.ts'
import { createIds, isUuid } from '../../src/message/ids.ts'
import { type Content, DEFAULT_TTL, type Message } from '../../src/message/message.ts'
import { DEFAULT_LIMITS } from '../../src/message/validate.ts'
import { ID, message, NOW } from './messages.ts'

const clock = new DrivenClock(NOW)
const context = { sender: 'ada', clock, ids: createIds({ clock, random: seededRandom(1) }), limits: DEFAULT_LIMITS }
const build = (init: MessageInit = {}, content: Content = 'hi') =>
  buildMessage({ recipients: ['bob'] }, content, init, context)

describe('buildMessage', () => {
  test('Everything has its default.', () => {
    const built = build()
    expect(isUuid(built.id)).toBe(true)
    expect(built).toMatchObject({
      sender: 'ada',
      recipients: ['bob'],
      topic: undefined,
      contentType: 'text/plain',
      content: 'hi',
      metadata: {},
      parentId: undefined,
      timestamp: NOW,
      ttl: 3600,
      tracePath: ['ada'],
      guarantee: 'at-most-once',
      priority: 0,
      schema: undefined,
      security: { level: 'none', authenticatedBy: 'none', roles: [] },
    })
  })

  test('What the caller says is taken.', () => {
    const init = {
      contentType: 'text/markdown',
      metadata: { a: [1] },
      parentId: ID.toUpperCase(),
      ttl: 0.5,
      priority: 9,
      schema: 's',
      id: ID.toUpperCase(),
      timestamp: NOW - 100,
      guarantee: 'exactly-once',
    } as const
    expect(build(init)).toMatchObject({ ...init, id: ID, parentId: ID })
    expect(() => build({ ...init, id: 'x' })).toThrow('the id has to be a UUID')
    expect(() => build({ ...init, parentId: 'x' })).toThrow('the parentId has to be a UUID')
    expect(build({ guarantee: 'best-effort' }).guarantee).toBe('at-most-once')
  })

  test('A recipient that is named twice gets the message once.', () => {
    expect(buildMessage({ recipients: ['bob', 'eve', 'bob'] }, 1, {}, context).recipients).toEqual(['bob', 'eve'])
  })

  test('A message is for agents, for everyone or for a topic.', () => {
    expect(buildMessage({ recipients: ['*'] }, 1, {}, context).isBroadcast).toBe(true)
    expect(build().isBroadcast).toBe(false)
    const topical = buildMessage({ topic: 'news' }, 1, {}, context)
    expect(topical).toMatchObject({ topic: 'news', recipients: [], isBroadcast: false })
  })

  test.each<[string, object, string]>([
    ['a priority of 10', { priority: 10 }, 'INVALID_PRIORITY'],
    ['a priority of -1', { priority: -1 }, 'INVALID_PRIORITY'],
    ['a priority of 1.5', { priority: 1.5 }, 'INVALID_PRIORITY'],
    ['a priority as text', { priority: '5' }, 'INVALID_PRIORITY'],
    ['no time to live', { ttl: 0 }, 'INVALID_TTL'],
    ['a time to live that is NaN', { ttl: Number.NaN }, 'INVALID_TTL'],
    ['more than 30 days', { ttl: 30 * 24 * 3600 + 1 }, 'INVALID_TTL'],
    ['a time that is over', { timestamp: NOW - 2000, ttl: 1 }, 'MESSAGE_EXPIRED'],
    ['a time 121 s ahead', { timestamp: NOW + 121_000 }, 'INVALID_MESSAGE'],
    ['an id that is none', { id: 'x' }, 'INVALID_MESSAGE'],
    ['an id that is a number', { id: 1 }, 'INVALID_MESSAGE'],
    ['a parent id that is none', { parentId: 'x' }, 'INVALID_MESSAGE'],
    ['a content type that is none', { contentType: 'text' }, 'INVALID_CONTENT_TYPE'],
    ['metadata that is a list', { metadata: [] }, 'INVALID_METADATA'],
    ['metadata with a date', { metadata: { at: new Date(0) } }, 'INVALID_METADATA'],
    ['metadata with undefined', { metadata: { a: undefined } }, 'INVALID_METADATA'],
    ['an unknown guarantee', { guarantee: 'always' }, 'INVALID_OPTION'],
    ['a schema that is empty', { schema: '' }, 'INVALID_MESSAGE'],
  ])('A message with %s is refused.', (_what, init, code) => {
    expect(() => build(init)).toThrow(expect.objectContaining({ code }))
  })

  test('Content above the limit is refused before it is encoded.', () => {
    expect(() => build({}, new Uint8Array(2 ** 18 + 1))).toThrow(expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }))
    expect(() => build({}, 'x'.repeat(2 ** 18 + 1))).toThrow(expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }))
  })

  test('No more than 64 recipients, and none that is empty.', () => {
    const to = (recipients: string[]) => () => buildMessage({ recipients }, 1, {}, context)
    expect(to(Array.from({ length: 64 }, (_, i) => `a${i}`))).not.toThrow()
    for (const bad of [Array.from({ length: 65 }, (_, i) => `a${i}`), [], [''], ['*', 'bob']]) {
      expect(to(bad)).toThrow(expect.objectContaining({ code: 'INVALID_MESSAGE' }))
    }
  })
})

describe('answers', () => {
  const question = message({
    sender: 'bob',
    recipients: ['ada', 'eve'],
    priority: 7,
    guarantee: 'at-least-once',
    security: { level: 'high', authenticatedBy: 'signature', roles: ['admin'] },
    topic: undefined,
  })

  test('An answer goes to the sender alone, names its parent, and inherits priority, guarantee and security.', () => {
    const answer = respondTo(question, { sum: 3 }, {}, context)
    expect(answer).toMatchObject({
      sender: 'ada',
      recipients: ['bob'],
      parentId: question.id,
      priority: 7,
      guarantee: 'at-least-once',
      security: question.security,
      tracePath: ['ada'],
      contentType: 'application/json',
    })
    expect(answer.id).not.toBe(question.id)
    expect(respondTo(question, 1, { priority: 0, guarantee: 'best-effort' }, context)).toMatchObject({
      priority: 0,
      guarantee: 'at-most-once',
    })
  })

  test('An answer lives little longer than what it answers, and no longer than other messages.', () => {
    const { clockSkew } = context.limits
    const ttl = (question: Message, init: MessageInit = {}) => respondTo(question, 1, init, context).ttl
    const now = context.clock.now()
    expect(ttl(message({ timestamp: now, ttl: 10 }))).toBe(10 + clockSkew)
    expect(ttl(message({ timestamp: now - 4_000, ttl: 10 }))).toBe(6 + clockSkew)
    expect(ttl(message({ timestamp: now, ttl: 86_400 }))).toBe(DEFAULT_TTL)
    expect(ttl(message({ timestamp: now - 60_000, ttl: 10 }))).toBe(1 + clockSkew)
    expect(ttl(message({ timestamp: now, ttl: 10 }), { ttl: 86_400 })).toBe(86_400)
  })

  test("An answer to a topic's message goes to its author, not to the topic.", () => {
    const answer = respondTo(message({ sender: 'bob', topic: 'news' }), 1, {}, context)
    expect(answer).toMatchObject({ topic: undefined, recipients: ['bob'] })
  })

  test('An acknowledgement travels with priority 9 and never asks for an acknowledgement.', () => {
    expect(question.requiresAck).toBe(true)
    const ack = acknowledge(question, context)
    expect(ack).toMatchObject({ priority: 9, parentId: question.id, recipients: ['bob'], requiresAck: false })
    expect(acknowledge(ack, context).requiresAck).toBe(false)
  })
})

describe('failures', () => {
  test("An error's code and sentence are told, its stack is not.", () => {
    const failure = toFailure(new AfpRoutingError('NO_HANDLER', 'nobody handles this', { details: { secret: 1 } }))
    expect(failure).toEqual({ code: 'NO_HANDLER', message: 'nobody handles this' })
    expect(toFailure(new TypeError('x is not a function'))).toEqual({
      code: 'HANDLER_FAILED',
      message: 'x is not a function',
    })
    expect(toFailure('text')).toEqual({ code: 'HANDLER_FAILED', message: 'text' })
    expect(toFailure(new AfpError('TIMEOUT', 'x'.repeat(5000))).message).toHaveLength(1024)
    expect(build({}, toFailure(new Error(`${'x'.repeat(1023)}😀`))).content).toMatchObject({ code: 'HANDLER_FAILED' })
  })

  test('A failure reply is read within bounds, whatever it holds.', () => {
    expect(readFailure({ code: 'NO_HANDLER', message: 'nobody' })).toEqual({ code: 'NO_HANDLER', message: 'nobody' })
    expect(readFailure({ code: 'X', message: 'y'.repeat(5000) }).message).toHaveLength(1024)
    const unknown = { code: 'HANDLER_FAILED', message: '' }
    for (const content of [null, 'text', 1, [], {}, new Uint8Array(3), { code: 'no such', message: 1 }]) {
      expect(readFailure(content as Content)).toEqual(unknown)
    }
  })
})
