/** Gives positions up: what a message was is decided once the recipient says what it knows of its position. */

import { endedOf, fateOf, rowKeyOf } from './entries.ts'
import type { Fate, Quota } from './ledger.ts'
import { type NextTryParts, nextTry } from './next-try.ts'
import type { Entry } from './out-epoch.ts'
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
  #closed = false

  constructor(parts: FencingParts) {
    this.#parts = parts
  }

  /** Gives a position up, as soon as that can be written. */
  end(entry: Entry, reason: FenceReason): void {
    this.fence(entry, reason).catch(async error => {
      await nextTry(this.#parts, error)
      if (!this.#closed && entry.epoch.entries.has(entry.number)) this.end(entry, reason)
    })
  }

  /** Gives a position up. @throws AfpDataStoreError; AfpDeliveryError QUEUE_FULL: then it stands as it was */
  async fence(entry: Entry, reason: FenceReason): Promise<void> {
    const { author, recipient, recorder, quota, sender } = this.#parts
    const { epoch, number, row } = entry
    if (epoch.fences.has(number)) return
    epoch.fences.set(number, entry)
    // Whether it has left is said for good: it must not leave while that is being written.
    sender.hold(entry)
    try {
      const status = reason === 'attempts-exhausted' ? 'dead' : reason === 'cancelled' ? 'cancelled' : 'expired'
      const fate: Fate = {
        ...fateOf(recipient, epoch, number, row.messageId, status),
        reason,
        inDoubt: entry.left,
        attempts: entry.tries,
        ended: await endedOf(entry, author),
      }
      await recorder.record([fate], [putOutbox(rowKeyOf(recipient, entry), { ...row, fence: reason, frame: NO_BYTES })])
    } catch (error) {
      epoch.fences.delete(number)
      if (reason === 'cancelled') sender.resume(entry)
      throw error
    }
    epoch.entries.delete(number)
    quota.give(entry.bytes)
    sender.remove(entry)
    epoch.feed.skip(number)
    sender.stateChanged()
    sender.pump()
  }

  /** Nothing is tried again. */
  close(): void {
    this.#closed = true
  }
}
