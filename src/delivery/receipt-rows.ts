/** Receipts as they are stored: table `receipts`, key [message id], a CBOR array that is read strictly. */

import { AfpDataStoreError } from '../common/errors.ts'
import type { NextTask } from '../common/slices.ts'
import { BOUNDS } from '../message/bounds.ts'
import { decode, encode } from '../message/codec.ts'
import type { Guarantee } from '../message/message.ts'
import { paged } from '../store/paged.ts'
import type { Store } from '../store/store.ts'
import { DEAD_REASONS } from './dead-letter.ts'
import { hasFailed, isUnderWay, type MessageReceipt, RECEIPT_STATES, type RecipientReceipt } from './receipts.ts'
import { recipientMap } from './recipient-map.ts'
import { NEVER_TRIED, retryStateFromWire, retryStateToWire } from './retry.ts'
import { failure, list, notOne, pick, text, time, whole } from './row-fields.ts'

const GUARANTEES: readonly Guarantee[] = ['at-most-once', 'at-least-once', 'exactly-once']

/** Flags of a recipient. */
const LEFT = 1
const ARRIVED = 2
const IN_DOUBT = 4
const FINAL = 8

/** How much longer receipts stay that have no end, ms. */
const KEPT_IN_DOUBT = 90 * 86_400_000
/** Rows that are deleted at a time. */
const PAGE = 500

/** The write that stores a receipt, or deletes what was stored. */
export type ReceiptWrite = {
  readonly table: 'receipts'
  readonly key: readonly [messageId: string]
} & ({ readonly op: 'put'; readonly value: Uint8Array } | { readonly op: 'delete'; readonly value?: undefined })

/**
 * See {@link ReceiptWrite}. That of a reply goes with its end, since it has no dead letter that would ask for it: by asking
 * one could fill the disk of whoever answers.
 */
export function writeReceipt(receipt: MessageReceipt): ReceiptWrite {
  const { id, awaited } = receipt
  if (awaited && !isUnderWay(receipt)) return deleteReceipt(id)
  return { op: 'put', table: 'receipts', key: [id], value: encode(receiptToWire(receipt)) }
}

/** See {@link ReceiptWrite}. */
export const deleteReceipt = (id: string): ReceiptWrite => ({ op: 'delete', table: 'receipts', key: [id] })

/** The stored receipt of a message. @throws AfpDataStoreError STORE_FAILED when its row is damaged */
export async function loadReceipt(store: Store, id: string): Promise<MessageReceipt | undefined> {
  const value = await store.get('receipts', [id])
  return value && readReceipt(id, value)
}

/**
 * The receipts of messages under way, or whose recipient has not had its last word, page by page: what a new run has to
 * know at once, beside those of which the rows of their messages say all there is, see `isImplied`.
 * @param onClosed is told the ids of the others
 * @throws AfpDataStoreError STORE_FAILED when a row is damaged
 */
export async function* openReceipts(
  store: Store,
  next?: NextTask,
  onClosed = (_id: string): void => {},
): AsyncGenerator<MessageReceipt> {
  for await (const receipt of storedReceipts(store, next)) {
    if (isOpen(receipt)) yield receipt
    else onClosed(receipt.id)
  }
}

/**
 * Deletes the receipts of messages that expired before `before`, ms since 1970, and tells how many. Those on which a
 * recipient may still have a word stay 90 days longer, and those that `wanted` names for as long as it does. Where more
 * than `most` others are left, as many of those go that have expired by `now`: of messages that may still be sent again
 * under their ids it has to be known that they were.
 * @throws AfpDataStoreError STORE_FAILED when a row is damaged
 */
export async function purgeReceipts(
  store: Store,
  before: number,
  wanted: (messageId: string) => boolean = () => false,
  { most, now }: { readonly most: number; readonly now: number } = { most: Number.POSITIVE_INFINITY, now: before },
): Promise<number> {
  let over: string[] = []
  let count = 0
  const flush = async (): Promise<void> => {
    // Since they were read, one of them may have been sent again.
    const writes = over.flatMap(id => (wanted(id) ? [] : deleteReceipt(id)))
    over = []
    if (writes.length > 0) await store.commit({ writes })
    count += writes.length
  }
  let ended = 0
  for await (const receipt of storedReceipts(store)) {
    // What may have an effect yet is asked for when its message is tried again.
    const open = isOpen(receipt)
    if (receipt.expiresAt < (open ? before - KEPT_IN_DOUBT : before)) over.push(receipt.id)
    else if (!open) ended++
    if (over.length === PAGE) await flush()
  }
  await flush()
  if (ended <= most) return count
  for await (const receipt of storedReceipts(store)) {
    if (isOpen(receipt) || receipt.expiresAt >= now) continue
    over.push(receipt.id)
    if (over.length === PAGE) await flush()
    if (--ended <= most) break
  }
  await flush()
  return count
}

/** Whether a recipient may still have a word on it. */
const isOpen = ({ recipients }: MessageReceipt): boolean => [...recipients.values()].some(({ final }) => !final)

async function* storedReceipts(store: Store, next?: NextTask): AsyncGenerator<MessageReceipt> {
  for await (const { key, value } of paged(store, 'receipts', [], next)) yield readReceipt(String(key[0]), value)
}

/** A receipt as a value that CBOR can hold. */
export function receiptToWire({ guarantee, createdAt, expiresAt, awaited, recipients }: MessageReceipt): unknown[] {
  const fields = [GUARANTEES.indexOf(guarantee), createdAt, expiresAt, [...recipients].map(recipientToWire)]
  return awaited ? [...fields, true] : fields
}

/**
 * The receipt in a stored row.
 * @throws AfpDataStoreError STORE_FAILED when the row is damaged
 */
export function readReceipt(id: string, value: Uint8Array): MessageReceipt {
  try {
    const fields = list(decode(value, { ...BOUNDS.own, bytes: 2 ** 24 }))
    const [guarantee, createdAt, expiresAt, recipients, awaited] = fields
    if (fields.length < 4 || fields.length > 5 || (fields.length === 5 && awaited !== true)) throw notOne()
    const all = list(recipients).map(recipientFromWire)
    const receipt: MessageReceipt = {
      id,
      guarantee: pick(GUARANTEES, guarantee),
      createdAt: time(createdAt),
      expiresAt: time(expiresAt),
      awaited: awaited === true,
      recipients: recipientMap(all),
    }
    if (receipt.recipients.size !== all.length) throw notOne()
    return receipt
  } catch (cause) {
    throw new AfpDataStoreError('STORE_FAILED', `the receipt of ${id} in the store is damaged`, {
      reference: id,
      cause,
    })
  }
}

function recipientToWire([recipient, receipt]: readonly [string, RecipientReceipt]): unknown[] {
  const { state, reason, error, retries, retry, left, arrived, inDoubt, final, at, position } = receipt
  return [
    recipient,
    RECEIPT_STATES.indexOf(state),
    (left ? LEFT : 0) | (arrived ? ARRIVED : 0) | (inDoubt ? IN_DOUBT : 0) | (final ? FINAL : 0),
    retries,
    at,
    reason === undefined ? null : DEAD_REASONS.indexOf(reason),
    error === undefined ? null : [error.code, error.message],
    // Most are answered at once: of those there is nothing to say.
    ...(retry.attempts === 0 && position === undefined ? [] : [retryStateToWire(retry)]),
    ...(position === undefined ? [] : [position]),
  ]
}

function recipientFromWire(value: unknown): [string, RecipientReceipt] {
  const fields = list(value)
  const known = Math.min(9, Math.max(7, fields.length))
  const [recipient, state, flags, retries, at, reason, error, retry, position] = list(fields, known)
  const has = (flag: number): boolean => (whole(flags, 15) & flag) !== 0
  const receipt: RecipientReceipt = {
    state: pick(RECEIPT_STATES, state),
    reason: reason === null ? undefined : pick(DEAD_REASONS, reason),
    error: error === null ? undefined : failure(error),
    retries: whole(retries),
    retry: retry === undefined ? NEVER_TRIED : retryStateFromWire(retry),
    left: has(LEFT),
    arrived: has(ARRIVED),
    inDoubt: has(IN_DOUBT),
    final: has(FINAL),
    at: time(at),
    position: position === undefined ? undefined : text(position),
  }
  // Only what is dead has a reason, only what was given up can be in doubt, and only what has expired for good.
  if ((receipt.state === 'dead') !== (receipt.reason !== undefined)) throw notOne()
  if (receipt.inDoubt && (receipt.final ? receipt.state !== 'expired' : !hasFailed(receipt))) throw notOne()
  return [text(recipient), receipt]
}
