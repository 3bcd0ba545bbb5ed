import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromDictionary, fromJson, toDictionary, toJson } from '../../src/message/json.ts'
import { Message } from '../../src/message/message.ts'
import { resolveLimits } from '../../src/message/validate.ts'
import { anyMessage, message } from './messages.ts'

describe('the JSON form', () => {
  test('Any message comes back from JSON text as it was.', () => {
    fc.assert(
      fc.property(anyMessage, given => {
        const back = fromJson(toJson(given), { trusted: true })
        expect(back).toBeInstanceOf(Message)
        expect(back).toEqual(given)
      }),
    )
  })

  test('Any message comes back from its dictionary as it was.', () => {
    fc.assert(
      fc.property(anyMessage, given => {
        expect(fromDictionary(toDictionary(given), { trusted: true })).toEqual(given)
      }),
    )
  })

  test('JSON.stringify writes the same text, so that a message can stand in any log.', () => {
    const given = message({ content: Uint8Array.of(1, 2, 255) })
    expect(JSON.stringify(given)).toBe(toJson(given))
    expect(JSON.parse(JSON.stringify({ given })).given).toMatchObject({ content: 'AQL/', contentEncoding: 'base64' })
  })

  test('Bytes, text that looks like base64, and JSON that looks like the marker each come back as what they were.', () => {
    for (const content of [
      new Uint8Array(0),
      Uint8Array.from({ length: 20_000 }, (_, i) => i),
      'AQL/',
      { content: 'AQL/', contentEncoding: 'base64' },
    ]) {
      expect(fromJson(toJson(message({ content }))).content).toEqual(content)
    }
  })

  test('Going through JSON again and again does not make the trace path grow.', () => {
    let current = message({ tracePath: ['ada', 'eve'] })
    for (let i = 0; i < 3; i++) current = fromJson(toJson(current))
    expect(current.tracePath).toEqual(['ada', 'eve'])
  })

  test('Text proves nothing: unless it is trusted, the message comes back with no security.', () => {
    const text = toJson(message({ security: { level: 'high', authenticatedBy: 'signature', roles: ['admin'] } }))
    expect(fromJson(text).security).toEqual({ level: 'none', authenticatedBy: 'none', roles: [] })
    expect(fromJson(text, { trusted: true }).security.level).toBe('high')
  })
})

describe('what is refused', () => {
  test.each<[string, object, string]>([
    ['no id', { id: undefined }, 'INVALID_MESSAGE'],
    ['a number as its sender', { sender: 1 }, 'INVALID_MESSAGE'],
    ['recipients that are no list', { recipients: 'bob' }, 'INVALID_MESSAGE'],
    ['a list that only looks like one', { recipients: { length: 1, 0: 'bob' } }, 'INVALID_MESSAGE'],
    ['a topic beside recipients', { topic: 'news' }, 'INVALID_MESSAGE'],
    ['no content', { content: undefined }, 'INVALID_CONTENT'],
    ['base64 that is none', { content: '*', contentEncoding: 'base64' }, 'INVALID_MESSAGE'],
    ['base64 in a second spelling', { content: 'AB==', contentEncoding: 'base64' }, 'INVALID_MESSAGE'],
    ['base64 that is a number', { content: 1, contentEncoding: 'base64' }, 'INVALID_MESSAGE'],
    ['an unknown encoding', { contentEncoding: 'hex' }, 'INVALID_MESSAGE'],
    ['null as metadata', { metadata: null }, 'INVALID_METADATA'],
    ['a time as text', { timestamp: '2026' }, 'INVALID_MESSAGE'],
    ['no trace path', { tracePath: undefined }, 'INVALID_MESSAGE'],
    ['an unknown guarantee', { guarantee: 'always' }, 'INVALID_MESSAGE'],
    ['a priority of 10', { priority: 10 }, 'INVALID_PRIORITY'],
    ['an unknown level', { security: { level: 'top', authenticatedBy: 'none', roles: [] } }, 'INVALID_MESSAGE'],
    ['no security', { security: null }, 'INVALID_MESSAGE'],
  ])('A message with %s is refused.', (_what, fields, code) => {
    const text = JSON.stringify({ ...toDictionary(message()), ...fields })
    expect(() => fromJson(text, { trusted: true })).toThrow(expect.objectContaining({ code }))
  })

  test.each(['', '[]', 'null', '1', '{', `${'['.repeat(100)}${']'.repeat(100)}`])(
    'Text that is no message is refused: %j',
    text => {
      expect(() => fromJson(text)).toThrow(expect.objectContaining({ name: 'AfpMessageError' }))
    },
  )

  test('A key __proto__ anywhere is refused.', () => {
    expect(() => fromJson('{"__proto__": {"id": "x"}}')).toThrow(expect.objectContaining({ code: 'MALFORMED' }))
  })

  test('Content beyond the limits is refused.', () => {
    const limits = resolveLimits({ recipients: 1 })
    const text = toJson(message({ recipients: ['bob', 'eve'] }))
    expect(() => fromJson(text, { limits })).toThrow(expect.objectContaining({ code: 'INVALID_MESSAGE' }))
  })
})
