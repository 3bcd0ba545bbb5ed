/** Writes what becomes of messages: rows, receipts and dead letters in one batch, told once it is on the disk. */

import type { Check, Store, Write } from '../store/store.ts'
import type { Fate, Ledger } from './ledger.ts'
import { LettersFull } from './letter-room.ts'
import { type NextTryParts, nextTry } from './next-try.ts'

/** What recording needs. */
export interface RecorderParts extends NextTryParts {
  readonly store: Store
  readonly ledger: Ledger
}

/** See the head of this file. */
export class Recorder {
  readonly #parts: RecorderParts
  /** What is being written, or will be tried again. */
  #underway = 0
  #closed = false

  constructor(parts: RecorderParts) {
    this.#parts = parts
  }

  get busy(): boolean {
    return this.#underway > 0
  }

  /** @throws AfpDataStoreError; AfpDeliveryError QUEUE_FULL without room for a dead letter: then nothing has changed */
  async record(fates: readonly Fate[], writes: readonly Write[], checks: readonly Check[] = []): Promise<void> {
    const { store, ledger } = this.#parts
    const staged = ledger.stage(fates)
    this.#underway++
    try {
      await store.commit({ checks, writes: [...writes, ...staged.writes] })
    } catch (error) {
      staged.abandoned()
      throw error
    } finally {
      this.#underway--
    }
    staged.committed()
  }

  /**
   * As {@link record}, until the disk has it: what the recipient said, it does not say again. What is to be written is
   * asked for at each try, since later news may have overtaken one that failed.
   * @param waits is called when it waits for nothing but room for a dead letter: that may last until a person comes
   */
  async persist(fates: readonly Fate[], writes: () => readonly Write[], waits = () => {}): Promise<void> {
    this.#underway++
    try {
      while (!this.#closed) {
        try {
          return await this.record(fates, writes())
        } catch (error) {
          if (error instanceof LettersFull) waits()
          await nextTry(this.#parts, error)
        }
      }
    } finally {
      this.#underway--
    }
  }

  /** Nothing is tried again. */
  close(): void {
    this.#closed = true
  }
}
