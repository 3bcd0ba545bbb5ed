/**
 * Gives positions up: what a message was is decided once the recipient says what it knows of its position. One that it
 * cannot know of is over at once, and leaves nothing behind: it may never come.
 */

import { deleteRow, endedOf, fateOf, rowKeyOf } from './entries.ts'
import type { Fate, Quota } from './ledger.ts'
import { type NextTryParts, nextTry } from './next-try.ts'
import { type Entry, isUnknown } from './out-epoch.ts'
import type { Recorder } from './recorder.ts'
import { type FenceReason, putOutbox } from './rows.ts'
import type { Sender } from './sender.ts'

/** What a fenced row keeps of its message. */
export const NO_BYTES = new Uint8Array(0)

/** What fencing needs. */
export interface FencingParts extends NextTryParts {
  /** This agent's id. */
  readonly author: string
  readonly recipient: string
  readonly quota: Quota
  readonly recorder: Recorder
  readonly sender: Sender
}

/** See the head of this file. */
export class Fencing {
  readonly #parts: FencingParts
  /** What is being written. */
  readonly #writing = new Map<Entry, Promise<boolean>>()
  /** Why those were given up of which nothing leaves any more, written or not. */
  readonly #ended = new WeakMap<Entry, FenceReason>()
  #closed = false

  constructor(parts: FencingParts) {
    this.#parts = parts
  }

  /**
   * Gives a position up, as soon as that can be written; nothing of it leaves any more. Resolves once it was tried to
   * write it.
   */
  async end(entry: Entry, reason: FenceReason): Promise<void> {
    // What was called off stays that when its time ends too: there is no dead letter of it that could be tried again.
    if (reason !== 'cancelled' && this.isCalledOff(entry)) return
    this.#ended.set(entry, reason)
    try {
      await this.#give(entry, reason)
    } catch (error) {
      void this.#endAgain(entry, reason, error)
    }
  }

  async #endAgain(entry: Entry, reason: FenceReason, error: unknown): Promise<void> {
    await nextTry(this.#parts, error)
    if (!this.#closed && entry.epoch.entries.has(entry.number)) await this.end(entry, reason)
  }

  /** Whether it is given up, or will be as soon as that can be written, because it was called off. */
  isCalledOff(entry: Entry): boolean {
    return this.#ended.get(entry) === 'cancelled'
  }

  /**
   * Gives a position up. False: its recipient has said meanwhile that it has it.
   * @throws AfpDataStoreError; AfpDeliveryError QUEUE_FULL: then it stands as it was
   */
  async fence(entry: Entry, reason: FenceReason): Promise<boolean> {
    try {
      return await this.#give(entry, reason)
    } catch (error) {
      if (!this.#ended.has(entry)) this.#parts.sender.resume(entry)
      throw error
    }
  }

  async #give(entry: Entry, reason: FenceReason): Promise<boolean> {
    const { epoch, number } = entry
    // Somebody else may be at it, and fail: it is on the disk only then.
    for (let other = this.#writing.get(entry); other !== undefined; other = this.#writing.get(entry)) {
      const given = await other.catch(() => undefined)
      if (given !== undefined) return given
      if (!epoch.entries.has(number)) return false
    }
    if (epoch.fences.has(number)) return true
    if (!epoch.entries.has(number)) return false
    epoch.fences.set(number, entry)
    const giving = epoch.writing.add(this.#fence(entry, reason)).finally(() => this.#writing.delete(entry))
    this.#writing.set(entry, giving)
    return giving
  }

  async #fence(entry: Entry, reason: FenceReason): Promise<boolean> {
    const { author, recipient, recorder, quota, sender } = this.#parts
    const { epoch, number, row } = entry
    // Whether it has left is said for good: it must not leave while that is being written.
    sender.hold(entry)
    let over = false
    try {
      const died = reason === 'attempts-exhausted' || reason === 'too-large'
      const status = died ? 'dead' : reason === 'cancelled' ? 'cancelled' : 'expired'
      // A copy has left for whoever waited for it: nobody does any more, and there is nothing that a letter could do.
      const copied = reason === 'expired' && entry.copied
      // Of what was called off nothing is kept either: its bytes need not be opened for that.
      const ended = copied || status === 'cancelled' ? undefined : await endedOf(entry, author)
      if (!epoch.entries.has(number) || epoch.feed.has(number)) {
        epoch.fences.delete(number)
        return false
      }
      // If its recipient is quicker, and refuses it, there is a letter of that.
      entry.givenUp = status !== 'cancelled'
      over = isUnknown(entry)
      const fate: Fate = {
        ...fateOf(recipient, epoch, number, row.messageId, status),
        reason,
        inDoubt: entry.left,
        unsent: over,
        attempts: entry.tries,
        ended,
      }
      const fenced = { ...row, fence: copied ? 'copied' : reason, frame: NO_BYTES } as const
      // At the next start a number without a row is skipped as well.
      await recorder.record(
        [fate],
        [over ? deleteRow(recipient, entry) : putOutbox(rowKeyOf(recipient, entry), fenced)],
      )
      if (copied && epoch.fences.has(number)) epoch.fences.set(number, { ...entry, row: fenced })
    } catch (error) {
      entry.givenUp = false
      epoch.fences.delete(number)
      throw error
    }
    if (over) {
      // It may be sent again under another number: no word on this one is about it.
      epoch.messages.delete(number)
      epoch.fences.delete(number)
    }
    // Its recipient's word may have taken it out meanwhile.
    const there = epoch.entries.delete(number)
    if (there) quota.give(entry.bytes, entry.awaited)
    sender.remove(entry)
    const end = epoch.feed.skip(number)
    sender.stateChanged()
    sender.pump()
    return there && end === 'skipped'
  }

  /** Nothing is tried again. */
  close(): void {
    this.#closed = true
  }
}
