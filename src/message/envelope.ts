/**
 * The wire form of a message: a CBOR array, since arrays encode several times faster than maps.
 *
 * ```
 * [1, kind, id, [* recipient], content type, content, metadata, parent id / null, timestamp, ttl, guarantee, priority,
 *  schema / null, [* trace path], [* [extension, critical, value]]]
 * ```
 *
 * Ids of messages are the 16 bytes of their UUID. The sender and the topic are not in it: they are what the connection,
 * the signature and the gossip topic prove, so no message can claim another's. Extensions are room for later versions:
 * what is not known is passed over, unless its sender says that the message makes no sense without it.
 */

import { AfpMessageError } from '../common/errors.ts'
import { messageItems } from './bounds.ts'
import { decode, encode } from './codec.ts'
import { contentFromWire, contentToWire, jsonFromWire, jsonToWire } from './content.ts'
import { bytesToUuid, uuidToBytes } from './ids.ts'
import { GUARANTEES, type Json, Message, type MessageSecurity } from './message.ts'
import { DEFAULT_LIMITS, type Limits, validateFields } from './validate.ts'

/** Version of the envelope. */
const VERSION = 1

/** Extensions of one message. */
const MAX_EXTENSIONS = 16
const MAX_EXTENSION = 2 ** 16 - 1

/** What a message is for, in the order of their numbers on the wire. A `failure` is a reply: see `failure.ts`. */
const KINDS = ['message', 'request', 'reply', 'failure'] as const

/** What a message is for. */
export type MessageKind = (typeof KINDS)[number]

/** What the receiver knows about a message that the message does not say itself. */
export interface EnvelopeContext {
  /** The proved sender's agent id. */
  readonly sender: string
  /** The topic it came over. */
  readonly topic?: string | undefined
  readonly security: MessageSecurity
  readonly limits: Limits
}

/**
 * The bytes of a message.
 * @throws AfpMessageError MESSAGE_TOO_LARGE
 */
export function encodeMessage(
  message: Message,
  kind: MessageKind,
  limits: Limits = DEFAULT_LIMITS,
): Uint8Array<ArrayBuffer> {
  const bytes = encode([
    VERSION,
    KINDS.indexOf(kind),
    uuidToBytes(message.id),
    message.recipients,
    message.contentType,
    contentToWire(message.content),
    jsonToWire(message.metadata),
    message.parentId === undefined ? null : uuidToBytes(message.parentId),
    message.timestamp,
    message.ttl,
    GUARANTEES.indexOf(message.guarantee),
    message.priority,
    message.schema ?? null,
    message.tracePath,
    [],
  ])
  if (bytes.length <= limits.messageBytes) return bytes
  throw new AfpMessageError(
    'MESSAGE_TOO_LARGE',
    `the message has ${bytes.length} bytes, the limit is ${limits.messageBytes}`,
    { messageId: message.id },
  )
}

function malformed(why: string, cause?: unknown): AfpMessageError {
  return new AfpMessageError('MALFORMED', `not a message: ${why}`, { cause, details: { reason: 'malformed' } })
}

/**
 * The message in bytes that a stranger may have sent. Every field is held to its type and bounds; its time is not, see
 * `validateTime`. The trace path stays as it came.
 * @throws AfpMessageError MALFORMED, with `details.reason` `malformed`, `too-deep` or `too-large`
 */
export function decodeMessage(bytes: Uint8Array, context: EnvelopeContext): { message: Message; kind: MessageKind } {
  const { limits } = context
  const wire = decode(bytes, { bytes: limits.messageBytes, items: messageItems(limits.recipients) })
  if (!Array.isArray(wire) || wire.length !== 15) throw malformed('not an array of 15')
  const [version, kindNumber, id, recipients, contentType, content, metadata, parentId] = wire as unknown[]
  const [timestamp, ttl, guarantee, priority, schema, tracePath, extensions] = wire.slice(8) as unknown[]
  if (version !== VERSION) throw malformed('another version')
  passOver(extensions)
  const message = new Message({
    id: readUuid(id),
    sender: context.sender,
    recipients: recipients as string[],
    topic: context.topic,
    contentType: contentType as string,
    content: contentFromWire(content, limits.messageBytes),
    metadata: jsonFromWire(metadata, limits.metadataBytes) as Record<string, Json>,
    parentId: parentId === null ? undefined : readUuid(parentId),
    timestamp: timestamp as number,
    ttl: ttl as number,
    tracePath: tracePath as string[],
    guarantee: pick(GUARANTEES, guarantee, 'guarantee'),
    priority: priority as number,
    schema: schema === null ? undefined : (schema as string),
    security: context.security,
  })
  const kind = pick(KINDS, kindNumber, 'kind')
  try {
    validateFields(message, limits)
  } catch (cause) {
    throw malformed(cause instanceof Error ? cause.message : 'invalid', cause)
  }
  if ((kind === 'reply' || kind === 'failure') && message.parentId === undefined) {
    throw malformed(`a ${kind} without a parent id`)
  }
  return { message, kind }
}

/** This version knows none. */
function passOver(extensions: unknown): void {
  if (!Array.isArray(extensions) || extensions.length > MAX_EXTENSIONS) throw malformed('its extensions')
  let last = -1
  for (const extension of extensions) {
    const [id, critical, value] = Array.isArray(extension) && extension.length === 3 ? extension : []
    const known = Number.isInteger(id) && id > last && id <= MAX_EXTENSION
    if (!known || typeof critical !== 'boolean' || !(value instanceof Uint8Array)) throw malformed('an extension')
    if (critical) throw malformed(`it cannot be understood without extension ${id}`)
    last = id
  }
}

function readUuid(value: unknown): string {
  if (!(value instanceof Uint8Array) || value.length !== 16) throw malformed('an id that has not 16 bytes')
  return bytesToUuid(value)
}

/** `values[index]`, where the index comes from outside. */
function pick<T>(values: readonly T[], index: unknown, what: string): T {
  const value = Number.isInteger(index) ? values[index as number] : undefined
  if (value === undefined) throw malformed(`unknown ${what}`)
  return value
}
