/** Between this package's own objects and what the golden frames say in JSON. */

import type { FeedAck, FeedState } from '../../src/feed/index.ts'
import { RangeSet } from '../../src/feed/index.ts'
import type { Card, CardFields } from '../../src/identity/card.ts'
import type { MessageKind } from '../../src/message/envelope.ts'
import { type Content, type Json, Message, type MessageFields } from '../../src/message/message.ts'
import { bytesOf, hexOf, type Value } from './cases.ts'

/** A card as a case says it. */
export function cardValue(card: Card): Value {
  const { id, mesh, name, description, capabilities, addresses, instance, seq, expiresAt, prekey } = card
  const key = prekey && { id: hexOf(prekey.id), publicKey: hexOf(prekey.publicKey), notAfter: prekey.notAfter }
  return { id, mesh, name, description, capabilities, addresses, instance, seq, expiresAt, prekey: key ?? null }
}

export function cardFields(value: Value): CardFields {
  const fields = value as unknown as CardFields
  const prekey = value.prekey as { id: string; publicKey: string; notAfter: number } | null
  if (prekey === null) return { ...fields, prekey: undefined }
  return { ...fields, prekey: { ...prekey, id: bytesOf(prekey.id), publicKey: bytesOf(prekey.publicKey) } }
}

/** What of a message is in its bytes. */
export function messageValue(message: Message, kind: MessageKind): Value {
  const { id, recipients, contentType, content, metadata, parentId, timestamp, ttl } = message
  const { guarantee, priority, schema, tracePath, expiresAt } = message
  return {
    kind,
    id,
    recipients,
    contentType,
    content: contentValue(content),
    metadata,
    parentId: parentId ?? null,
    timestamp,
    ttl,
    guarantee,
    priority,
    schema: schema ?? null,
    tracePath,
    expiresAt,
  }
}

/** A message from a sender, or over a topic. */
export function messageOf(value: Value, sender: string, topic?: string): Message {
  const { expiresAt: _, kind: __, ...fields } = value
  return new Message({
    ...(fields as unknown as MessageFields),
    sender,
    topic,
    content: contentOf(value.content as Record<string, unknown>),
    parentId: (value.parentId as string | null) ?? undefined,
    schema: (value.schema as string | null) ?? undefined,
    security: { level: 'none', authenticatedBy: 'none', roles: [] },
  })
}

function contentValue(content: Content): Value {
  if (typeof content === 'string') return { text: content }
  return content instanceof Uint8Array ? { bytes: hexOf(content) } : { json: content }
}

function contentOf({ text, bytes, json }: Record<string, unknown>): Content {
  if (typeof text === 'string') return text
  return typeof bytes === 'string' ? bytesOf(bytes) : (json as Json)
}

type Pairs = readonly (readonly [number, number])[]

const wire = (pairs: unknown): ReturnType<RangeSet['toWire']> => RangeSet.of(pairs as Pairs).toWire()

export const ackOf = (value: Value): FeedAck => ({
  ...(value as unknown as FeedAck),
  delivered: wire(value.delivered),
  processed: wire(value.processed),
  skipped: wire(value.skipped),
})

export const stateOf = (value: Value): FeedState => ({ ...(value as unknown as FeedState), skips: wire(value.skips) })

/** The sets among an object's entries as pairs. */
export const withPairs = (object: object): Value =>
  Object.fromEntries(
    Object.entries(object).map(([key, value]: [string, unknown]) => [
      key,
      value instanceof RangeSet ? [...value] : value,
    ]),
  )
