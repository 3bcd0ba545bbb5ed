/** An epoch of this agent's own towards one recipient, with what is unsettled in it. */

import { toHex } from '../common/bytes.ts'
import { Underway } from '../common/underway.ts'
import { AuthorFeed } from '../feed/index.ts'
import { type AeadKey, importKey } from '../security/aead.ts'
import { type MakeOpeningOptions, makeOpening } from '../security/opening.ts'
import { PREKEY_USABLE } from '../security/prekeys.ts'
import { NEVER_TRIED, type RetryState } from './retry.ts'
import type { FenceReason, OutboxHead } from './rows.ts'
import type { Sendable } from './send-queue.ts'

/** See the head of this file. */
export interface OutEpoch {
  readonly id: string
  /** Grows with each epoch towards its recipient; set by those who have them all. */
  order: number
  /** The epochs that its opening names: of those before it all in which something has not arrived, at least. */
  readonly earlier: readonly string[]
  readonly feed: AuthorFeed
  readonly key: AeadKey
  readonly keyBytes: Uint8Array
  /** Id of the prekey that it was opened to, hex; undefined in one of an earlier run, which takes nothing more. */
  readonly prekey: string | undefined
  /** The signed opening. */
  readonly packet: Uint8Array
  /** When its prekey ends: nothing is appended afterwards. Ms since 1970. */
  readonly notAfter: number
  readonly entries: Entries
  /** Rows of positions given up, until the recipient says what it knows of them. */
  readonly fences: Map<number, OutboxHead>
  /** What is at a position, until it is processed. */
  readonly messages: Map<number, Numbered>
  /** The row of the opening is on the disk. */
  stored: boolean
  /** The last number that its recipient may know to exist, though nothing of it came. */
  told: number
  /** What changes its rows, from the number that was given out for it until it is in the maps above or will not be. */
  readonly writing: Underway
  /** Words of its recipient that are being written: with its row nobody could read what is left of these. */
  readonly recording: Underway
  /** Its recipient can never open it, by its own word. */
  lost: boolean
  /** At-most-once messages so far: their count gives the nonce. Of those that are sealed as one, the first's. */
  unnumbered: number
}

/** A message at its position. */
export interface Entry extends Sendable {
  /** Of one from an earlier run set by those who have all of them. */
  order: number
  readonly epoch: OutEpoch
  readonly number: number
  /** What is in its row, but for the envelope: see `envelopes.ts`. */
  readonly row: OutboxHead
  /** What it counts for in the quota. */
  readonly bytes: number
  /** Where its tries stand. */
  retry: RetryState
  /** How many there were, the one that is under way included. */
  tries: number
  /** Its recipient waits for it, see `Draft.awaited`. */
  readonly awaited: boolean
  /** Bytes may have left. */
  left: boolean
  /** What gives it up is being written; false: its recipient has said meanwhile that it has it. */
  giving?: Promise<boolean> | undefined
  /** There is a dead letter of it. */
  lettered?: boolean
  /** It is given up, and the disk knows; only its letter has found no room yet. */
  owed?: FenceReason | undefined
}

/** The message at a position. */
export interface Numbered {
  readonly messageId: string
  /** See `Draft.awaited`: nobody asks whether it was processed. */
  readonly awaited?: boolean | undefined
  /** When it ends, ms since 1970. */
  readonly expiresAt: number
}

/** What has not arrived of an epoch, by position; and by message, since whoever calls one off knows no position. */
export class Entries {
  readonly #byNumber = new Map<number, Entry>()
  readonly #byMessage = new Map<string, Entry>()

  add(entry: Entry): void {
    this.#byNumber.set(entry.number, entry)
    this.#byMessage.set(entry.row.messageId, entry)
  }

  get(number: number): Entry | undefined {
    return this.#byNumber.get(number)
  }

  has(number: number): boolean {
    return this.#byNumber.has(number)
  }

  ofMessage(messageId: string): Entry | undefined {
    return this.#byMessage.get(messageId)
  }

  values(): Iterable<Entry> {
    return this.#byNumber.values()
  }

  get size(): number {
    return this.#byNumber.size
  }

  /** False when it is not there. */
  delete(number: number): boolean {
    const entry = this.#byNumber.get(number)
    if (entry === undefined) return false
    this.#byNumber.delete(number)
    if (this.#byMessage.get(entry.row.messageId) === entry) this.#byMessage.delete(entry.row.messageId)
    return true
  }
}

/** Whether nobody but its author knows of a message: then its end needs nobody's word. */
export const isUnknown = ({ epoch, number, left }: Entry): boolean => !left && number > epoch.told

/**
 * Whether nobody asks for its recipient's word on anything in an epoch any more. Positions without an end may be left that
 * it waits for, if it has a link: it ends that where a later epoch is told of without this one, or nothing is told.
 */
export const isOver = ({ feed, messages, writing }: OutEpoch): boolean =>
  feed.settled || (messages.size === 0 && !writing.busy)

/** Whether it takes nothing more, and nobody has anything more to say of it. */
export const isForgotten = (epoch: OutEpoch, now: number): boolean =>
  epoch.notAfter <= now && isOver(epoch) && !epoch.recording.busy

/**
 * Whether nothing is left that its key would open, though the recipient's word is waited for: nothing goes into it, and
 * nothing that was sealed in it is in the outbox.
 */
export const isSpent = ({ feed, stored, keyBytes, entries, writing, recording }: OutEpoch): boolean =>
  feed.closed && stored && keyBytes.some(Boolean) && entries.size === 0 && !writing.busy && !recording.busy

/** A message that has just got its position. */
export const newEntry = (
  epoch: OutEpoch,
  number: number,
  row: OutboxHead,
  { bytes, order }: Pick<Entry, 'bytes' | 'order'>,
): Entry => ({
  epoch,
  number,
  row,
  bytes,
  retry: NEVER_TRIED,
  tries: 0,
  awaited: row.awaited === true,
  left: false,
  priority: row.priority,
  expiresAt: row.expiresAt,
  order,
})

/** What {@link openEpoch} needs. */
export interface OpenEpochOptions extends Omit<MakeOpeningOptions, 'notAfter'> {
  /** Ms since 1970. */
  readonly now: number
}

/**
 * A new epoch, to last as long as the prekey, and no longer than an honest one may be used, whatever its owner says;
 * nothing of it is on the disk.
 * @throws AfpSecurityError as `makeOpening`
 */
export async function openEpoch({ now, ...options }: OpenEpochOptions): Promise<OutEpoch> {
  const { id, notAfter: end } = options.prekey
  const notAfter = Math.min(end, Math.floor(now) + PREKEY_USABLE)
  const { epoch, packet, key } = await makeOpening({ ...options, notAfter })
  return {
    id: epoch,
    order: 0,
    earlier: options.earlier,
    feed: new AuthorFeed(epoch),
    key: await importKey(key),
    keyBytes: key,
    prekey: toHex(id),
    packet,
    notAfter,
    entries: new Entries(),
    fences: new Map(),
    messages: new Map(),
    stored: false,
    told: 0,
    writing: new Underway(),
    recording: new Underway(),
    lost: false,
    unnumbered: 0,
  }
}
