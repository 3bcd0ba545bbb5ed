import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../src/common/bytes.ts'
import { encode, TAG_JSON, Tagged } from '../../src/message/codec.ts'
import { decodeMessage, encodeMessage } from '../../src/message/envelope.ts'
import { uuidToBytes } from '../../src/message/ids.ts'
import { DEFAULT_LIMITS, resolveLimits } from '../../src/message/validate.ts'
import { anyMessage, ID, message, NOW, RECEIVED } from './messages.ts'

const limits = DEFAULT_LIMITS
const kinds = ['message', 'request', 'reply', 'failure'] as const
const from = (sender: string, topic?: string) => ({ sender, topic, security: RECEIVED, limits })
const refusal = (reason: string) => expect.objectContaining({ code: 'MALFORMED', details: { reason } })

/** A good envelope as the list that is encoded, for tests to spoil. */
const good = (): unknown[] => [
  1,
  0,
  uuidToBytes(ID),
  ['bob'],
  'text/plain',
  'hello',
  new Tagged(TAG_JSON, utf8('{}')),
  null,
  NOW,
  3600,
  0,
  0,
  null,
  ['ada'],
  [],
]

describe('the way over the wire', () => {
  test('Any message of any kind arrives as it was sent, with what the receiver found out about it.', () => {
    fc.assert(
      fc.property(anyMessage, fc.constantFrom(...kinds), (sent, kind) => {
        fc.pre(sent.parentId !== undefined || kind === 'message' || kind === 'request')
        const { sender, topic, security } = sent
        const decoded = decodeMessage(encodeMessage(sent, kind), { sender, topic, security, limits })
        expect(decoded).toEqual({ message: sent, kind })
      }),
    )
  })

  test('The wire form is the array that the specification names.', () => {
    expect(encodeMessage(message(), 'message')).toEqual(encode(good()))
    const parentId = ID.replace('1', '2')
    const full = message({
      recipients: ['*'],
      content: { a: [1] },
      contentType: 'application/json',
      metadata: { k: 'v' },
      parentId,
      guarantee: 'exactly-once',
      priority: 9,
      schema: 's',
      ttl: 0.5,
    })
    const json = (text: string): Tagged => new Tagged(TAG_JSON, utf8(text))
    expect(encodeMessage(full, 'failure')).toEqual(
      encode([
        1,
        3,
        uuidToBytes(ID),
        ['*'],
        'application/json',
        json('{"a":[1]}'),
        json('{"k":"v"}'),
        uuidToBytes(parentId),
        NOW,
        0.5,
        2,
        9,
        's',
        ['ada'],
        [],
      ]),
    )
  })

  test('Extensions of a later version are passed over.', () => {
    const later = good()
    later[14] = Array.from({ length: 16 }, (_, id) => [id * 4_369, false, new Uint8Array(id)])
    expect(decodeMessage(encode(later), from('ada')).message).toEqual(message())
  })

  test('The sender is the one that was proved, whatever the message was made to say.', () => {
    const bytes = encodeMessage(message({ sender: 'somebody else' }), 'message')
    expect(decodeMessage(bytes, from('mallory')).message.sender).toBe('mallory')
    expect(Buffer.from(bytes).includes('somebody else')).toBe(false)
  })

  test('The topic is the one it came over.', () => {
    const bytes = encodeMessage(message({ topic: 'weather' }), 'message')
    expect(decodeMessage(bytes, from('ada', 'news')).message.topic).toBe('news')
  })

  test('Decoding again and again does not make the trace path grow.', () => {
    let current = message({ tracePath: ['ada', 'eve'] })
    for (let i = 0; i < 3; i++) current = decodeMessage(encodeMessage(current, 'message'), from('ada')).message
    expect(current.tracePath).toEqual(['ada', 'eve'])
  })

  test('Two encodings of one message are the same bytes.', () => {
    fc.assert(
      fc.property(anyMessage, any => {
        expect(encodeMessage(any, 'message')).toEqual(encodeMessage(any, 'message'))
      }),
    )
  })
})

describe('what is refused', () => {
  test.each<[string, number, unknown]>([
    ['another version', 0, 2],
    ['an unknown kind', 1, 4],
    ['a negative kind', 1, -1],
    ['a kind that is text', 1, 'message'],
    ['a kind named length', 1, 'length'],
    ['an id of 15 bytes', 2, new Uint8Array(15)],
    ['an id as text', 2, ID],
    ['recipients that are no list', 3, 'bob'],
    ['a recipient that is a number', 3, [1]],
    ['an empty recipient', 3, ['']],
    ['a recipient of 129 characters', 3, ['x'.repeat(129)]],
    ['no recipients', 3, []],
    ['65 recipients', 3, Array.from({ length: 65 }, (_, i) => `agent ${i}`)],
    ['a recipient twice', 3, ['bob', 'bob']],
    ['everyone and one more', 3, ['*', 'bob']],
    ['a content type that is none', 4, 'text'],
    ['a content type that is null', 4, null],
    ['content that is a bare number', 5, 1],
    ['content that is null', 5, null],
    ['content that is a map', 5, new Map()],
    ['metadata that is a list', 6, new Tagged(TAG_JSON, utf8('[]'))],
    ['metadata that is null', 6, new Tagged(TAG_JSON, utf8('null'))],
    ['metadata that is no embedded JSON', 6, new Map()],
    ['metadata with a key __proto__', 6, new Tagged(TAG_JSON, utf8('{"__proto__":{}}'))],
    ['a parent id of 17 bytes', 7, new Uint8Array(17)],
    ['a timestamp that is text', 8, 'now'],
    ['a negative timestamp', 8, -1],
    ['a timestamp with a fraction', 8, 0.5],
    ['a timestamp beyond 2^53', 8, 2n ** 60n],
    ['a time to live of 0', 9, 0],
    ['a time to live of 31 days', 9, 31 * 24 * 3600],
    ['a time to live that is null', 9, null],
    ['an unknown guarantee', 10, 3],
    ['a guarantee by name', 10, 'exactly-once'],
    ['a priority of 10', 11, 10],
    ['a priority of -1', 11, -1],
    ['a priority with a fraction', 11, 0.5],
    ['a schema that is a number', 12, 1],
    ['a schema of 129 characters', 12, 'x'.repeat(129)],
    ['a trace path that is null', 13, null],
    ['a trace path of 65', 13, new Array(65).fill('ada')],
    ['a trace path with a number', 13, [1]],
    ['extensions that are null', 14, null],
    ['17 extensions', 14, Array.from({ length: 17 }, (_, id) => [id, false, new Uint8Array(0)])],
    ['an extension that is no list', 14, [1]],
    ['an extension without a value', 14, [[1, false]]],
    ['an extension with text for a value', 14, [[1, false, 'x']]],
    ['an extension that is neither critical nor not', 14, [[1, null, new Uint8Array(0)]]],
    [
      'an extension twice',
      14,
      [
        [1, false, new Uint8Array(0)],
        [1, false, new Uint8Array(0)],
      ],
    ],
    [
      'extensions out of order',
      14,
      [
        [2, false, new Uint8Array(0)],
        [1, false, new Uint8Array(0)],
      ],
    ],
    ['an extension beyond 65535', 14, [[65_536, false, new Uint8Array(0)]]],
    ['a critical extension that nobody knows', 14, [[1, true, new Uint8Array(0)]]],
  ])('A message with %s is malformed.', (_what, index, value) => {
    const spoilt = good()
    spoilt[index] = value
    expect(() => decodeMessage(encode(spoilt), from('ada'))).toThrow(refusal('malformed'))
  })

  test.each([
    ['shorter', good().slice(0, 14)],
    ['longer', [...good(), null]],
    ['no list at all', new Map()],
    ['null', null],
  ])('A document that is %s is malformed.', (_what, document) => {
    expect(() => decodeMessage(encode(document), from('ada'))).toThrow(refusal('malformed'))
  })

  test('The good message that these were made from is read.', () => {
    expect(decodeMessage(encode(good()), from('ada')).message).toEqual(message())
  })

  test.each([2, 3])('A reply (kind %i) that names no parent is malformed.', kind => {
    const spoilt = good()
    spoilt[1] = kind
    expect(() => decodeMessage(encode(spoilt), from('ada'))).toThrow(refusal('malformed'))
    spoilt[7] = uuidToBytes(ID)
    expect(decodeMessage(encode(spoilt), from('ada')).message.parentId).toBe(ID)
  })

  test('Recipients beside a topic are malformed, and so is a topic that is none.', () => {
    expect(() => decodeMessage(encode(good()), from('ada', 'news'))).toThrow(refusal('malformed'))
    const topical = encodeMessage(message({ topic: 'news' }), 'message')
    expect(() => decodeMessage(topical, from('ada', '$mesh'))).toThrow(refusal('malformed'))
  })

  test('Metadata is bounded in bytes and in keys, nested ones included.', () => {
    const withMetadata = (text: string): Uint8Array => {
      const list = good()
      list[6] = new Tagged(TAG_JSON, utf8(text))
      return encode(list)
    }
    const nested = (keys: number): string =>
      JSON.stringify({ a: Object.fromEntries(Array.from({ length: keys - 1 }, (_, i) => [i, 0])) })
    expect(() => decodeMessage(withMetadata(nested(1024)), from('ada'))).not.toThrow()
    expect(() => decodeMessage(withMetadata(nested(1025)), from('ada'))).toThrow(refusal('malformed'))
    expect(() => decodeMessage(withMetadata(`{"a":"${'x'.repeat(16_377)}"}`), from('ada'))).toThrow(
      refusal('too-large'),
    )
    expect(() => decodeMessage(withMetadata(`{"a":"${'x'.repeat(16_376)}"}`), from('ada'))).not.toThrow()
  })

  test('A message above the limit leaves neither this agent nor is it read.', () => {
    const small = resolveLimits({ messageBytes: 200 })
    const large = message({ content: 'x'.repeat(200) })
    expect(() => encodeMessage(large, 'message', small)).toThrow(
      expect.objectContaining({ code: 'MESSAGE_TOO_LARGE', messageId: ID }),
    )
    const bytes = encodeMessage(large, 'message')
    expect(() => decodeMessage(bytes, { ...from('ada'), limits: small })).toThrow(refusal('too-large'))
  })

  test('Whatever bytes come, the answer is a message or MALFORMED.', () => {
    const bytes = encodeMessage(message({ content: { a: [1, 'x'] }, metadata: { k: 1 } }), 'message')
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const spoilt = Uint8Array.from(bytes)
        spoilt[at] = byte
        try {
          decodeMessage(spoilt, from('ada'))
        } catch (error) {
          expect(error).toMatchObject({ name: 'AfpMessageError', code: 'MALFORMED' })
        }
      }),
      { numRuns: 3000 },
    )
  })
})
