/**
 * Gives positions up: what a message was is decided once the recipient says what it knows of its position. Until then a
 * fence stands there, a row without bytes, so that no second try doubles what may have arrived. A position that the
 * recipient cannot know of is over at once, and leaves nothing behind: it may never come. So is a reply whose time is over:
 * nobody waits for it, and nobody tries it again.
 */

import { deleteRow, fateOfEnd, rowKeyOf } from './entries.ts'
import type { Envelopes } from './envelopes.ts'
import type { Fate, Quota } from './ledger.ts'
import { LettersFull } from './letter-room.ts'
import { type NextTryParts, nextTry } from './next-try.ts'
import { type Entry, isUnknown } from './out-epoch.ts'
import type { Recorder } from './recorder.ts'
import { type FenceReason, NO_BYTES, putOutbox } from './rows.ts'
import type { Sender } from './sender.ts'

/** What fencing needs. */
export interface FencingParts extends NextTryParts {
  readonly recipient: string
  readonly envelopes: Envelopes
  readonly quota: Quota
  readonly recorder: Recorder
  readonly sender: Sender
}

/** See the head of this file. */
export class Fencing {
  readonly #parts: FencingParts
  /** Why those were given up of which nothing leaves any more, written or not. */
  readonly #ended = new WeakMap<Entry, FenceReason>()
  readonly #closing = new AbortController()

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
    if (this.#closing.signal.aborted) return
    await nextTry(this.#parts, error, this.#closing.signal)
    if (!this.#closing.signal.aborted && entry.epoch.entries.has(entry.number)) await this.end(entry, reason)
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
    while (entry.giving !== undefined) {
      const given = await entry.giving.catch(() => undefined)
      if (given !== undefined) return given
      if (!epoch.entries.has(number)) return false
    }
    if (epoch.fences.has(number)) return true
    if (!epoch.entries.has(number)) return false
    entry.giving = epoch.writing.add(this.#fence(entry, reason)).finally(() => {
      entry.giving = undefined
    })
    return entry.giving
  }

  async #fence(entry: Entry, reason: FenceReason): Promise<boolean> {
    const { envelopes, recipient, recorder, quota, sender } = this.#parts
    const { epoch, number, row } = entry
    // Whether it has left is said for good: it must not leave while that is being written.
    sender.hold(entry)
    const fenced = { ...row, fence: reason, frame: NO_BYTES }
    let over = false
    try {
      await envelopes.pin(entry)
      const end = await fateOfEnd(recipient, entry, reason, envelopes)
      over = isUnknown(entry) || (entry.awaited && reason === 'expired')
      const fate: Fate = { ...end, inDoubt: entry.left, final: over }
      // At the next start a number without a row is skipped as well.
      const write = over ? deleteRow(recipient, entry) : putOutbox(rowKeyOf(recipient, entry), fenced)
      // What its recipient has said meanwhile may have taken its row away: written after that, it would be there for good.
      const heard = (): boolean => !epoch.entries.has(number) || epoch.feed.has(number)
      if (!(await recorder.record([fate], [write], [], heard))) return false
      entry.lettered = end.ended !== undefined
    } catch (error) {
      if (error instanceof LettersFull) await this.#owe(entry, reason)
      envelopes.unpin(entry)
      throw error
    }
    // Its recipient's word may have taken it out meanwhile.
    const there = epoch.entries.delete(number)
    if (there) {
      quota.give(entry.bytes, entry.awaited)
      // It may be sent again under another number: no word on this one is about it.
      if (over) epoch.messages.delete(number)
      else epoch.fences.set(number, fenced)
    }
    sender.remove(entry)
    const end = epoch.feed.skip(number)
    sender.stateChanged()
    sender.pump()
    return there && end === 'skipped'
  }

  /**
   * There is no room for its letter. It is given up all the same: its recipient holds back what comes behind it until it is
   * told of that. Its bytes stay, for the letter.
   */
  async #owe(entry: Entry, reason: FenceReason): Promise<void> {
    const { recipient, recorder, sender, envelopes } = this.#parts
    const { epoch, number, row } = entry
    if (entry.owed !== undefined || !epoch.entries.has(number)) return
    const frame = await envelopes.pin(entry)
    if (frame === undefined || !epoch.entries.has(number)) return
    await recorder.record([], [putOutbox(rowKeyOf(recipient, entry), { ...row, fence: reason, frame })])
    entry.owed = reason
    epoch.feed.skip(number)
    sender.stateChanged()
    sender.pump()
  }

  /** Nothing is tried again. */
  close(): void {
    this.#closing.abort()
  }
}
