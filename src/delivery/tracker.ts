/**
 * Follows what becomes of sent messages: promises and events for those who wait, on top of the state machine in
 * `receipts.ts`. Nobody hears of anything before it is on the disk: a change is made, its receipt committed by the caller
 * together with whatever else it means, and only then published. Tries are the exception: that there was one is so
 * whether or not it can be written, see `tries.ts`.
 */

import { AgeSet } from '../common/age-set.ts'
import type { Clock } from '../common/clock.ts'
import { AfpDeliveryError, AfpError, type AfpErrorCode } from '../common/errors.ts'
import { TypedEventTarget } from '../common/events.ts'
import { Followed, type Tracking } from './followed.ts'
import {
  advance,
  type DeliveryStatus,
  duplicate,
  hasFailed,
  type MessageReceipt,
  type ReceiptEvent,
  type RecipientReceipt,
} from './receipts.ts'
import { withEntry } from './recipient-map.ts'

export type { Tracking } from './followed.ts'

/** What a {@link Tracker} tells, once it is on the disk; of tries at once. */
export interface TrackerEvents {
  /** Anything changed. */
  'delivery:changed': DeliveryNews
  /** The recipient has it. */
  'delivery:delivered': DeliveryNews
  /** It will be tried again. */
  'delivery:retry': DeliveryNews & { readonly nextAt: number }
  /** Its time is up. */
  'delivery:expired': DeliveryNews
  /** It is dead, or was cancelled. */
  'delivery:failed': DeliveryNews
}

/** A message, one of its recipients, and how they stand. */
export interface DeliveryNews {
  /** Id of the message. */
  readonly id: string
  readonly recipient: string
  readonly receipt: RecipientReceipt
  /** Over all recipients. */
  readonly status: DeliveryStatus
}

/** Options of a {@link Tracker}. */
export interface TrackerOptions {
  readonly clock: Clock
  /** Reads a receipt that is not in memory, see `loadReceipt`. */
  readonly load?: ((id: string) => Promise<MessageReceipt | undefined>) | undefined
  /** How long a message about which everything is said stays in memory, ms. Default 300,000. */
  readonly keep?: number | undefined
  /**
   * The most of these in memory, and the most that wait only for their recipients' last word: the oldest are forgotten.
   * Those under way are bounded by the outbox. Default 10,000.
   */
  readonly limit?: number | undefined
  /** Is told of each message that leaves memory, since everything is said about it or too many wait for a last word. */
  readonly onEnded?: ((id: string) => void) | undefined
}

/** A change that is not on the disk yet. One of its functions has to be called. */
export interface ReceiptChange {
  /** What has to be stored. */
  readonly receipt: MessageReceipt
  readonly before: RecipientReceipt | undefined
  readonly after: RecipientReceipt
  /** It was committed: tells everybody. */
  committed(): void
  /** It was not, and will not be: as if nothing had happened. */
  abandoned(): void
}

/** What else it tells: of a message that is not followed any more though a recipient may have a last word on it. */
interface Forgotten {
  readonly forgotten: MessageReceipt
}

/** See the head of this file. */
export class Tracker extends TypedEventTarget<TrackerEvents & Forgotten> {
  readonly #clock: Clock
  readonly #load: (id: string) => Promise<MessageReceipt | undefined>
  readonly #keep: number
  readonly #limit: number
  readonly #onEnded: (id: string) => void
  readonly #entries = new Map<string, Followed>()
  /** Ids of messages that wait only for a last word, and of those that wait for nothing; the oldest first. */
  readonly #waiting = new AgeSet<string>()
  readonly #settled = new AgeSet<string>()
  #version = 0

  /** @throws AfpError INVALID_OPTION */
  constructor(options: TrackerOptions) {
    super()
    const { clock, load = async () => undefined, keep = 300_000, limit = 10_000, onEnded = () => {} } = options
    if (!(keep >= 0) || !Number.isSafeInteger(limit) || limit < 1) {
      throw new AfpError('INVALID_OPTION', 'a tracker keeps a positive number of messages for a time from 0 ms')
    }
    this.#clock = clock
    this.#load = load
    this.#keep = keep
    this.#limit = limit
    this.#onEnded = onEnded
  }

  /** Messages in memory. */
  get size(): number {
    return this.#entries.size
  }

  /**
   * Begins to follow a message, new or of an earlier run.
   * @throws AfpError DUPLICATE_MESSAGE when it is followed already
   */
  track(receipt: MessageReceipt): Tracking {
    const { id } = receipt
    if (this.#entries.has(id)) throw duplicate(id)
    const entry = new Followed(receipt)
    this.#entries.set(id, entry)
    this.#settle(entry)
    return entry
  }

  /** The receipts of all that are followed. */
  *receipts(): Iterable<MessageReceipt> {
    for (const { receipt } of this.#entries.values()) yield receipt
  }

  /** A message that is followed. One that was queued again has new promises, the old ones stay broken. */
  tracking(id: string): Tracking | undefined {
    return this.#entries.get(id)
  }

  /** The receipt of a message, from memory or from the store. */
  async get(id: string): Promise<MessageReceipt | undefined> {
    return this.#entries.get(id)?.receipt ?? this.#load(id)
  }

  /** The receipt of a message that is followed, changes that are not committed included. */
  latest(id: string): MessageReceipt | undefined {
    return this.#entries.get(id)?.latest
  }

  /** Whether changes of a message, of these recipients not counted, are neither committed nor abandoned. */
  changing(id: string, but: ReadonlySet<string> = new Set()): boolean {
    const entry = this.#entries.get(id)
    if (entry === undefined || entry.open.length === 0) return false
    for (const [recipient, state] of entry.latest.recipients) {
      if (entry.receipt.recipients.get(recipient) !== state && !but.has(recipient)) return true
    }
    return false
  }

  /**
   * Makes a change; undefined when there is none to make, see {@link advance}, or the message is not followed.
   * @param stored its receipt, as it is on the disk, where it may not be in memory: with a change to make it is followed
   */
  apply(id: string, recipient: string, event: ReceiptEvent, stored?: MessageReceipt): ReceiptChange | undefined {
    const entry = this.#entries.get(id) ?? (stored && new Followed(stored))
    const before = entry?.latest.recipients.get(recipient)
    const receipt = entry && advance(entry.latest, recipient, event, this.#clock.now())
    const after = receipt?.recipients.get(recipient)
    if (entry === undefined || receipt === undefined || after === undefined) return undefined
    this.#entries.set(id, entry)
    entry.latest = receipt
    // What is on its way to the disk is not forgotten: the next change is made from it.
    const change = { recipient, after }
    entry.begin(change)
    this.#waiting.delete(id)
    this.#settled.delete(id)
    const version = ++this.#version
    const end = (effect: () => void) => (): void => {
      if (entry.end(change)) effect()
    }
    return {
      receipt,
      before,
      after,
      committed: end(() => this.#publish(entry, recipient, event, after, version)),
      abandoned: end(() => {
        // A later change has been made from this one, and stands for it.
        if (entry.latest.recipients.get(recipient) === after) {
          // Those it was made from may have been abandoned before it.
          const left = entry.open.findLast(other => other.recipient === recipient)?.after
          entry.latest = withRecipient(entry.latest, recipient, left ?? entry.receipt.recipients.get(recipient))
        }
        this.#settle(entry)
      }),
    }
  }

  /** A message has a new time to live, with its next change on the disk too: its receipt stays that long. */
  extend(id: string, expiresAt: number): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    entry.receipt = lasting(entry.receipt, expiresAt)
    entry.latest = lasting(entry.latest, expiresAt)
  }

  /** Follows messages no longer that wait only for a last word, and expired before `before`, ms since 1970. */
  forgetOld(before: number): void {
    for (const id of this.#waiting) {
      const { expiresAt } = (this.#entries.get(id) as Followed).receipt
      if (expiresAt < before) this.#letGo(id, 'MESSAGE_EXPIRED')
    }
  }

  /** Follows a message no longer: nothing of it was kept. */
  forget(id: string, error: unknown): void {
    this.#entries.get(id)?.giveUp(error as AfpError)
    this.#entries.delete(id)
    this.#waiting.delete(id)
    this.#settled.delete(id)
  }

  /**
   * Ends every wait: what is on the disk goes on in the next run. Messages are still followed: what is on its way to the
   * disk takes its receipt there.
   */
  close(): void {
    for (const entry of this.#entries.values()) {
      entry.giveUp(new AfpDeliveryError('CLOSED', 'this agent has closed', { messageId: entry.id }))
    }
  }

  #publish(entry: Followed, recipient: string, event: ReceiptEvent, after: RecipientReceipt, version: number): void {
    if (!entry.publishes(recipient, version)) return this.#settle(entry)
    const before = entry.receipt.recipients.get(recipient)
    entry.receipt = withRecipient(entry.receipt, recipient, after)
    if (event.type === 'queued' && before !== undefined) entry.renew()
    this.#settle(entry)
    const news: DeliveryNews = { id: entry.id, recipient, receipt: after, status: entry.status }
    this.emit('delivery:changed', news)
    if (event.type === 'retry') this.emit('delivery:retry', { ...news, nextAt: event.nextAt })
    if (after.arrived && !before?.arrived) this.emit('delivery:delivered', news)
    if (after.state === before?.state) return
    if (after.state === 'expired') this.emit('delivery:expired', news)
    else if (hasFailed(after)) this.emit('delivery:failed', news)
  }

  /** Keeps and breaks promises, and puts the message where it belongs. */
  #settle(entry: Followed): void {
    const { id, receipt } = entry
    // One that was given up meanwhile has nobody who waits.
    if (this.#entries.get(id) !== entry) return
    entry.settle()
    const all = [...receipt.recipients.values()]
    const once = receipt.guarantee === 'at-most-once'
    const settled = all.every(state => state.final || (once && (state.left || hasFailed(state))))
    const waiting = !settled && all.every(state => state.arrived || hasFailed(state))
    const closed = entry.open.length === 0
    if (waiting && closed) this.#waiting.add(id)
    else this.#waiting.delete(id)
    if (settled && !this.#settled.has(id)) entry.settledAt = this.#clock.monotonic()
    if (settled && closed) this.#settled.add(id)
    else this.#settled.delete(id)
    this.#forget()
  }

  #forget(): void {
    const now = this.#clock.monotonic()
    for (let id = this.#settled.oldest; id !== undefined; id = this.#settled.oldest) {
      const { settledAt } = this.#entries.get(id) as Followed
      if (this.#settled.size <= this.#limit && now - settledAt < this.#keep) break
      this.#settled.delete(id)
      this.#entries.delete(id)
      this.#onEnded(id)
    }
    while (this.#waiting.size > this.#limit) this.#letGo(this.#waiting.oldest as string, 'QUEUE_FULL')
  }

  #letGo(id: string, why: AfpErrorCode): void {
    const message = `message ${id} is not followed any more; its receipt can still be read`
    const entry = this.#entries.get(id) as Followed
    entry.giveUp(new AfpDeliveryError(why, message, { messageId: id }))
    this.#waiting.delete(id)
    this.#entries.delete(id)
    this.#onEnded(id)
    this.emit('forgotten', entry.receipt)
  }
}

const lasting = (receipt: MessageReceipt, expiresAt: number): MessageReceipt =>
  receipt.expiresAt < expiresAt ? { ...receipt, expiresAt } : receipt

/** @param state undefined: it is none of its recipients */
const withRecipient = (
  receipt: MessageReceipt,
  recipient: string,
  state: RecipientReceipt | undefined,
): MessageReceipt => ({ ...receipt, recipients: withEntry(receipt.recipients, recipient, state) })
