/** Writes what becomes of messages: rows, receipts and dead letters in one batch, told once it is on the disk. */

import { AfpDataStoreError } from '../common/errors.ts'
import type { Batch, Check, Store, Write } from '../store/store.ts'
import type { Fate, Ledger } from './ledger.ts'
import { LettersFull } from './letter-room.ts'
import { type NextTryParts, nextTry } from './next-try.ts'
import type { MessageReceipt } from './receipts.ts'

/** What recording needs. */
export interface RecorderParts extends NextTryParts {
  readonly store: Store
  readonly ledger: Ledger
}

/**
 * Commits a batch together with what the ledger makes of these fates, and tells of them. It may be made several times:
 * what it was made from can fail on its way to the disk.
 * @throws AfpDataStoreError; AfpDeliveryError QUEUE_FULL without room for a dead letter: then nothing has changed
 */
export async function commitFates(
  { store, ledger }: Pick<RecorderParts, 'store' | 'ledger'>,
  fates: readonly Fate[],
  batch: () => Batch,
  stored?: ReadonlyMap<string, MessageReceipt>,
): Promise<void> {
  for (let alone = false; ; alone = true) {
    const staged = ledger.stage(fates, stored)
    // Of several that fail for one another each would go on being made from one that does.
    if (alone && staged.ahead !== undefined) {
      staged.abandoned()
      await staged.ahead
      continue
    }
    try {
      const { checks = [], writes } = batch()
      const ordered = staged.checks ?? []
      await store.commit({ checks: [...checks, ...ordered], writes: [...writes, ...staged.writes] })
    } catch (error) {
      staged.abandoned()
      const conflict = error instanceof AfpDataStoreError && error.code === 'STORE_CONFLICT'
      if (!conflict || staged.ahead === undefined) throw error
      await staged.ahead
      continue
    }
    return staged.committed()
  }
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
    this.#underway++
    try {
      await commitFates(this.#parts, fates, () => ({ checks, writes }))
    } finally {
      this.#underway--
    }
  }

  /**
   * As {@link record}, until the disk has it: what the recipient said, it does not say again. What is to be written is
   * asked for at each try, since later news may have overtaken one that failed.
   * @param waits is called when it waits for nothing but room for a dead letter: that may last until a person comes
   * @returns whether the disk has it; not, where it was closed before
   */
  async persist(fates: readonly Fate[], writes: () => readonly Write[], waits = () => {}): Promise<boolean> {
    this.#underway++
    try {
      while (!this.#closed) {
        try {
          // Its recipient may have taken its time.
          const recalled = this.#parts.ledger.recall(fates)
          const stored = recalled && (await recalled)
          await commitFates(this.#parts, fates, () => ({ writes: writes() }), stored)
          return true
        } catch (error) {
          if (error instanceof LettersFull) waits()
          await nextTry(this.#parts, error)
        }
      }
      return false
    } finally {
      this.#underway--
    }
  }

  /** Nothing is tried again. */
  close(): void {
    this.#closed = true
  }
}
