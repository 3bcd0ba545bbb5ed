/** Making messages: new ones, answers, acknowledgements. */

import type { Clock } from '../common/clock.ts'
import { copyJson, defaultContentType, reading, toContent } from './content.ts'
import {
  ACK_PRIORITY,
  type Content,
  DEFAULT_TTL,
  type Guarantee,
  type Json,
  Message,
  type MessageSecurity,
} from './message.ts'
import { type Limits, validateGuarantee, validateMessage, validateMetadata } from './validate.ts'

/** What the sender says about a message; each has a default. */
export interface MessageInit {
  /** MIME type; default by content: `text/plain`, `application/octet-stream`, else `application/json`. */
  readonly contentType?: string | undefined
  readonly metadata?: Readonly<Record<string, Json>> | undefined
  /** Id of the message this one answers. */
  readonly parentId?: string | undefined
  /** Seconds, 0 < ttl <= 30 days; default 3600. */
  readonly ttl?: number | undefined
  /** 0 to 9; default 0. */
  readonly priority?: number | undefined
  /** Id of a schema both sides registered. */
  readonly schema?: string | undefined
  /** A UUID of the caller's own; default: a new UUIDv7. */
  readonly id?: string | undefined
  /** When the message was made, ms since 1970; default: now. */
  readonly timestamp?: number | undefined
  /** Default `at-most-once`. */
  readonly guarantee?: Guarantee | 'best-effort' | undefined
}

/** Whom a message is for. */
export type Destination =
  | { /** Agent ids, or `['*']`; doubles are taken out. */ readonly recipients: readonly string[] }
  | { readonly topic: string }

/** What making a message needs. */
export interface BuildContext {
  /** This agent's id. */
  readonly sender: string
  readonly clock: Clock
  /** See `createIds`. */
  readonly ids: () => string
  readonly limits: Limits
}

/** The security of a message that was not received: nothing is proved yet. */
export const NO_SECURITY: MessageSecurity = Object.freeze({
  level: 'none',
  authenticatedBy: 'none',
  roles: Object.freeze([]),
})

/**
 * A new message.
 * @throws AfpMessageError for content or options that cannot be sent; MESSAGE_EXPIRED
 */
export function buildMessage<C extends Content = Content>(
  destination: Destination,
  content: C,
  init: MessageInit,
  context: BuildContext,
): Message<C> {
  return build(destination, content, init, context, NO_SECURITY)
}

/**
 * An answer to a message: to its sender, with its id as parent, its priority, guarantee and security context unless
 * `init` says otherwise. Nobody waits for it long after that message is over: by default it lives no longer than that and
 * `limits.clockSkew`, nor than other messages do.
 * @throws AfpMessageError as {@link buildMessage}
 */
export function respondTo<C extends Content = Content>(
  message: Message,
  content: C,
  init: MessageInit,
  context: BuildContext,
): Message<C> {
  const { priority, guarantee, security } = message
  const { clock, limits } = context
  // Where it is over already, somebody may wait all the same.
  const left = Math.max(1, (message.expiresAt - clock.now()) / 1_000)
  const ttl = init.ttl ?? Math.min(DEFAULT_TTL, left + limits.clockSkew)
  const inherited = { ...init, parentId: message.id, priority: init.priority ?? priority, ttl }
  return build(
    { recipients: [message.sender] },
    content,
    { ...inherited, guarantee: init.guarantee ?? guarantee },
    context,
    security,
  )
}

/** An acknowledgement of a message: it travels first, and never asks for an acknowledgement itself. */
export function acknowledge(message: Message, context: BuildContext): Message {
  return respondTo(
    message,
    { acknowledged: message.id },
    { priority: ACK_PRIORITY, guarantee: 'at-most-once' },
    context,
  )
}

function build<C extends Content>(
  destination: Destination,
  value: C,
  init: MessageInit,
  context: BuildContext,
  security: MessageSecurity,
): Message<C> {
  const { sender, clock, limits } = context
  const now = clock.now()
  const content = toContent(value, limits.messageBytes) as C
  const topic = 'topic' in destination ? destination.topic : undefined
  const message = new Message<C>({
    id: lowerCase(init.id) ?? context.ids(),
    sender,
    recipients: 'topic' in destination ? [] : [...new Set(destination.recipients)],
    topic,
    contentType: init.contentType ?? defaultContentType(content),
    content,
    metadata: readMetadata(init.metadata, limits),
    parentId: lowerCase(init.parentId),
    timestamp: init.timestamp ?? Math.floor(now),
    ttl: init.ttl ?? DEFAULT_TTL,
    tracePath: [sender],
    guarantee: validateGuarantee(init.guarantee ?? 'at-most-once'),
    priority: init.priority ?? 0,
    schema: init.schema,
    security,
  })
  validateMessage(message, limits, now)
  return message
}

function readMetadata(metadata: MessageInit['metadata'] = {}, limits: Limits): Readonly<Record<string, Json>> {
  return reading(
    'metadata',
    'INVALID_METADATA',
    () => copyJson(validateMetadata(metadata, limits)) as Readonly<Record<string, Json>>,
  )
}

/** UUIDs are the same in either case (RFC 9562 §4); what is no string is left to the validator. */
const lowerCase = (uuid: string | undefined): string | undefined =>
  typeof uuid === 'string' ? uuid.toLowerCase() : uuid
