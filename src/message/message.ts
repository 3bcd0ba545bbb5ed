/**
 * The message: what an application sends and gets. Fields as the source specification names them. A message is
 * immutable; its wire form is in `envelope.ts`, its limits in `validate.ts`.
 */

import { toBase64 } from './base64.ts'

/** What may happen to a message on its way. `best-effort` is accepted by every option as another name of `at-most-once`. */
export type Guarantee = 'at-most-once' | 'at-least-once' | 'exactly-once'

/** How well a message was protected, weakest first. See {@link MessageSecurity.level}. */
export type SecurityLevel = 'none' | 'low' | 'medium' | 'high'

/** A value that JSON (RFC 8259) can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/**
 * What a message carries. A string is text, a `Uint8Array` is binary (images, audio and video are bytes with their
 * MIME type), anything else is JSON.
 *
 * What is sent arrives equal, with these exceptions. Array buffers and all their views arrive as the `Uint8Array` of the
 * bytes they show: a `Float64Array` is bytes in the order of its machine, and its reader has to know so. The number -0
 * arrives as 0, as JSON writes it, and keys of objects that are whole numbers come first, as in every object. JSON is
 * copied when it is sent; bytes are not: leave them alone until `send` has resolved.
 *
 * The shape of JSON is declared as a `type`: TypeScript lets no `interface` pass for an object of any keys.
 */
export type Content = Json | Uint8Array

/** How a received message was protected and how its sender is known. Filled in by the receiver, never by the sender. */
export interface MessageSecurity {
  /**
   * `none`: nothing checked; `low`: the sender is proved by its connection or signature, and the mesh can read it;
   * `medium`: encrypted with the mesh's or topic's key; `high`: sealed to this recipient by an authenticated member.
   */
  readonly level: SecurityLevel
  /** What proves the sender: the connection it came over, its signature, or nothing (not received yet). */
  readonly authenticatedBy: 'connection' | 'signature' | 'none'
  /** Roles an authorizer found. */
  readonly roles: readonly string[]
}

/** The fields of a {@link Message}. */
export interface MessageFields<C extends Content = Content> {
  /** UUIDv7 (RFC 9562). */
  readonly id: string
  /** Agent id of the sender; on received messages the one that was proved. */
  readonly sender: string
  /** Agent ids, or `['*']` for a broadcast; empty for a topic's message. */
  readonly recipients: readonly string[]
  /** The topic it was published on. */
  readonly topic?: string | undefined
  /** MIME type, RFC 6838. */
  readonly contentType: string
  readonly content: C
  /** The application's own facts about the message. */
  readonly metadata: Readonly<Record<string, Json>>
  /** Id of the message this one answers. */
  readonly parentId?: string | undefined
  /** When it was made, ms since 1970, by the sender's clock. */
  readonly timestamp: number
  /** Time to live, seconds from `timestamp`. */
  readonly ttl: number
  /** Ids of the agents it passed through, the sender first. Not authenticated. */
  readonly tracePath: readonly string[]
  readonly guarantee: Guarantee
  /** 0 to 9, higher first. */
  readonly priority: number
  /** Id of a schema that both sides registered. */
  readonly schema?: string | undefined
  readonly security: MessageSecurity
}

/** A message as plain data for logs and tools: its fields, with bytes as base64 and marked so. */
export interface MessageJson extends Omit<MessageFields, 'content'> {
  readonly content: Json
  /** `base64` when `content` stands for bytes. */
  readonly contentEncoding?: 'base64' | undefined
}

/** Every guarantee, in the order of their numbers on the wire. */
export const GUARANTEES: readonly Guarantee[] = ['at-most-once', 'at-least-once', 'exactly-once']

/** Priority that acknowledgements travel with. */
export const ACK_PRIORITY = 9

/** Default time to live: one hour, in seconds. */
export const DEFAULT_TTL = 3600

/** A message. */
export class Message<C extends Content = Content> implements MessageFields<C> {
  declare readonly id: string
  declare readonly sender: string
  declare readonly recipients: readonly string[]
  declare readonly topic: string | undefined
  declare readonly contentType: string
  declare readonly content: C
  declare readonly metadata: Readonly<Record<string, Json>>
  declare readonly parentId: string | undefined
  declare readonly timestamp: number
  declare readonly ttl: number
  declare readonly tracePath: readonly string[]
  declare readonly guarantee: Guarantee
  declare readonly priority: number
  declare readonly schema: string | undefined
  declare readonly security: MessageSecurity

  constructor(fields: MessageFields<C>) {
    Object.assign(this, fields)
  }

  /** Whether it goes to everyone in the mesh. */
  get isBroadcast(): boolean {
    return this.recipients.length === 1 && this.recipients[0] === '*'
  }

  /** Whether its guarantee asks for an acknowledgement. */
  get requiresAck(): boolean {
    return this.guarantee !== 'at-most-once'
  }

  /** When it expires, ms since 1970. A whole number, however the ttl divides: envelopes say it too, and both have to agree. */
  get expiresAt(): number {
    return Math.floor(this.timestamp + this.ttl * 1000)
  }

  /** Whether its time is up at `now`, ms since 1970. */
  isExpired(now: number): boolean {
    return now > this.expiresAt
  }

  /** The message as plain data; `JSON.stringify` uses it. `fromJson` in `json.ts` is the way back. */
  toJSON(): MessageJson {
    const { content, ...fields } = this as MessageFields
    return content instanceof Uint8Array
      ? { ...fields, content: toBase64(content), contentEncoding: 'base64' }
      : { ...fields, content }
  }
}
