/** The JSON form of a message, for logs and tools. It proves nothing: who sends it may have written anything. */

import { AfpMessageError } from '../common/errors.ts'
import { fromBase64 } from './base64.ts'
import { NO_SECURITY } from './build.ts'
import { reading, toContent } from './content.ts'
import { isPlain, parseJson } from './json-value.ts'
import { type Content, Message, type MessageFields, type MessageJson, type MessageSecurity } from './message.ts'
import { DEFAULT_LIMITS, isId, type Limits, validateFields } from './validate.ts'

/** Options of {@link fromJson} and {@link fromDictionary}. */
export interface FromJsonOptions {
  /** Default: {@link DEFAULT_LIMITS}. */
  readonly limits?: Limits
  /**
   * The text is this program's own, so its `security` is to be believed. Default false: the message comes back as one of
   * which nothing is proved.
   */
  readonly trusted?: boolean
}

/**
 * The message as plain data. Bytes are base64, marked by `contentEncoding`.
 * @throws AfpMessageError INVALID_CONTENT for what is no message
 */
export const toDictionary = (message: Message): MessageJson => written(() => message.toJSON())

/**
 * The message as JSON text.
 * @throws AfpMessageError INVALID_CONTENT for one with something in it that JSON does not have, as one that you made yourself
 */
export const toJson = (message: Message): string => written(() => JSON.stringify(message))

const written = <T>(write: () => T): T => reading('the message', 'INVALID_CONTENT', write)

/**
 * The message that {@link toJson} wrote. Nothing is added to its trace path.
 * @throws AfpMessageError MALFORMED for text that is no JSON; INVALID_MESSAGE and others as `validateFields`
 */
export function fromJson(text: string, options?: FromJsonOptions): Message {
  return fromDictionary(parseJson(text), options)
}

/**
 * The message that {@link toDictionary} gave.
 * @throws AfpMessageError INVALID_MESSAGE and others as `validateFields`
 */
export function fromDictionary(value: unknown, options: FromJsonOptions = {}): Message {
  const { limits = DEFAULT_LIMITS, trusted = false } = options
  if (typeof value !== 'object' || value === null || !isPlain(value)) throw invalid('a message is a JSON object')
  const fields = value as Partial<MessageJson>
  const message = new Message({
    id: fields.id,
    sender: fields.sender,
    recipients: fields.recipients,
    topic: fields.topic,
    contentType: fields.contentType,
    content: readContent(fields, limits),
    metadata: fields.metadata,
    parentId: fields.parentId,
    timestamp: fields.timestamp,
    ttl: fields.ttl,
    tracePath: fields.tracePath,
    guarantee: fields.guarantee,
    priority: fields.priority,
    schema: fields.schema,
    security: trusted ? readSecurity(fields.security) : NO_SECURITY,
  } as MessageFields)
  validateFields(message, limits)
  return message
}

function invalid(why: string): AfpMessageError {
  return new AfpMessageError('INVALID_MESSAGE', why)
}

function readContent(fields: Partial<MessageJson>, limits: Limits): Content {
  if (fields.contentEncoding === undefined) return toContent(fields.content, limits.messageBytes)
  const bytes =
    fields.contentEncoding === 'base64' && typeof fields.content === 'string' ? fromBase64(fields.content) : undefined
  if (bytes === undefined) throw invalid('the content is not what its encoding says')
  return bytes
}

function readSecurity(value: unknown): MessageSecurity {
  const { level, authenticatedBy, roles } = (value ?? {}) as Partial<MessageSecurity>
  if (
    !['none', 'low', 'medium', 'high'].includes(level as string) ||
    !['connection', 'signature', 'none'].includes(authenticatedBy as string) ||
    !Array.isArray(roles) ||
    !roles.every(isId)
  ) {
    throw invalid('the security is not one of a message')
  }
  return { level, authenticatedBy, roles } as MessageSecurity
}
