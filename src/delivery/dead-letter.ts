/** One dead letter: what it holds, and how it is stored. */

import { checkNames, checkOption, isObject, type OptionCheck } from '../common/check-options.ts'
import { type Clock, systemClock } from '../common/clock.ts'
import { AfpDataStoreError, AfpError } from '../common/errors.ts'
import { type Random, systemRandom } from '../common/random.ts'
import { BOUNDS } from '../message/bounds.ts'
import { buildMessage, type MessageInit } from '../message/build.ts'
import { decode, encode } from '../message/codec.ts'
import { decodeMessage, encodeMessage, type MessageKind } from '../message/envelope.ts'
import type { Failure } from '../message/failure.ts'
import { bytesToUuid, createIds, uuidToBytes } from '../message/ids.ts'
import type { Content, Message, MessageSecurity, SecurityLevel } from '../message/message.ts'
import { DEFAULT_LIMITS, KEPT_LIMITS, type Limits } from '../message/validate.ts'
import type { Key, Write } from '../store/store.ts'
import {
  type RetryState,
  type RetryStrategy,
  retryStateFromWire,
  retryStateToWire,
  strategyFromWire,
  strategyToWire,
} from './retry.ts'
import { failure, flag, list, notOne, pick, text, whole } from './row-fields.ts'

/** Why a message died. Their order is their number in stores: new ones go to the end. */
export const DEAD_REASONS = [
  'expired',
  'attempts-exhausted',
  'rejected',
  'no-route',
  'no-key',
  'revoked',
  'undecryptable',
  'unauthorized',
  'schema-invalid',
  'too-large',
  'quota',
  'id-conflict',
  'handler-error',
  'not-kept',
] as const

/**
 * Why a message died. Some are reserved, and given by nothing here: `revoked`, for a recipient whose key was taken back;
 * `unauthorized`, for what its sender may not send; `schema-invalid`, for content that is not what its schema says;
 * `undecryptable` and `id-conflict`, for what comes and cannot be opened, or takes the place of another: for now that is
 * dropped and counted. A recipient of a later version may name each of them as why it refused a message.
 */
export type DeadReason = (typeof DEAD_REASONS)[number]

/**
 * `sender`: it could not be delivered; `recipient`: it came, and could not be handled. With its sender a reply or a failure
 * that expired is none where a copy had left for whoever waited for it: nobody does any more, and it may have come.
 */
export type LetterSide = 'sender' | 'recipient'
const SIDES: readonly LetterSide[] = ['sender', 'recipient']

/** What somebody wrote on a letter. */
export interface LetterNote {
  /** ms since 1970. */
  readonly at: number
  readonly text: string
}

/** A message that died, as it is handed in. */
export interface NewDeadLetter {
  readonly side: LetterSide
  /** Agent id of the other side: on the sender's side the recipient, on the recipient's the sender. */
  readonly peer: string
  readonly reason: DeadReason
  /** The message in bytes: those of another letter, or made by {@link letterBytes}. */
  readonly message: Uint8Array
  /** Id of the message, if it could be read. `deadLetters.add` reads it from the message, and takes no other. */
  readonly messageId?: string | undefined
  /** Agent id of the proved sender; the message's bytes do not say it. */
  readonly sender: string
  /** The topic it came over; the bytes do not say that either. */
  readonly topic?: string | undefined
  /** How it was protected when it came. Default: nothing proved. */
  readonly security?: MessageSecurity | undefined
  /** Tries that were made to deliver or handle it. */
  readonly attempts: number
  /** What the last try failed with; cut to 64 and 1,024 characters. */
  readonly lastError?: Failure | undefined
  /** Bytes have left and the recipient has not said what became of them. */
  readonly inDoubt?: boolean | undefined
  /** How delivery tries the message, if it was sent with a strategy of its own. */
  readonly strategy?: RetryStrategy | undefined
}

/** A message that died. */
export interface DeadLetter extends NewDeadLetter {
  /** UUIDv7; orders letters by their time. */
  readonly id: string
  readonly messageId: string | undefined
  readonly topic: string | undefined
  readonly security: MessageSecurity
  readonly lastError: Failure | undefined
  readonly inDoubt: boolean
  readonly strategy: RetryStrategy | undefined
  /** ms since 1970. */
  readonly createdAt: number
  /** Whether somebody, or a retry, has dealt with it. */
  readonly processed: boolean
  /** ms since 1970. */
  readonly processedAt: number | undefined
  readonly notes: readonly LetterNote[]
  /** Where automatic retries stand; undefined when there are none, or none left. */
  readonly retry: RetryState | undefined
}

/** A letter without its message, and how many bytes that has. */
export interface LetterEntry extends Omit<DeadLetter, 'message'> {
  readonly messageBytes: number
}

/** The most characters of a note. */
export const MAX_NOTE_LENGTH = 1_024
/** The most notes of a letter. */
export const MAX_NOTES = 100
const MAX_CODE_LENGTH = 64
const MAX_ERROR_LENGTH = 1_024

const TABLE = 'dead-letters'
const LEVELS: Readonly<Record<SecurityLevel, true>> = { none: true, low: true, medium: true, high: true }
const AUTHENTICATED_BY: Readonly<Record<MessageSecurity['authenticatedBy'], true>> = {
  connection: true,
  signature: true,
  none: true,
}
const NOT_RECEIVED: MessageSecurity = { level: 'none', authenticatedBy: 'none', roles: [] }

/** Keys of a letter's two rows. They are apart so that looking through letters does not read their messages. */
export const entryKey = (id: string): Key => ['entry', id]
/** See {@link entryKey}. */
export const messageKey = (id: string): Key => ['message', id]

/** The entry of a new letter. */
export function newEntry(
  letter: NewDeadLetter,
  made: { id: string; createdAt: number; retry: RetryState | undefined },
): LetterEntry {
  const { message, ...fields } = letter
  return {
    ...fields,
    id: made.id,
    messageId: letter.messageId,
    topic: letter.topic,
    security: letter.security ?? NOT_RECEIVED,
    lastError: letter.lastError && cutFailure(letter.lastError),
    inDoubt: letter.inDoubt ?? false,
    strategy: letter.strategy,
    createdAt: made.createdAt,
    processed: false,
    processedAt: undefined,
    notes: [],
    retry: made.retry,
    messageBytes: message.length,
  }
}

/** A letter out of its entry and its message. */
export const letterOf = ({ messageBytes, ...entry }: LetterEntry, message: Uint8Array): DeadLetter => ({
  ...entry,
  message,
})

/** The entry of a letter. */
export const entryOf = ({ message, ...letter }: DeadLetter): LetterEntry => ({
  ...letter,
  messageBytes: message.length,
})

/** The entry of a letter once it is dealt with. */
export function processedEntry(letter: DeadLetter, now: number, note: string | undefined): LetterEntry {
  return {
    ...entryOf(letter),
    processed: true,
    processedAt: letter.processedAt ?? now,
    notes: note === undefined ? letter.notes : [...letter.notes, { at: now, text: note }],
    retry: undefined,
  }
}

/** A failure short enough to be kept. */
export const cutFailure = ({ code, message }: Failure): Failure => ({
  code: code.slice(0, MAX_CODE_LENGTH).toWellFormed(),
  message: message.slice(0, MAX_ERROR_LENGTH).toWellFormed(),
})

/** The write that stores an entry. */
export const putEntry = (entry: LetterEntry): Extract<Write, { op: 'put' }> => ({
  op: 'put',
  table: TABLE,
  key: entryKey(entry.id),
  value: encode([
    SIDES.indexOf(entry.side),
    entry.peer,
    DEAD_REASONS.indexOf(entry.reason),
    entry.messageId === undefined ? null : uuidToBytes(entry.messageId),
    entry.sender,
    entry.topic ?? null,
    [entry.security.level, entry.security.authenticatedBy, entry.security.roles],
    entry.attempts,
    entry.lastError === undefined ? null : [entry.lastError.code, entry.lastError.message],
    entry.inDoubt,
    entry.createdAt,
    entry.processedAt ?? null,
    entry.notes.map(({ at, text }) => [at, text]),
    entry.retry === undefined ? null : retryStateToWire(entry.retry),
    entry.messageBytes,
    entry.strategy === undefined ? null : strategyToWire(entry.strategy),
  ]),
})

/** The write that stores a letter's message. */
export const putMessage = (id: string, message: Uint8Array): Write => ({
  op: 'put',
  table: TABLE,
  key: messageKey(id),
  value: message,
})

/** The writes that delete a letter. */
export const deleteLetter = (id: string): Write[] => [
  { op: 'delete', table: TABLE, key: entryKey(id) },
  { op: 'delete', table: TABLE, key: messageKey(id) },
]

/**
 * The entry in a stored row.
 * @throws AfpDataStoreError STORE_FAILED when the row is damaged
 */
export function readEntry(id: string, value: Uint8Array): LetterEntry {
  try {
    const fields = list(decode(value, BOUNDS.own), 16)
    const [side, peer, reason, messageId, sender, topic, security, attempts] = fields
    const [lastError, inDoubt, createdAt, processedAt, notes, retry, messageBytes, strategy] = fields.slice(8)
    return {
      id,
      side: pick(SIDES, side),
      peer: text(peer),
      reason: pick(DEAD_REASONS, reason),
      messageId: messageId === null ? undefined : bytesToUuid(messageId as Uint8Array),
      sender: text(sender),
      topic: topic === null ? undefined : text(topic),
      security: readSecurity(list(security, 3)),
      attempts: whole(attempts),
      lastError: lastError === null ? undefined : failure(lastError),
      inDoubt: flag(inDoubt),
      createdAt: whole(createdAt),
      processed: processedAt !== null,
      processedAt: processedAt === null ? undefined : whole(processedAt),
      notes: list(notes).map(note => {
        const [at, words] = list(note, 2)
        return { at: whole(at), text: text(words) }
      }),
      retry: retry === null ? undefined : retryStateFromWire(retry),
      messageBytes: whole(messageBytes),
      strategy: strategy === null ? undefined : strategyFromWire(strategy),
    }
  } catch (cause) {
    throw new AfpDataStoreError('STORE_FAILED', `the dead letter ${id} in the store is damaged`, {
      reference: id,
      cause,
    })
  }
}

/** @throws AfpError INVALID_OPTION for a letter that could not be read again: at the next start it would be in the way */
export function checkNewLetter(letter: NewDeadLetter): void {
  try {
    const entry = newEntry(letter, { id: '', createdAt: 0, retry: undefined })
    readEntry('', putEntry(entry).value)
  } catch (cause) {
    throw new AfpError('INVALID_OPTION', 'what was given is no dead letter', { cause })
  }
}

const READABLE: OptionCheck = [
  'a dead letter, with message, sender and security',
  letter =>
    isObject(letter) &&
    letter.message instanceof Uint8Array &&
    typeof letter.sender === 'string' &&
    isObject(letter.security),
]

/**
 * The message of a letter and what it was for.
 * @throws AfpMessageError MALFORMED when its bytes are no message within `limits`, as of one that could never be read;
 * AfpError INVALID_OPTION for what is no letter
 */
export function letterMessage(
  letter: Pick<DeadLetter, 'message' | 'sender' | 'security'> & Pick<NewDeadLetter, 'topic'>,
  limits: Limits = KEPT_LIMITS,
): { message: Message; kind: MessageKind } {
  checkOption('what letterMessage() reads', letter, READABLE)
  return messageOf(letter, limits)
}

/** As {@link letterMessage}, of what is known for a letter. */
export function messageOf(
  { message, sender, topic, security }: Parameters<typeof letterMessage>[0],
  limits: Limits,
): { message: Message; kind: MessageKind } {
  return decodeMessage(message, { sender, topic, security, limits })
}

/** What the message of a letter of the application's own says beside its content, see {@link letterBytes}. */
export interface LetterMessage extends MessageInit {
  /** Agent id of its author. */
  readonly sender: string
  /** Agent id of the one it is for. */
  readonly recipient: string
  /** Those of the agent, where they were given. */
  readonly limits?: Limits | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

const INIT = ['contentType', 'metadata', 'parentId', 'ttl', 'priority', 'schema', 'id', 'timestamp', 'guarantee']
const LETTER_MESSAGE = ['sender', 'recipient', ...INIT, 'limits', 'clock', 'random']

/**
 * The message of a letter of the application's own, in bytes, for `deadLetters.add`. It is sent at least once unless
 * `guarantee` says otherwise.
 * @throws AfpError INVALID_OPTION for an option that there is not; AfpMessageError for content or options that cannot be sent
 */
export function letterBytes(content: Content, message: LetterMessage): Uint8Array {
  checkNames('letterBytes()', message, LETTER_MESSAGE)
  const { sender, recipient, limits = DEFAULT_LIMITS, clock = systemClock, random = systemRandom, ...init } = message
  const context = { sender, clock, ids: createIds({ clock, random }), limits }
  const made = buildMessage({ recipients: [recipient] }, content, { guarantee: 'at-least-once', ...init }, context)
  return encodeMessage(made, 'message', limits)
}

function readSecurity([level, authenticatedBy, roles]: unknown[]): MessageSecurity {
  if (!Object.hasOwn(LEVELS, text(level)) || !Object.hasOwn(AUTHENTICATED_BY, text(authenticatedBy))) throw notOne()
  return { level, authenticatedBy, roles: list(roles).map(text) } as MessageSecurity
}
