/**
 * How often messages were tried: known and told at once, and soon after on the disk, so that a restart goes on with the
 * tries that are left. It stands in the receipt, which lives longer than the row and is written with whatever else
 * becomes of the message: nothing that ends a row has to take it away, and nothing that comes late can bring one back.
 */

import type { Clock } from '../common/clock.ts'
import type { Random } from '../common/random.ts'
import type { Store, Write } from '../store/store.ts'
import type { Entry } from './out-epoch.ts'
import { writeReceipt } from './receipt-rows.ts'
import { nextRetry, type RetryStep, type RetryStrategy, resumeRetry } from './retry.ts'
import type { Tracker } from './tracker.ts'

/** What noting them needs. */
export interface TriesParts {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly tracker: Tracker
  /** For messages that bring none of their own. */
  readonly strategy: RetryStrategy
  /** They could not be written: what comes next is, and sending goes on. */
  readonly onError: (error: unknown) => void
}

/** See the head of this file. */
export class Tries {
  readonly #parts: TriesParts
  /** Ids of messages whose receipts are to be written. */
  #due = new Set<string>()
  #writing = false
  #closed = false

  constructor(parts: TriesParts) {
    this.#parts = parts
  }

  /** Has a message go on where its tries stand, those of an earlier run included. */
  resume(recipient: string, entry: Entry): void {
    const { tracker, clock, strategy } = this.#parts
    const { messageId, strategy: own = strategy } = entry.row
    const state = tracker.latest(messageId)?.recipients.get(recipient)?.retry
    if (state === undefined || state.attempts === 0) return
    entry.retry = resumeRetry(own, state, clock.now())
    entry.tries = state.attempts
  }

  /** Bytes were handed to a connection. It is written with what comes of it: the next run takes it for granted. */
  handed(recipient: string, entry: Entry): void {
    // What the connection did not take goes again as the same try.
    entry.tries = entry.retry.attempts + 1
    this.#parts.tracker.apply(entry.row.messageId, recipient, { type: 'sent' })?.committed()
  }

  /** A try was not answered; what follows. */
  failed(recipient: string, entry: Entry): RetryStep {
    const { tracker, clock, random, strategy } = this.#parts
    const { messageId, strategy: own = strategy } = entry.row
    const step = nextRetry(own, entry.retry, { now: clock.now(), random, expiresAt: entry.expiresAt })
    entry.retry = step.state
    const change = 'at' in step && tracker.apply(messageId, recipient, { type: 'retry', nextAt: step.at })
    if (change) {
      this.#due.add(messageId)
      void this.#write()
      change.committed()
    }
    return step
  }

  /** Writes nothing more. */
  close(): void {
    this.#closed = true
  }

  /** One batch for all that failed together, and one for what fails while that is written. */
  async #write(): Promise<void> {
    if (this.#writing) return
    this.#writing = true
    const { store, onError } = this.#parts
    const held = new Set<string>()
    // What else is overdue in this turn of the event loop comes before this goes on.
    await undefined
    while (this.#due.size > 0 && !this.#closed) {
      const writes = this.#take(held)
      if (writes.length > 0) await store.commit({ writes }).catch(onError)
    }
    for (const id of held) this.#due.add(id)
    this.#writing = false
  }

  #take(held: Set<string>): Write[] {
    const { tracker } = this.#parts
    const writes: Write[] = []
    for (const id of this.#due) {
      const receipt = tracker.latest(id)
      if (receipt === undefined) continue
      // The batch that is under way may fail, and has to take what it says of this message with it.
      if (tracker.changing(id)) held.add(id)
      else writes.push(writeReceipt(receipt))
    }
    this.#due = new Set()
    return writes
  }
}
