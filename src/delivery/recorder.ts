/** Writes what becomes of messages: rows, receipts and dead letters in one batch, told once it is on the disk. */

import { isConflict } from '../common/errors.ts'
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
 * Commits a batch together with what the ledger makes of these fates, and tells of them. It is asked for at each try: what
 * it was made from can fail on its way to the disk.
 * @param batch undefined: later news has overtaken it, and nothing is written, of the fates neither
 * @returns whether it was written
 * @throws AfpDataStoreError; AfpDeliveryError QUEUE_FULL without room for a dead letter: then nothing has changed
 */
export async function commitFates(
  { store, ledger }: Pick<RecorderParts, 'store' | 'ledger'>,
  fates: readonly Fate[],
  batch: () => Batch | undefined,
  stored?: ReadonlyMap<string, MessageReceipt>,
): Promise<boolean> {
  /** Undefined: what it was made from is not there. */
  const write = (): Promise<boolean | undefined> => {
    const made = batch()
    if (made === undefined) return Promise.resolve(false)
    const staged = ledger.stage(fates, stored)
    const { checks: ordered = [] } = staged
    const checks = [...(made.checks ?? []), ...ordered]
    return store.commit({ checks, writes: [...made.writes, ...staged.writes] }).then(
      () => {
        staged.committed()
        return true
      },
      error => {
        staged.abandoned()
        if (!isConflict(error) || ordered.length === 0) throw error
        return undefined
      },
    )
  }
  // Of several that fail for one another each would go on being made from one that does: in its turn none is.
  let written = await write()
  while (written === undefined) written = await ledger.inTurn(fates, write)
  return written
}

/** See the head of this file. */
export class Recorder {
  readonly #parts: RecorderParts
  /** What is being written, or will be tried again. */
  #underway = 0
  readonly #closing = new AbortController()

  constructor(parts: RecorderParts) {
    this.#parts = parts
  }

  get busy(): boolean {
    return this.#underway > 0
  }

  /**
   * @param overtaken asked at each try: whether later news has overtaken it; then nothing is written. Default: never
   * @returns whether it was written
   * @throws AfpDataStoreError; AfpDeliveryError QUEUE_FULL without room for a dead letter: then nothing has changed
   */
  async record(
    fates: readonly Fate[],
    writes: readonly Write[],
    checks: readonly Check[] = [],
    overtaken = () => false,
  ): Promise<boolean> {
    this.#underway++
    try {
      return await commitFates(this.#parts, fates, () => (overtaken() ? undefined : { checks, writes }))
    } finally {
      this.#underway--
    }
  }

  /**
   * As {@link record}, until the disk has it: what the recipient said, it does not say again. What is to be written is
   * asked for at each try, since later news may have overtaken one that failed.
   * @param owing is called when it waits for nothing but room for a dead letter: that may last until a person comes, and
   *   what this writes is on the disk before the next try
   * @returns whether the disk has it; not, where it was closed before
   */
  async persist(fates: readonly Fate[], writes: () => readonly Write[], owing?: () => Promise<void>): Promise<boolean> {
    this.#underway++
    try {
      while (!this.#closing.signal.aborted) {
        try {
          // Its recipient may have taken its time.
          const recalled = this.#parts.ledger.recall(fates)
          const stored = recalled && (await recalled)
          await commitFates(this.#parts, fates, () => ({ writes: writes() }), stored)
          return true
        } catch (error) {
          const next = nextTry(this.#parts, error, this.#closing.signal)
          if (error instanceof LettersFull) await owing?.()
          await next
        }
      }
      return false
    } finally {
      this.#underway--
    }
  }

  /** Nothing is tried again. */
  close(): void {
    this.#closing.abort()
  }
}
