/**
 * What becomes of a message, recipient by recipient: a state machine without clock or store.
 *
 * ```
 * queued -> sent -> stored -> delivered -> processed
 *    \________\________\________\________> dead
 *     \________\________\____> expired, cancelled
 * ```
 *
 * Steps may be left out (an acknowledgement says that it was sent), and none leads back: a late `sent` never lowers
 * `delivered`. What the sender decides alone (expired, cancelled, dead after its last try) holds until the recipient has
 * spoken, and its word wins: `delivered`, `processed` or `refused` whatever the sender thought, or `skipped`, which makes
 * the sender's decision final; so it is at once where the recipient cannot know of the message, and where a reply has
 * expired. Only what is final and not in doubt can be queued again.
 *
 * | state | status |
 * |---|---|
 * | queued | pending |
 * | sent, stored | sent |
 * | delivered, processed | delivered |
 * | dead, cancelled | failed |
 * | expired | expired |
 */

import { AfpError, type AfpErrorCode } from '../common/errors.ts'
import type { Failure } from '../message/failure.ts'
import type { Guarantee } from '../message/message.ts'
import { cutFailure, type DeadReason } from './dead-letter.ts'
import { recipientMap, withEntry } from './recipient-map.ts'
import { NEVER_TRIED, type RetryState } from './retry.ts'

/** Where a message stands with one recipient. `stored`: a relay keeps it, which is no promise of the recipient. */
export const RECEIPT_STATES = [
  'queued',
  'sent',
  'stored',
  'delivered',
  'processed',
  'expired',
  'dead',
  'cancelled',
] as const

/** See {@link RECEIPT_STATES}. */
export type ReceiptState = (typeof RECEIPT_STATES)[number]

/** The coarse view of a {@link ReceiptState}; see the table at the head of this file. */
export type DeliveryStatus = 'pending' | 'sent' | 'delivered' | 'failed' | 'expired'

/** The table at the head of this file. */
export const STATUS_OF: Readonly<Record<ReceiptState, DeliveryStatus>> = Object.freeze({
  queued: 'pending',
  sent: 'sent',
  stored: 'sent',
  delivered: 'delivered',
  processed: 'delivered',
  dead: 'failed',
  cancelled: 'failed',
  expired: 'expired',
})

/** A message and one recipient. */
export interface RecipientReceipt {
  readonly state: ReceiptState
  /** Why it is dead. */
  readonly reason: DeadReason | undefined
  /** What the last try failed with, if that is known. */
  readonly error: Failure | undefined
  /** Tries after the first one, those included that went before it was queued again. */
  readonly retries: number
  /** Tries since it was queued that failed, and when the next one is due: where the next run goes on. */
  readonly retry: RetryState
  /** Whether bytes have left. */
  readonly left: boolean
  /** Whether the recipient has had it, also if it could not handle it afterwards. */
  readonly arrived: boolean
  /**
   * Expired, cancelled or dead, and nobody knows whether the recipient has it all the same. For good of a reply or a failure
   * that has expired: nobody asks any more.
   */
  readonly inDoubt: boolean
  /** Nothing that comes later changes it, but for a message that is queued again. */
  readonly final: boolean
  /** Where it was given up, as long as its recipient may have a word on that; of earlier versions not known. */
  readonly position?: string | undefined
  /** When the state was entered, ms since 1970. */
  readonly at: number
}

/** A message and all of its recipients. */
export interface MessageReceipt {
  readonly id: string
  readonly guarantee: Guarantee
  /** When it was sent, ms since 1970. */
  readonly createdAt: number
  /** When it expires, ms since 1970; of those that go again the last. */
  readonly expiresAt: number
  /** It is a reply, or tells of a failure: nobody asks for its receipt later, and its recipient draws it. */
  readonly awaited: boolean
  /** By agent id. */
  readonly recipients: ReadonlyMap<string, RecipientReceipt>
}

/** What happens to a message on its way to one recipient. */
export type ReceiptEvent =
  /** It waits to be sent again, under a new number; also to one that the receipt does not name, which joins it with that. */
  | { readonly type: 'queued' }
  /** Bytes were handed to a connection. */
  | { readonly type: 'sent' }
  /** A relay has it. */
  | { readonly type: 'stored' }
  /** A try failed, or was not answered; the next one is at `nextAt`, ms since 1970. */
  | { readonly type: 'retry'; readonly nextAt: number; readonly error?: Failure | undefined }
  /** The recipient has it. */
  | { readonly type: 'delivered' }
  /** The recipient's handler is done with it. */
  | { readonly type: 'processed' }
  /** The recipient will not or could not handle it. */
  | { readonly type: 'refused'; readonly reason: DeadReason; readonly error?: Failure | undefined }
  /** The recipient never had what is at this position, default: of whichever try, and will not take it any more. */
  | { readonly type: 'skipped'; readonly position?: string | undefined }
  | ({ readonly type: 'expired' | 'cancelled' } & GivenUp)
  | ({ readonly type: 'dead'; readonly reason: DeadReason } & GivenUp)

/** How the sender gives up. */
interface GivenUp {
  readonly error?: Failure | undefined
  /** If given, in place of what is known of bytes that have left. */
  readonly inDoubt?: boolean | undefined
  /** How many tries there were since it was queued: the one that was announced last may not have been made. */
  readonly attempts?: number | undefined
  /** Nobody will say anything of it, or nobody asks. Default: false. */
  readonly final?: boolean | undefined
  /** Where it was: what its recipient says of an earlier try, at another position, is not about this one. */
  readonly position?: string | undefined
}

const PROGRESS: readonly ReceiptState[] = ['queued', 'sent', 'stored', 'delivered', 'processed']

/** Whether the sender gave up, or the recipient refused. */
export const hasFailed = ({ state }: RecipientReceipt): boolean => !PROGRESS.includes(state)

/** Whether it is on its way to somebody: neither there nor given up. */
export const isUnderWay = ({ recipients }: MessageReceipt): boolean =>
  [...recipients.values()].some(each => !each.arrived && !hasFailed(each))

/**
 * Whether the row of its message says as much: it waits for its one recipient, and nothing has happened to it yet. Then
 * nothing else is written of it.
 */
export function isImplied({ recipients }: MessageReceipt): boolean {
  const [only] = recipients.values()
  if (only === undefined || recipients.size > 1) return false
  const { state, retries, retry, left, error } = only
  return state === 'queued' && retries === 0 && retry.attempts === 0 && !left && error === undefined
}

/** Why a message is not sent: another one is kept under its id. */
export const duplicate = (id: string): AfpError =>
  new AfpError('DUPLICATE_MESSAGE', `there is a message with the id ${id}; this one was not sent`)

/** A receipt of a message that is queued for each of its recipients. */
export function newReceipt(
  message: Omit<MessageReceipt, 'recipients' | 'awaited'> & { readonly awaited?: boolean | undefined },
  recipients: Iterable<string>,
): MessageReceipt {
  const queued = queuedAt(message.createdAt, 0)
  const { awaited = false } = message
  return { ...message, awaited, recipients: recipientMap([...recipients].map(recipient => [recipient, queued])) }
}

/**
 * The receipt after an event at `at`, ms since 1970; undefined when the event changes nothing: it comes late, it is not
 * allowed, or the recipient is none of this message's.
 */
export function advance(
  receipt: MessageReceipt,
  recipient: string,
  event: ReceiptEvent,
  at: number,
): MessageReceipt | undefined {
  const before = receipt.recipients.get(recipient)
  // Of a message that is sent again the receipt may have gone meanwhile, and begun anew with another of its recipients.
  const joins = before === undefined && event.type === 'queued'
  const after = joins ? queuedAt(at, 0) : before && step(before, event, at)
  return after && { ...receipt, recipients: withEntry(receipt.recipients, recipient, after) }
}

/** What errors say of one that {@link hasFailed}. */
export const failureCode = ({ state }: RecipientReceipt): AfpErrorCode =>
  state === 'expired' ? 'MESSAGE_EXPIRED' : 'DELIVERY_FAILED'

/** The status of a message with one recipient. */
export const statusOf = ({ state }: RecipientReceipt): DeliveryStatus => STATUS_OF[state]

/** Worst first. */
const BY_WEIGHT: readonly DeliveryStatus[] = ['failed', 'expired', 'pending', 'sent', 'delivered']

/** The status of a message with all of its recipients: the worst of theirs, in the order failed, expired, pending, sent, delivered. */
export function overallStatus({ recipients }: MessageReceipt): DeliveryStatus {
  const all = new Set([...recipients.values()].map(statusOf))
  return BY_WEIGHT.find(status => all.has(status)) ?? 'pending'
}

/** Whether a recipient that refused a message for this reason has it, in a dead letter of its own. */
export const isKept = (reason: string): boolean => reason === 'handler-error' || reason === 'expired'

const queuedAt = (at: number, retries: number): RecipientReceipt => ({
  state: 'queued',
  reason: undefined,
  error: undefined,
  retries,
  retry: NEVER_TRIED,
  left: false,
  arrived: false,
  inDoubt: false,
  final: false,
  at,
})

function step(before: RecipientReceipt, event: ReceiptEvent, at: number): RecipientReceipt | undefined {
  const failed = hasFailed(before)
  if (event.type === 'queued') return failed && !before.inDoubt ? queuedAt(at, before.retries + 1) : undefined
  if (before.final) return undefined
  switch (event.type) {
    case 'sent':
    case 'stored':
      // It may have left earlier than it was noted: then the doubt comes with the note.
      if (failed) return before.left ? undefined : { ...before, left: true, inDoubt: true }
      return progress(before, event.type, at)
    case 'delivered':
    case 'processed':
      // Also over what the sender has given up: the recipient knows.
      return progress(before, event.type, at)
    case 'retry':
      if (failed || before.arrived) return undefined
      return {
        ...before,
        retries: before.retries + 1,
        retry: { attempts: before.retry.attempts + 1, nextAt: event.nextAt },
        error: event.error ? cutFailure(event.error) : before.error,
      }
    case 'refused': {
      const { reason, error } = event
      return {
        ...ended({ ...before, left: true, arrived: isKept(reason), position: undefined }, reason, at, false, error),
        final: true,
      }
    }
    case 'skipped':
      if (!failed || isOfAnother(before, event)) return undefined
      return { ...before, inDoubt: false, final: true, position: undefined }
    case 'expired':
    case 'cancelled':
    case 'dead': {
      if (failed || before.arrived) return undefined
      const { inDoubt = before.left, final = false, error } = event
      const position = final ? undefined : event.position
      const tried = { ...before, retries: retriesOf(before, event.attempts), position }
      if (event.type === 'dead') return { ...ended(tried, event.reason, at, inDoubt, error), final }
      return { ...tried, state: event.type, inDoubt, at, final, error: error ? cutFailure(error) : before.error }
    }
  }
}

/** Whether both positions are known, and are two: a message that is sent again is at another one. */
const isOfAnother = (before: { readonly position?: string | undefined }, { position }: typeof before): boolean =>
  before.position !== undefined && position !== undefined && before.position !== position

/** Tries after the first one, of which `attempts` since it was queued; undefined: as they were announced. */
function retriesOf({ retries, retry }: RecipientReceipt, attempts: number | undefined): number {
  return attempts === undefined ? retries : Math.max(0, retries - retry.attempts + attempts - 1)
}

/** A step forward, or none. What was given up is behind every step. */
function progress(before: RecipientReceipt, state: ReceiptState, at: number): RecipientReceipt | undefined {
  if (PROGRESS.indexOf(state) <= PROGRESS.indexOf(before.state)) return undefined
  const arrived = before.arrived || state === 'delivered' || state === 'processed'
  const final = state === 'processed'
  return { ...before, state, reason: undefined, left: true, arrived, inDoubt: false, final, at, position: undefined }
}

/** Dead, or expired where that is the reason: one thing has one name, whoever noticed it. */
function ended(
  before: RecipientReceipt,
  reason: DeadReason,
  at: number,
  inDoubt: boolean,
  error: Failure | undefined,
): RecipientReceipt {
  const why = error === undefined ? before.error : cutFailure(error)
  if (reason === 'expired') return { ...before, state: 'expired', reason: undefined, inDoubt, error: why, at }
  return { ...before, state: 'dead', reason, inDoubt, error: why, at }
}
