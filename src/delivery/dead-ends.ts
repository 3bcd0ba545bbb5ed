/**
 * Ends what came and could not be handled, or has expired: its dead letter is written in the batch in which its row goes.
 * Where there is no room for one the end is written and told all the same, and the row stays for the letter alone. It
 * takes up its author's room in the inbox until then, which bounds how many such there are.
 */

import type { Clock } from '../common/clock.ts'
import type { Store } from '../store/store.ts'
import type { Arrived } from './arrived.ts'
import type { Endings } from './endings.ts'
import type { Incoming } from './incoming.ts'
import type { Staged } from './ledger.ts'
import { LettersFull } from './letter-room.ts'
import { nextTry } from './next-try.ts'
import type { InboxOwes } from './rows.ts'

/** What ending them needs. */
export interface DeadEndsParts {
  readonly store: Store
  readonly clock: Clock
  /** A dead letter, for the batch in which the message ends. @throws AfpDeliveryError QUEUE_FULL */
  readonly onDead: (arrived: Arrived, owes: InboxOwes) => Staged
  /** Something could not be written; it is tried again. */
  readonly onError: (error: unknown) => void
}

/** See the head of this file. */
export class DeadEnds {
  readonly #parts: DeadEndsParts
  readonly #incoming: Incoming
  readonly #endings: Endings

  constructor(parts: DeadEndsParts, incoming: Incoming, endings: Endings) {
    this.#parts = parts
    this.#incoming = incoming
    this.#endings = endings
  }

  /**
   * Resolves when its end is on the disk, with its letter or owing that, or will not be in this run.
   * @param signal nothing is tried again once it has fired
   */
  end(entry: Arrived, owes: InboxOwes, signal: AbortSignal): Promise<void> {
    const { promise: kept, resolve } = Promise.withResolvers<void>()
    void this.#endings.add(this.#end(entry, owes, signal, resolve)).finally(resolve)
    return kept
  }

  async #end(entry: Arrived, owes: InboxOwes, signal: AbortSignal, onOwed: () => void): Promise<void> {
    const { store, onError } = this.#parts
    for (;;) {
      let letter: Staged | undefined
      try {
        letter = this.#parts.onDead(entry, owes)
        const { writes, committed } = this.#incoming.ending(entry)
        await store.commit({ writes: [...letter.writes, ...writes] })
        letter.committed()
        committed()
        return this.#incoming.processed(entry)
      } catch (error) {
        letter?.abandoned()
        if (signal.aborted) return onError(error)
        const next = nextTry(this.#parts, error, signal)
        if (!(error instanceof LettersFull)) {
          await next
          continue
        }
        if (entry.row.owes === undefined) await this.#owe(entry, owes, signal)
        onOwed()
        await this.#endings.aside(next)
        // The next run goes on with it.
        if (signal.aborted) return
      }
    }
  }

  /** Has its end on the disk, and its row there for the letter. */
  async #owe(entry: Arrived, owes: InboxOwes, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { writes, committed } = this.#incoming.ending(entry, owes)
      try {
        await this.#parts.store.commit({ writes })
        entry.row = { ...entry.row, owes }
        return committed()
      } catch (error) {
        if (signal.aborted) return this.#parts.onError(error)
        await nextTry(this.#parts, error, signal)
      }
    }
  }
}
