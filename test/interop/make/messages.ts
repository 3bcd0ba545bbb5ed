/** Messages as they are before they are sealed or signed. */

import { utf8 } from '../../../src/common/bytes.ts'
import { decode, encode, TAG_JSON, Tagged } from '../../../src/message/codec.ts'
import type { MessageKind } from '../../../src/message/envelope.ts'
import type { Value } from '../cases.ts'
import { messageOf, messageValue } from '../values.ts'
import { agents, joined, Maker, NOW, put, strangers } from './maker.ts'

const ID = '019b7656-c000-7000-8000-000000000001'

/** What a message says: what is given, and what stands there otherwise. */
export function saying(given: Value = {}): Value {
  const value = {
    kind: 'message',
    id: ID,
    recipients: [agents.bob.id],
    contentType: 'text/plain',
    content: { text: 'hello' },
    metadata: {},
    parentId: null,
    timestamp: NOW,
    ttl: 3_600,
    guarantee: 'at-least-once',
    priority: 0,
    schema: null,
    tracePath: [agents.ada.id],
    ...given,
  }
  const topic = value.recipients.length === 0 ? 'news' : undefined
  return messageValue(messageOf(value, 'somebody', topic), value.kind as MessageKind)
}

/** Everything that JSON can be. */
const json = { text: 'ü "\\ \u2028 😀', numbers: [0, -1, 1.5, 1e21, 5e-324, 2 ** 53], yes: true, no: false, none: null }

export async function messages(): Promise<Maker> {
  const maker = new Maker()
  const good = (name: string, given?: Value, topic?: string) =>
    maker.good({ name, kind: 'message', ...(topic === undefined ? {} : { topic }) }, saying(given))

  const small = await good('a message of text')
  const data = { bytes: '00ff80' }
  await good('empty text', { content: { text: '' } })
  await good('bytes', { content: data, contentType: 'image/png' })
  await good('no bytes', { content: { bytes: '' }, contentType: 'application/octet-stream' })
  await good('JSON', { content: { json }, contentType: 'application/json' })
  for (const value of [null, 0, 'text', [], {}, true])
    await good(`JSON that is ${JSON.stringify(value)}`, jsonOf(value))
  await good('JSON that is nested 64 deep', jsonOf(nested(64)))
  await good('a request', { kind: 'request', priority: 9, guarantee: 'exactly-once', schema: 'sum/1' })
  await good('a reply', { kind: 'reply', parentId: ID })
  await good('a failure', { kind: 'failure', parentId: ID, ...jsonOf({ code: 'NO_HANDLER', message: 'nobody' }) })
  await good('a message that may be lost', { guarantee: 'at-most-once', priority: 5 })
  await good('a message with metadata', { metadata: { trace: 'x', nested: { list: [1, { deep: true }] } } })
  await good('metadata with 1,024 keys', { metadata: keyed(1_024) })
  await good('64 recipients', { recipients: [agents.bob.id, agents.cleo.id, ...strangers] })
  await good('a broadcast', { recipients: ['*'] })
  await good('a message of a topic', { recipients: [] }, 'news')
  await good('64 agents on its path', { tracePath: [...strangers, 'a', 'x'.repeat(128)] })
  await good('nobody on its path', { tracePath: [] })
  await good('the longest time to live', { ttl: 2_592_000 })
  await good('a third of a second to live', { ttl: 1 / 3 })
  await good('a hundredth of a second less to live than a double can say', { ttl: 1.0005 })
  await good('half a second to live', { ttl: 0.5 })
  await good('the shortest time to live', { ttl: 5e-324 })
  await good('the earliest time', { timestamp: 0 })
  for (const contentType of [
    'application/ld+json; profile="a b;\\"c\\""',
    'text/plain;charset=UTF-8',
    'X-a/b.C;d=e ; f="" \t;g=h',
    `a/${'b'.repeat(127)}`,
  ])
    await good(`content of type ${contentType.slice(0, 40)}`, { contentType })
  foreign(maker, small)
  bad(maker, small)
  return maker
}

const jsonOf = (value: unknown): Value => ({ content: { json: value }, contentType: 'application/json' })

function nested(depth: number): unknown {
  let value: unknown = []
  for (let left = depth; left > 1; left--) value = left % 2 === 0 ? [value] : { a: value }
  return value
}

const keyed = (count: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 0]))

const CONTENT = 5
const METADATA = 6
const EXTENSIONS = 14

const tagged = (text: string): Tagged => new Tagged(TAG_JSON, utf8(text))

/** What other implementations may write. */
function foreign(maker: Maker, small: Uint8Array): void {
  const items = decode(small) as unknown[]
  const good = (name: string, changed: readonly unknown[], given?: Value): void =>
    maker.foreign({ name, kind: 'message' }, encode(changed), saying(given))
  const value = new Uint8Array(3)
  good(
    'extensions that nobody knows',
    put(items, EXTENSIONS, [
      [0, false, value],
      [65_535, false, new Uint8Array()],
    ]),
  )
  good(
    '16 extensions',
    put(
      items,
      EXTENSIONS,
      Array.from({ length: 16 }, (_, id) => [id, false, value]),
    ),
  )
  good(
    'JSON with white space and escapes',
    put(items, CONTENT, tagged(' { "\\u0061" :\t[ 1e2 , 1.0 , "\\ud83d\\ude00" ] }\r\n')),
    {
      content: { json: { a: [100, 1, '😀'] } },
    },
  )
  good(
    'JSON of a number that a double rounds',
    put(items, CONTENT, tagged('[9007199254740993,1e-400,123456789012345678901]')),
    {
      content: { json: [9007199254740992, 0, 123456789012345680000] },
    },
  )
  good('metadata with white space', put(items, METADATA, tagged('{ "a" : 1 }')), { metadata: { a: 1 } })
}

function bad(maker: Maker, small: Uint8Array): void {
  const items = decode(small) as unknown[]
  const refused = (name: string, reason: string, bytes: Uint8Array, zeros?: number): void =>
    maker.bad({ name, kind: 'message' }, reason, bytes, zeros)
  const other = (name: string, at: number, item: unknown, reason = 'malformed'): void =>
    refused(name, reason, encode(put(items, at, item)))

  other('version 2', 0, 2)
  other('kind 4', 1, 4)
  other('a kind in text', 1, 'message')
  other('an id of 15 bytes', 2, new Uint8Array(15))
  other('an id as text', 2, ID)
  other('65 recipients', 3, [agents.ada.id, agents.bob.id, agents.cleo.id, ...strangers])
  other('a recipient that is named twice', 3, [agents.bob.id, agents.bob.id])
  other('everybody beside somebody', 3, ['*', agents.bob.id])
  other('no recipient', 3, [])
  other('a recipient without an id', 3, [''])
  other('a recipient of 129 characters', 3, ['x'.repeat(129)])
  maker.bad({ name: 'a recipient on a topic', kind: 'message', topic: 'news' }, 'malformed', small)
  for (const [name, type] of [
    ['without a subtype', 'text'],
    ['with a space', 'text/ plain'],
    ['with an empty parameter', 'text/plain;'],
    ['with an open quote', 'text/plain;a="b'],
    ['of 256 characters', `a/b;c=${'d'.repeat(250)}`],
    ['with a part of 128 characters', `a/${'b'.repeat(128)}`],
    ['with a line break', 'text/plain\n'],
  ])
    other(`a content type ${name}`, 4, type)
  other('content that is a number', CONTENT, 5)
  other('content that is an array', CONTENT, [])
  const texts: readonly (readonly [name: string, text: string, reason?: string])[] = [
    ['with the key __proto__', '{"__proto__":{"admin":true}}'],
    ['with the key __proto__ in escapes', '{"\\u005f_proto__":1}'],
    ['with a key twice', '{"a":1,"a":2}'],
    ['with a key twice, once in escapes', '{"a":1,"\\u0061":2}'],
    ['with a key twice, deep inside', '[{"b":[{"a":1,"a":1}]}]'],
    ['with half of a surrogate pair', '["\\ud83d"]'],
    ['with half of a surrogate pair in a key', '{"\\udc00":1}'],
    ['with a number beyond a double', '[1e400]'],
    ['with a whole number beyond a double', `[1${'0'.repeat(400)}]`],
    ['that is NaN', 'NaN'],
    ['that is Infinity', '[-Infinity]'],
    ['with a comma too many', '[1,]'],
    ['with a comment', '[1]//'],
    ['with a number that begins with 0', '[01]'],
    ['with a line break in text', '["\n"]'],
    ['that is nothing', ''],
    ['of two values', '1 2'],
    ['with a byte order mark', '\ufeff1'],
    ['with quotes of the wrong kind', "['a']"],
    ['that is nested 65 deep', JSON.stringify(nested(65)), 'too-deep'],
  ]
  for (const [name, text, reason] of texts) other(`JSON ${name}`, CONTENT, tagged(text), reason)
  other('JSON that is not UTF-8', CONTENT, new Tagged(TAG_JSON, Uint8Array.of(0x22, 0xc3, 0x28, 0x22)))
  other('JSON as text', CONTENT, new Tagged(TAG_JSON, '1'))
  other('metadata that is an array', METADATA, tagged('[]'))
  other('metadata that is null', METADATA, tagged('null'))
  other('metadata without a tag', METADATA, utf8('{}'))
  other('metadata with 1,025 keys', METADATA, tagged(JSON.stringify(keyed(1_025))))
  other('metadata of more than 16 KiB', METADATA, tagged(`{"m":"${'x'.repeat(2 ** 14)}"}`), 'too-large')
  other('metadata that is longer than 16 KiB in its plain form', METADATA, tagged(`{"m":[${'1e20,'.repeat(1_000)}1]}`))
  other('a parent id of 17 bytes', 7, new Uint8Array(17))
  refused('a reply without a parent id', 'malformed', encode(put(items, 1, 2)))
  refused('a failure without a parent id', 'malformed', encode(put(items, 1, 3)))
  other('a time before 1970', 8, -1)
  other('a time of half a millisecond', 8, NOW + 0.5)
  other('a time of 2^53', 8, 2n ** 53n)
  other('no time to live', 9, 0)
  other('less than no time to live', 9, -0.5)
  other('31 days to live', 9, 31 * 86_400)
  other('guarantee 3', 10, 3)
  other('priority 10', 11, 10)
  other('priority -1', 11, -1)
  other('half a priority', 11, 0.5)
  other('a schema without an id', 12, '')
  other('65 agents on its path', 13, new Array(65).fill('a'))
  other('nobody at a place of its path', 13, ['a', ''])
  other('an extension that is critical', EXTENSIONS, [[1, true, new Uint8Array()]])
  other('extensions out of order', EXTENSIONS, [
    [2, false, new Uint8Array()],
    [1, false, new Uint8Array()],
  ])
  other('an extension twice', EXTENSIONS, [
    [1, false, new Uint8Array()],
    [1, false, new Uint8Array()],
  ])
  other('an extension 65,536', EXTENSIONS, [[65_536, false, new Uint8Array()]])
  other('an extension whose value is text', EXTENSIONS, [[1, false, 'x']])
  other(
    '17 extensions',
    EXTENSIONS,
    Array.from({ length: 17 }, (_, id) => [id, false, new Uint8Array()]),
  )
  refused('14 items', 'malformed', encode(items.slice(0, -1)))
  refused('16 items', 'malformed', encode([...items, null]))
  refused('a message cut short', 'malformed', small.subarray(0, -1))
  refused('a message with a byte more', 'malformed', joined(small, '00'))
  refused('an array without a length', 'malformed', joined('9f', small.subarray(1), 'ff'))
  refused('a version in two bytes', 'malformed', joined('8f', '1801', small.subarray(2)))
  refused('text without a length', 'malformed', spoilt(small, '65', utf8('hello'), '7f65', 'ff'))
  refused('text that is not UTF-8', 'malformed', spoilt(small, '65', utf8('hello'), '62c328', ''))
  refused('a tag of another kind', 'malformed', joined(small.subarray(0, -1), 'd8ff80'))
  refused('a map for a message', 'malformed', encode({}))
  refused('nested 33 deep', 'too-deep', joined('81'.repeat(33), '00'))
  refused('more than 256 KiB', 'too-large', small, 2 ** 18)
}

/** The message with other bytes in place of its text. */
function spoilt(small: Uint8Array, head: string, text: Uint8Array, before: string, after: string): Uint8Array {
  const plain = Buffer.from(joined(head, text))
  const at = Buffer.from(small).indexOf(plain)
  const middle = before.startsWith('7f') ? joined(before, text, after) : joined(before)
  return joined(small.subarray(0, at), middle, small.subarray(at + plain.length))
}
