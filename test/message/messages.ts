/** Messages for tests: one with defaults, and any at all. */

import fc from 'fast-check'
import { bytesToUuid } from '../../src/message/ids.ts'
import type { Content, Json, MessageFields } from '../../src/message/message.ts'
import { Message } from '../../src/message/message.ts'

export const NOW = Date.UTC(2026, 0, 1)

export const ID = '019b7656-c000-7000-8000-000000000001'

export const RECEIVED = { level: 'low', authenticatedBy: 'connection', roles: [] } as const

/** A direct message from `ada` to `bob`, with `fields` in place of the defaults. */
export function message(fields: Partial<MessageFields> = {}): Message {
  return new Message({
    id: ID,
    sender: 'ada',
    recipients: fields.topic === undefined ? ['bob'] : [],
    contentType: 'text/plain',
    content: 'hello',
    metadata: {},
    timestamp: NOW,
    ttl: 3600,
    tracePath: ['ada'],
    guarantee: 'at-most-once',
    priority: 0,
    security: RECEIVED,
    ...fields,
  })
}

/** Text that UTF-8 can carry. */
const text = fc.string({ unit: 'grapheme', maxLength: 40 })

const id = fc.string({ minLength: 1, maxLength: 20 }).filter(value => value !== '*')

const uuid = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytesToUuid)

/** JSON as it comes back: the negative zero is written as 0. */
export const anyJson: fc.Arbitrary<Json> = fc
  .jsonValue({ maxDepth: 5 })
  .map(value => JSON.parse(JSON.stringify(value).replaceAll('__proto__', 'proto')) as Json)

export const anyContent: fc.Arbitrary<Content> = fc.oneof(text, fc.uint8Array({ maxLength: 300 }), anyJson)

const destination = fc.oneof(
  fc.record({
    recipients: fc.oneof(fc.constant(['*']), fc.uniqueArray(id, { minLength: 1, maxLength: 5 })),
    topic: fc.constant(undefined),
  }),
  fc.record({
    recipients: fc.constant([] as string[]),
    topic: fc.constantFrom('news', 'Wetter/Zürich', '天気'),
  }),
)

/** Any message that the limits allow. */
export const anyMessage: fc.Arbitrary<Message> = fc
  .record({
    destination,
    id: uuid,
    sender: id,
    contentType: fc.constantFrom('text/plain', 'application/ld+json; profile="a b"', 'image/png'),
    content: anyContent,
    metadata: fc.dictionary(
      text.filter(key => key !== '__proto__'),
      anyJson,
      { maxKeys: 5 },
    ),
    parentId: fc.option(uuid, { nil: undefined }),
    timestamp: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    ttl: fc.oneof(fc.integer({ min: 1, max: 2_592_000 }), fc.double({ min: 0.01, max: 2_592_000, noNaN: true })),
    tracePath: fc.array(id, { maxLength: 64 }),
    guarantee: fc.constantFrom('at-most-once' as const, 'at-least-once' as const, 'exactly-once' as const),
    priority: fc.integer({ min: 0, max: 9 }),
    schema: fc.option(id, { nil: undefined }),
    security: fc.record({
      level: fc.constantFrom('none' as const, 'low' as const, 'medium' as const, 'high' as const),
      authenticatedBy: fc.constantFrom('none' as const, 'connection' as const, 'signature' as const),
      roles: fc.array(id, { maxLength: 2 }),
    }),
  })
  .map(({ destination, ...fields }) => new Message({ ...fields, ...destination }))
