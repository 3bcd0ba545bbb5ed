/** What a message has to be at both ends: limits, checks of each field, the application's own hooks. */

import { utf8 } from '../common/bytes.ts'
import { COUNT, checkOptions, isObject, type OptionChecks } from '../common/check-options.ts'
import { AfpError, type AfpErrorCode, AfpMessageError } from '../common/errors.ts'
import { isUuid } from './ids.ts'
import { checkJson, isPlain } from './json-value.ts'
import { validateContentType } from './media-type.ts'
import { GUARANTEES, type Guarantee, type Json, type Message, type MessageFields } from './message.ts'

/** Bounds on what an agent sends and accepts. Peers whose limits differ refuse what is beyond their own. */
export interface Limits {
  /**
   * Largest frame on a connection, bytes. What is too large for its recipient is a dead letter at once, with the reason
   * `too-large`. At least 65,536: what delivery says beside messages needs room too. Default 1 MiB.
   */
  readonly frameBytes: number
  /**
   * Largest encoded message, bytes. With its padding, an eighth at most, its seal and its recipients it has to fit a
   * frame: 9 / 8 of it, 1,024 and 64 for each of `recipients` are not above `frameBytes`. Nothing else bounds how many
   * values JSON in it has. Default 256 KiB.
   */
  readonly messageBytes: number
  /** Largest metadata, bytes of JSON. Default 16 KiB. */
  readonly metadataBytes: number
  /** Most keys in metadata, nested ones included. Default 1,024. */
  readonly metadataKeys: number
  /** Most recipients of one message, at most 64. Default 64. */
  readonly recipients: number
  /** How far a sender's clock may be ahead of this one, seconds. Default 120. */
  readonly clockSkew: number
  /** Longest pattern in a filter, characters. Default 256. */
  readonly patternLength: number
  /** Most messages that wait for `receive`, or for the reader of a subscription. Default 1,024. */
  readonly queue: number
  /**
   * Most bytes, as they travel, that wait: for `receive`, for the reader of a subscription, or for one peer that reads
   * slowly. One message may always wait, however large. Default 16 MiB.
   */
  readonly queuedBytes: number
  /** Most subscriptions of one agent. Default 1,024. */
  readonly subscriptions: number
  /** Most topics that one agent's subscriptions name. Default 256. */
  readonly topics: number
}

/** The defaults of {@link Limits}. */
export const DEFAULT_LIMITS: Limits = Object.freeze({
  frameBytes: 2 ** 20,
  messageBytes: 2 ** 18,
  metadataBytes: 2 ** 14,
  metadataKeys: 1024,
  recipients: 64,
  clockSkew: 120,
  patternLength: 256,
  queue: 1024,
  queuedBytes: 2 ** 24,
  subscriptions: 1024,
  topics: 256,
})

/** The most that {@link Limits.recipients} can be: so many share one sealed content. */
export const MAX_RECIPIENTS = 64

const LIMIT_CHECKS: OptionChecks = {
  ...Object.fromEntries(Object.keys(DEFAULT_LIMITS).map(name => [name, COUNT])),
  recipients: [
    `a positive integer up to ${MAX_RECIPIENTS}`,
    value => COUNT[1](value) && (value as number) <= MAX_RECIPIENTS,
  ],
}

/** For messages of this agent's own disk: they were within the limits of the day they came, whatever these are today. */
export const KEPT_LIMITS: Limits = Object.freeze({
  ...DEFAULT_LIMITS,
  messageBytes: Number.MAX_SAFE_INTEGER,
  metadataBytes: Number.MAX_SAFE_INTEGER,
  metadataKeys: Number.MAX_SAFE_INTEGER,
  recipients: MAX_RECIPIENTS,
})

/** The least that `frameBytes` can be: what agents say to each other beside messages is never larger. */
export const LEAST_FRAME_BYTES = 2 ** 16

/** Most agents on a trace path. */
export const MAX_TRACE_PATH = 64

/** Longest id of an agent, schema or subscription, characters. */
export const MAX_ID_LENGTH = 128

/** Longest time to live: 30 days, in seconds. */
export const MAX_TTL = 30 * 24 * 3600

/** What a frame has beside a message and its padding: header, seal, and the name of each of several recipients, padded. */
const ENVELOPE_BYTES = 1_024
const RECIPIENT_BYTES = 64

/**
 * {@link DEFAULT_LIMITS} with some of them replaced.
 * @throws AfpError INVALID_OPTION for an unknown key or a value that is no positive safe integer, for frames below
 *   {@link LEAST_FRAME_BYTES}, and for messages that would not fit a frame
 */
export function resolveLimits(partial: Partial<Limits> = {}): Limits {
  checkOptions('limits', partial, LIMIT_CHECKS)
  const given = Object.entries(partial).filter(([, value]) => value !== undefined)
  const limits: Limits = Object.freeze({ ...DEFAULT_LIMITS, ...Object.fromEntries(given) })
  const { messageBytes, frameBytes, recipients } = limits
  if (frameBytes < LEAST_FRAME_BYTES) {
    throw new AfpError(
      'INVALID_OPTION',
      `limits.frameBytes is ${frameBytes}; it has to be at least ${LEAST_FRAME_BYTES}`,
    )
  }
  const needed = Math.ceil((messageBytes * 9) / 8) + ENVELOPE_BYTES + recipients * RECIPIENT_BYTES
  if (needed > frameBytes) {
    const why = `limits.frameBytes is ${frameBytes}; a message of limits.messageBytes, ${messageBytes}, may need ${needed}`
    throw new AfpError('INVALID_OPTION', why)
  }
  return limits
}

/**
 * The application's own checks. One that throws or rejects refuses the message; what it returns says nothing, beyond that
 * a promise, or anything else with a `then`, is waited for.
 */
export interface Hooks {
  /**
   * Sees every message before it leaves; the sender gets the refusal as `HOOK_REFUSED`. What is sent to one recipient, or
   * published on one topic, leaves in the order of the calls: what the hook itself sends to where its message goes leaves
   * after that, so do not await it in the hook, which would wait for itself. One that is not done within the agent's
   * `handlerTimeout` has failed: `TIMEOUT`, and nothing of its message leaves.
   */
  beforeSend?: ((message: Message) => void | PromiseLike<void>) | undefined
  /** Sees every message before a handler or subscription does; a refused one is dropped with an event. */
  afterReceive?: ((message: Message) => void | PromiseLike<void>) | undefined
}

/** Runs a hook if there is one. @throws AfpMessageError HOOK_REFUSED, its cause what the hook threw */
export function runHook(hook: Hooks[keyof Hooks], message: Message): void | Promise<void> {
  const refused = (cause: unknown): never => {
    throw new AfpMessageError('HOOK_REFUSED', 'a hook refused the message', { cause, messageId: message.id })
  }
  try {
    const result: unknown = hook?.(message)
    if (isThenable(result)) return Promise.resolve(result).then(() => {}, refused)
  } catch (cause) {
    refused(cause)
  }
}

/** Whether `await` would wait for a value: promises of other realms and libraries are no instances of this `Promise`. */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as { then?: unknown } | null | undefined)?.then === 'function'

function invalid(code: AfpErrorCode, why: string): AfpMessageError {
  return new AfpMessageError(code, why)
}

/** @throws AfpMessageError INVALID_PRIORITY unless it is an integer from 0 to 9 */
export function validatePriority(value: unknown): number {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 9) return value as number
  throw invalid('INVALID_PRIORITY', 'the priority has to be an integer from 0 to 9')
}

/** @throws AfpMessageError INVALID_TTL unless it is a number of seconds above 0 and not above 30 days */
export function validateTtl(value: unknown): number {
  if (typeof value === 'number' && value > 0 && value <= MAX_TTL) return value
  throw invalid('INVALID_TTL', `the ttl has to be in seconds, 0 < ttl <= ${MAX_TTL}`)
}

const CONTROL = /\p{Cc}/u

/** The longest name of a topic within its mesh, in UTF-16 units. */
export const MAX_TOPIC_LENGTH = 128

/** Whether a value can be the name of a topic, the protocol's own included. */
export const isTopicName = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length > 0 &&
  value.length <= MAX_TOPIC_LENGTH &&
  value.isWellFormed() &&
  value === value.normalize('NFC') &&
  !CONTROL.test(value)

/**
 * @throws AfpMessageError INVALID_TOPIC unless it has 1 to 128 characters in Unicode normal form C, no control
 * characters, no leading `$` (kept for the protocol), and is not `*`
 */
export function validateTopic(value: unknown): string {
  if (isTopicName(value) && value[0] !== '$' && value !== '*') return value
  throw invalid(
    'INVALID_TOPIC',
    "a topic has 1 to 128 characters in normal form C, no control characters, no leading '$', and is not '*'",
  )
}

/** @throws AfpError INVALID_OPTION for an unknown one; `best-effort` becomes `at-most-once` */
export function validateGuarantee(value: unknown): Guarantee {
  const guarantee = GUARANTEES.find(known => known === value || (value === 'best-effort' && known === 'at-most-once'))
  if (guarantee !== undefined) return guarantee
  throw new AfpError('INVALID_OPTION', `the guarantee has to be one of ${GUARANTEES.join(', ')}`)
}

/** @throws AfpMessageError INVALID_METADATA unless it is a plain object of JSON within the limits */
export function validateMetadata(value: unknown, limits: Limits): Readonly<Record<string, Json>> {
  if (!isObject(value) || !isPlain(value)) {
    throw invalid('INVALID_METADATA', 'metadata has to be a plain object')
  }
  const metadata = value as Readonly<Record<string, Json>>
  if (Object.keys(metadata).length === 0) return metadata
  const { metadataKeys, metadataBytes } = limits
  try {
    if (checkJson(metadata, 'metadata', 'INVALID_METADATA', metadataBytes) > metadataKeys) {
      throw invalid('INVALID_METADATA', `metadata has more than ${metadataKeys} keys`)
    }
    if (utf8(JSON.stringify(metadata)).length <= metadataBytes) return metadata
  } catch (error) {
    if (!(error instanceof AfpMessageError) || error.code !== 'MESSAGE_TOO_LARGE') throw error
  }
  throw invalid('INVALID_METADATA', `metadata has more than ${metadataBytes} bytes`)
}

/** Whether a value can be an id of an agent, schema or subscription: 1 to 128 characters. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_ID_LENGTH && value.isWellFormed()
}

/**
 * Checks the type and bounds of every field but the content, which is checked where it enters: `toContent` when it is
 * sent, the codec when it is received.
 * @throws AfpMessageError INVALID_MESSAGE, INVALID_TOPIC, INVALID_CONTENT_TYPE, INVALID_METADATA, INVALID_TTL,
 * INVALID_PRIORITY
 */
export function validateFields(fields: MessageFields, limits: Limits): void {
  const hold = (holds: boolean, field: string, wanted: string): void => {
    if (!holds) throw invalid('INVALID_MESSAGE', `${field} has to be ${wanted}`)
  }
  const { recipients, topic, parentId, tracePath, timestamp } = fields
  hold(isUuid(fields.id), 'the id', 'a UUID')
  hold(isId(fields.sender), 'the sender', 'an agent id')
  hold(Array.isArray(recipients) && recipients.every(isId), 'recipients', 'agent ids')
  hold(recipients.length <= limits.recipients, 'recipients', `at most ${limits.recipients}`)
  hold(new Set(recipients).size === recipients.length, 'each recipient', 'named once')
  hold(recipients.length === 1 || !recipients.includes('*'), "'*'", 'the only recipient')
  hold((topic === undefined) === recipients.length > 0, 'a message', 'for recipients or for a topic')
  if (topic !== undefined) validateTopic(topic)
  validateContentType(fields.contentType)
  validateMetadata(fields.metadata, limits)
  hold(parentId === undefined || isUuid(parentId), 'the parentId', 'a UUID')
  hold(Number.isSafeInteger(timestamp) && timestamp >= 0, 'the timestamp', 'ms since 1970')
  validateTtl(fields.ttl)
  hold(Array.isArray(tracePath) && tracePath.every(isId), 'the trace path', 'agent ids')
  hold(tracePath.length <= MAX_TRACE_PATH, 'the trace path', `at most ${MAX_TRACE_PATH}`)
  hold(GUARANTEES.includes(fields.guarantee), 'the guarantee', 'a known one')
  validatePriority(fields.priority)
  hold(fields.schema === undefined || isId(fields.schema), 'the schema', 'an id')
}

/**
 * Checks a message against this agent's clock.
 * @param now - ms since 1970
 * @throws AfpMessageError MESSAGE_EXPIRED; INVALID_MESSAGE with `details.reason` `clock-skew` when it is from the future
 */
export function validateTime(message: Message, limits: Limits, now: number): void {
  if (message.isExpired(now)) {
    throw new AfpMessageError('MESSAGE_EXPIRED', 'the time to live is over', { messageId: message.id })
  }
  const ahead = Math.ceil(message.timestamp - now) / 1_000
  if (ahead > limits.clockSkew) {
    const why = `made ${ahead} s in the future, more than ${limits.clockSkew} s`
    throw new AfpMessageError('INVALID_MESSAGE', why, {
      messageId: message.id,
      details: { reason: 'clock-skew' },
    })
  }
}

/**
 * What both ends hold a message to: fields, size of its content as far as it can be told without encoding it (the exact
 * size is `encodeMessage`'s), expiry and clocks.
 * @throws AfpMessageError as {@link validateFields} and {@link validateTime}; MESSAGE_TOO_LARGE
 */
export function validateMessage(message: Message, limits: Limits, now: number): void {
  validateFields(message, limits)
  const { content } = message
  if ((typeof content === 'string' || content instanceof Uint8Array) && content.length > limits.messageBytes) {
    throw new AfpMessageError('MESSAGE_TOO_LARGE', `the content is larger than ${limits.messageBytes} bytes`, {
      messageId: message.id,
    })
  }
  validateTime(message, limits, now)
}
