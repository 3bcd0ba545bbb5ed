/**
 * Rows of delivery as they are stored: CBOR arrays, read strictly, since a store can be damaged or be another version's.
 *
 * | table | key | holds |
 * |---|---|---|
 * | outbox | [recipient, epoch, number] | the sealed envelope, final from the first attempt on |
 * | outbox | [recipient, '', seq] | a message that waits for its recipient's card |
 * | outbox | [recipient, epoch, number] | of one that has its end: what a dead letter keeps, as long as that finds no room |
 * | epochs | ['out', recipient, epoch] | the opening, for a recipient that lost it |
 * | epochs | ['in', author, epoch] | the feed's key and what is settled; of an epoch that is over, its end |
 * | inbox | [author, epoch, number] | a delivered message that is not processed yet, or whose dead letter finds no room |
 */

import { AfpDataStoreError } from '../common/errors.ts'
import { isNumber, RangeSet, type SettledEpoch } from '../feed/index.ts'
import { BOUNDS } from '../message/bounds.ts'
import { decode, encode } from '../message/codec.ts'
import type { MessageKind } from '../message/envelope.ts'
import { bytesToUuid, uuidToBytes } from '../message/ids.ts'
import type { Guarantee } from '../message/message.ts'
import { KEY_BYTES } from '../security/primitives.ts'
import type { Key, Row, Write } from '../store/store.ts'
import {
  type RetryState,
  type RetryStrategy,
  retryStateFromWire,
  retryStateToWire,
  strategyFromWire,
  strategyToWire,
} from './retry.ts'
import { bytes, list, notOne, pick, text, time, whole } from './row-fields.ts'

const KINDS: readonly MessageKind[] = ['message', 'request', 'reply', 'failure']
const GUARANTEES: readonly Guarantee[] = ['at-most-once', 'at-least-once', 'exactly-once']

/** A message on its way to one recipient. */
export interface OutboxRow {
  readonly messageId: string
  readonly guarantee: Guarantee
  readonly priority: number
  /** When it ends, ms since 1970. */
  readonly expiresAt: number
  /** When `send` took it, ms since 1970. */
  readonly createdAt: number
  /** As it was when the row was made: where its tries stand now is in its receipt, see `tries.ts`. */
  readonly retry: RetryState
  /** Undefined: the agent's default. */
  readonly strategy: RetryStrategy | undefined
  /** The position is given up and waits for the recipient's word on it. */
  readonly fence: Emptied | undefined
  /** Nobody waits for its reply after a restart, see `Draft.asks`. */
  readonly asks?: boolean | undefined
  /** Its recipient waits for it, see `Draft.awaited`. */
  readonly awaited?: boolean | undefined
  /** See `Draft.lettered`. */
  readonly lettered?: number | undefined
  /** It has its end, and the row is there for its dead letter alone. */
  readonly owes?: OutboxOwes | undefined
  /** The whole envelope frame, or of a row without an epoch, or that owes, the encoded message; empty behind a fence. */
  readonly frame: Uint8Array
}

/** All of a row but its bytes. */
export type OutboxHead = Omit<OutboxRow, 'frame'>

/** What a row keeps of a message whose bytes are not needed any more. */
export const NO_BYTES = new Uint8Array(0)

/** How a message ended whose dead letter has found no room, see `Fate`. */
export type OutboxOwes = readonly [status: 'refused' | 'expired' | 'dead', reason: string, attempts: number]

/** Why a position was given up by its author. */
export type FenceReason = 'expired' | 'attempts-exhausted' | 'cancelled' | 'lost-key' | 'too-large'
/** Why a row has no bytes: its position was given up, or the recipient has it and its end is not known yet. */
export type Emptied = FenceReason | 'delivered'
const FENCES: readonly (Emptied | undefined)[] = [
  undefined,
  'expired',
  'attempts-exhausted',
  'cancelled',
  'lost-key',
  'delivered',
  'too-large',
  // As earlier versions wrote it of replies.
  'expired',
]

/** A delivered message whose handler is not done. */
export interface InboxRow {
  readonly kind: MessageKind
  readonly prev: number
  readonly priority: number
  readonly receivedAt: number
  readonly retry: RetryState
  /** It is refused, its author is told of that, and the row is there for its dead letter alone. */
  readonly owes?: InboxOwes | undefined
  /** The message as `message/envelope.ts` encodes it. */
  readonly message: Uint8Array
}

/** Why a message was refused whose dead letter has found no room, and what its handler failed with. */
export type InboxOwes = readonly [reason: 'expired'] | readonly [reason: 'handler-error', code: string, message: string]

/** An epoch of an author towards this agent. */
export interface EpochRow {
  readonly key: Uint8Array
  /** When the key ends, ms since 1970. */
  readonly notAfter: number
  readonly earlier: readonly string[]
  /** `ReaderFeed.snapshot()`. */
  readonly snapshot: unknown
}

export const outboxKey = (recipient: string, epoch: string, number: number): Key => [recipient, epoch, number]
export const inboxKey = (author: string, epoch: string, number: number): Key => [author, epoch, number]
export const epochKey = (side: 'in' | 'out', peer: string, epoch: string): Key => [side, peer, epoch]

export const putOutbox = (key: Key, row: OutboxRow): Write => ({
  op: 'put',
  table: 'outbox',
  key,
  value: encode([
    uuidToBytes(row.messageId),
    GUARANTEES.indexOf(row.guarantee),
    row.priority,
    row.expiresAt,
    row.createdAt,
    retryStateToWire(row.retry),
    row.strategy === undefined ? null : strategyToWire(row.strategy),
    FENCES.indexOf(row.fence),
    row.frame,
    // Whether it asks or is waited for, or how often it was tried before, and what it owes: rows of other messages, and of
    // earlier versions, have none. What comes out of a letter neither asks nor is waited for.
    ...(row.owes
      ? [row.lettered ?? null, row.owes]
      : row.asks
        ? [true]
        : row.awaited
          ? [false]
          : row.lettered
            ? [row.lettered]
            : []),
  ]),
})

/** @throws AfpDataStoreError STORE_FAILED, or what `row-fields.ts` throws, for a row that is damaged */
export function readOutbox({ key, value }: Row): { recipient: string; epoch: string; number: number; row: OutboxRow } {
  const all = readAny('outbox', value)
  const fields = all.length === 10 || all.length === 11 ? all : held('outbox', all, 9)
  const [id, guarantee, priority, expiresAt, createdAt, retry, strategy, fence, frame, asked, owes] = fields
  return {
    recipient: text(key[0]),
    epoch: text(key[1]),
    number: numberIn(key),
    row: {
      messageId: bytesToUuid(bytes(id)),
      guarantee: pick(GUARANTEES, guarantee),
      priority: whole(priority),
      expiresAt: time(expiresAt),
      createdAt: time(createdAt),
      retry: retryStateFromWire(retry),
      strategy: strategy === null ? undefined : strategyFromWire(strategy),
      fence: FENCES[whole(fence, FENCES.length - 1)],
      asks: asked === true,
      awaited: asked === false,
      lettered: typeof asked === 'number' ? asked : undefined,
      owes: owes as OutboxOwes | undefined,
      frame: bytes(frame),
    },
  }
}

export const putInbox = (key: Key, row: InboxRow): Write => ({
  op: 'put',
  table: 'inbox',
  key,
  value: encode([
    KINDS.indexOf(row.kind),
    row.prev,
    row.priority,
    row.receivedAt,
    retryStateToWire(row.retry),
    row.message,
    // Rows of what is not refused, and all of earlier versions, have none.
    ...(row.owes ? [row.owes] : []),
  ]),
})

/** @throws AfpDataStoreError STORE_FAILED, or what `row-fields.ts` throws, for a row that is damaged */
export function readInbox({ key, value }: Row): { author: string; epoch: string; number: number; row: InboxRow } {
  const all = readAny('inbox', value)
  const [kind, prev, priority, receivedAt, retry, message, owes] = all.length === 7 ? all : held('inbox', all, 6)
  return {
    author: text(key[0]),
    epoch: text(key[1]),
    number: numberIn(key),
    row: {
      kind: pick(KINDS, kind),
      prev: whole(prev),
      priority: whole(priority),
      receivedAt: time(receivedAt),
      retry: retryStateFromWire(retry),
      owes: owes === undefined ? undefined : readOwes(owes),
      message: bytes(message),
    },
  }
}

function readOwes(value: unknown): InboxOwes {
  const [reason, code, message] = list(value)
  if (reason === 'expired') return [reason]
  if (reason === 'handler-error') return [reason, text(code), text(message)]
  throw notOne()
}

export const putEpoch = (author: string, epoch: string, row: EpochRow): Write => ({
  op: 'put',
  table: 'epochs',
  key: epochKey('in', author, epoch),
  value: encode([row.key, row.notAfter, [...row.earlier], row.snapshot]),
})

/** An epoch that is open, or what is left of one. @throws AfpDataStoreError STORE_FAILED for a row that is damaged */
export function readEpoch({ key, value }: Row): { author: string; epoch: string; row: EpochRow | SettledEpoch } {
  const fields = readAny('epochs', value)
  const author = text(key[1])
  const epoch = text(key[2])
  if (fields.length < 4) return { author, epoch, row: readSettled(epoch, fields) }
  const [feedKey, notAfter, earlier, snapshot] = held('epochs', fields, 4)
  const names = list(earlier).map(text)
  return { author, epoch, row: { key: bytes(feedKey, KEY_BYTES), notAfter: time(notAfter), earlier: names, snapshot } }
}

/** What is left of an epoch that is over, in the place of its own row: its key is gone with it. */
export const putSettled = (author: string, { epoch, floor, at, unhandled }: SettledEpoch): Write => ({
  op: 'put',
  table: 'epochs',
  key: epochKey('in', author, epoch),
  value: encode(unhandled === undefined ? [floor, at] : [floor, at, unhandled]),
})

function readSettled(epoch: string, fields: unknown[]): SettledEpoch {
  const [floor, at] = held('epochs', fields, fields.length === 3 ? 3 : 2)
  const unhandled = fields[2]
  const end = { epoch, floor: whole(floor), at: time(at) }
  return unhandled === undefined ? end : { ...end, unhandled: RangeSet.fromWire(unhandled).toWire() }
}

/** The opening of an epoch of one's own, with its key: what ends undelivered has to be read again. */
export interface OpeningRow {
  readonly packet: Uint8Array
  readonly keyBytes: Uint8Array
  readonly notAfter: number
}

export const putOpening = (recipient: string, epoch: string, row: OpeningRow): Write => ({
  op: 'put',
  table: 'epochs',
  key: epochKey('out', recipient, epoch),
  value: encode([row.packet, row.keyBytes, row.notAfter]),
})

/** @throws AfpDataStoreError STORE_FAILED, or what `row-fields.ts` throws, for a row that is damaged */
export function readOpeningRow({ key, value }: Row): { recipient: string; epoch: string; row: OpeningRow } {
  const [packet, keyBytes, notAfter] = read('epochs', value, 3)
  return {
    recipient: text(key[1]),
    epoch: text(key[2]),
    row: { packet: bytes(packet), keyBytes: bytes(keyBytes, KEY_BYTES), notAfter: time(notAfter) },
  }
}

/** The number of a message in the key of its row; the first one is 1. @throws TypeError */
function numberIn([, , number]: Key): number {
  if (isNumber(number) && number > 0) return number
  throw notOne()
}

const read = (table: string, value: Uint8Array, length: number): unknown[] => held(table, readAny(table, value), length)

function readAny(table: string, value: Uint8Array): unknown[] {
  let fields: unknown
  try {
    // Of one's own store: the longest frame that there can be, and little else.
    fields = decode(value, { ...BOUNDS.own, bytes: 2 ** 28 + 4_096 })
  } catch (cause) {
    throw new AfpDataStoreError('STORE_FAILED', `a row of ${table} is damaged`, { cause })
  }
  return Array.isArray(fields) ? fields : []
}

function held(table: string, fields: unknown[], length: number): unknown[] {
  if (fields.length === length) return fields
  throw new AfpDataStoreError('STORE_FAILED', `a row of ${table} has not ${length} fields`)
}
