import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../src/common/bytes.ts'
import { decode, encode, TAG_JSON, Tagged } from '../../src/message/codec.ts'
import { contentFromWire, contentToWire, defaultContentType, toContent } from '../../src/message/content.ts'
import { jsonEqual, parseJson } from '../../src/message/json-value.ts'
import type { Content } from '../../src/message/message.ts'
import { anyContent } from './messages.ts'

const MAX = 2 ** 18

const travel = (content: unknown): Content =>
  contentFromWire(decode(encode(contentToWire(toContent(content, MAX)))), MAX)

describe('what survives', () => {
  test.each([
    ['text', 'hello'],
    ['empty text', ''],
    ['text that looks like JSON', '{"a":1}'],
    ['bytes', Uint8Array.of(0, 255)],
    ['no bytes', new Uint8Array(0)],
    ['null', null],
    ['a number', 1.5],
    ['zero', 0],
    ['true', true],
    ['false', false],
    ['an array', [1, 'a', null, [true]]],
    ['an empty array', []],
    ['an object', { a: { b: [{ c: null }] } }],
    ['an empty object', {}],
    ['a string value __proto__', { word: '__proto__' }],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 })],
  ])('%s arrives as what it was.', (_what, content) => {
    expect(travel(content)).toEqual(content)
  })

  test('Any content arrives as what it was.', () => {
    fc.assert(
      fc.property(anyContent, content => {
        expect(travel(content)).toEqual(content)
      }),
    )
  })

  test('Bytes do not come back as text, nor text as JSON.', () => {
    expect(travel(utf8('hello'))).toBeInstanceOf(Uint8Array)
    expect(travel('1')).toBe('1')
  })

  test('Array buffers and their views are taken as the bytes they show.', () => {
    const buffer = Uint8Array.of(1, 2, 3, 4).buffer
    expect(travel(buffer)).toEqual(Uint8Array.of(1, 2, 3, 4))
    expect(travel(new DataView(buffer, 1, 2))).toEqual(Uint8Array.of(2, 3))
    expect(travel(new Uint16Array(buffer, 2))).toEqual(Uint8Array.of(3, 4))
    expect(Object.getPrototypeOf(toContent(Buffer.from('a'), MAX))).toBe(Uint8Array.prototype)
  })

  test('The default content type follows the content.', () => {
    expect(defaultContentType('a')).toBe('text/plain')
    expect(defaultContentType(new Uint8Array(0))).toBe('application/octet-stream')
    expect(defaultContentType(null)).toBe('application/json')
    expect(defaultContentType([1])).toBe('application/json')
  })
})

describe('what the sender is refused', () => {
  const loop: Record<string, unknown> = {}
  loop.self = { loop }
  const deep = (depth: number): unknown => (depth === 0 ? 1 : [deep(depth - 1)])

  test.each([
    ['undefined', undefined, 'content is undefined'],
    ['a property that is undefined', { a: { b: undefined } }, 'content.a.b is undefined'],
    ['a hole in an array', { a: new Array(1) }, 'content.a[0] is undefined'],
    ['a function', { run: () => 1 }, 'content.run is a function'],
    ['a symbol', Symbol('s'), 'content is a symbol'],
    ['a symbol as a key', { [Symbol('s')]: 1 }, 'symbol as a key'],
    ['a bigint', [1n], 'content[0] is a bigint'],
    ['NaN', Number.NaN, 'content is NaN'],
    ['an infinity', { a: Infinity }, 'content.a is Infinity'],
    ['a date', { at: new Date(0) }, 'content.at is an instance of Date'],
    ['a map', new Map(), 'content is an instance of Map'],
    ['an instance of a class', new (class Point {})(), 'content is an instance of Point'],
    ['a boxed number', Object(1), 'content is an instance of Number'],
    ['a structure that contains itself', loop, 'content.self.loop contains itself'],
    ['nesting of 65', deep(65), 'nested deeper than 64'],
    ['a key __proto__', JSON.parse('{"__proto__": 1}'), '__proto__'],
    ['half a surrogate pair', 'a\udc00', 'surrogate'],
    ['a blob', new Blob(['a']), 'a Blob cannot be sent: pass await new Response(it).bytes()'],
    ['text within JSON with half a character', ['\ud800'], 'content[0] has an unpaired surrogate'],
    ['a stream', new ReadableStream(), 'a ReadableStream cannot be sent: pass await new Response(it).bytes()'],
  ])('%s is refused with the reason.', (_what, content, message) => {
    expect(() => toContent(content, MAX)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONTENT', message: expect.stringContaining(message) }),
    )
  })

  test('Nesting of 64 is sent.', () => {
    expect(travel(deep(64))).toEqual(deep(64))
  })

  test('A structure that shares its parts over and over is refused before it is written out.', () => {
    let shared: unknown = 'x'
    for (let i = 0; i < 60; i++) shared = [shared, shared]
    expect(() => toContent(shared, MAX)).toThrow(expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }))
  })
})

describe('what the receiver refuses', () => {
  const embedded = (text: string): unknown => new Tagged(TAG_JSON, utf8(text))
  const refusal = (reason: string) => expect.objectContaining({ code: 'MALFORMED', details: { reason } })

  test.each([
    '{"__proto__": {"admin": true}}',
    '[{"a": {"__proto__": 1}}]',
    '{"\\u005f_proto__": 1}',
    '{"__prot\\u006F__": 1}',
    '{"__\\u0070\\u0072o\\u0074o__": 1}',
  ])('An object with the key __proto__ is refused, however it is spelt: %s', text => {
    expect(() => contentFromWire(embedded(text), MAX)).toThrow(refusal('malformed'))
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })

  test.each(['{"a": 1, "a": 2}', '{"a": 1, "\\u0061": 1}', '[{"b": {"a": 1, "c": [":"], "a": 1}}]', '{"": 1, "": 2}'])(
    'A key that an object has twice is refused, however it is spelt: %s',
    text => {
      expect(() => contentFromWire(embedded(text), MAX)).toThrow(refusal('malformed'))
    },
  )

  test('Colons within strings are no keys, and objects side by side may share theirs.', () => {
    const value = { 'a:b': ':"a":', list: [{ a: 1 }, { a: 1 }, { a: { a: ':' } }] }
    expect(parseJson(JSON.stringify(value))).toEqual(value)
  })

  test.each(['1e999', '[-1e999]', '"\\ud800"', '{"\\udc00": 1}', '["\\ude00\\ud83d"]'])(
    'A value that could not have been sent is refused: %s',
    text => {
      expect(() => contentFromWire(embedded(text), MAX)).toThrow(refusal('malformed'))
    },
  )

  test('The word __proto__ as a value is content like any other.', () => {
    expect(parseJson('{"a": "__proto__", "b": "\\u005f"}')).toEqual({ a: '__proto__', b: '_' })
  })

  test('JSON nested deeper than 64 is refused before it is parsed; brackets within strings do not count.', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
    expect(() => parseJson(nested(64))).not.toThrow()
    expect(() => parseJson(nested(65))).toThrow(refusal('too-deep'))
    expect(() => parseJson('{"a":'.repeat(100_000))).toThrow(refusal('too-deep'))
    expect(parseJson(JSON.stringify(`${'['.repeat(100)}"\\`))).toBe(`${'['.repeat(100)}"\\`)
    expect(() => parseJson(`["\\"", ${nested(64)}]`)).toThrow(refusal('too-deep'))
  })

  test.each(['', '{', 'undefined', '[1,]', 'NaN', '{"a":1}x'])('Text that is no JSON is refused: %j', text => {
    expect(() => parseJson(text)).toThrow(refusal('malformed'))
  })

  test('JSON that is not UTF-8 is refused.', () => {
    expect(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(refusal('malformed'))
  })

  test.each([
    ['a number', 1],
    ['an array', []],
    ['a map', new Map()],
    ['null', null],
    ['a tag over text', new Tagged(TAG_JSON, '{}')],
  ])('Content that is %s on the wire is refused.', (_what, wire) => {
    expect(() => contentFromWire(wire, MAX)).toThrow(refusal('malformed'))
  })

  test('More JSON than allowed is refused unread.', () => {
    expect(() => contentFromWire(embedded('[1,2]'), 4)).toThrow(refusal('too-large'))
  })
})

test('Two JSON values are equal by their own keys alone, in any order.', () => {
  expect(jsonEqual({ a: [1, { b: null }], c: 'd' }, { c: 'd', a: [1, { b: null }] })).toBe(true)
  expect(jsonEqual({ a: 1 }, { a: 1, b: 2 })).toBe(false)
  expect(jsonEqual({ constructor: 1 }, { other: 1 })).toBe(false)
  expect(jsonEqual({ toString: null }, { valueOf: null })).toBe(false)
  expect(jsonEqual(JSON.parse('{"__proto__": {}}'), { a: 1 })).toBe(false)
  expect(jsonEqual([], {})).toBe(false)
  expect(jsonEqual([1, 2], [2, 1])).toBe(false)
  expect(jsonEqual(1, '1')).toBe(false)
  expect(jsonEqual(null, undefined)).toBe(false)
})
