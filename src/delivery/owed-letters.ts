/**
 * Messages that have their end by their recipient's word, with a dead letter that finds no room. That end is on the disk
 * all the same, with a row that owes the letter: in the place of the sealed one, and open, since the key of its epoch may
 * be gone by the time there is room. Nothing of it goes to anybody any more, nor waits for it; until there is its letter
 * it counts in the outbox.
 */

import type { Key, Write } from '../store/store.ts'
import type { Fate, Quota } from './ledger.ts'
import type { OutRow } from './loading.ts'
import type { Recorder } from './recorder.ts'
import { type OutboxOwes, type OutboxRow, outboxKey, putOutbox } from './rows.ts'

/** What owing needs. */
export interface OwedLettersParts {
  readonly recipient: string
  readonly recorder: Recorder
  readonly quota: Quota
}

/** A message that ends with a dead letter. */
export interface EndWithLetter {
  readonly fates: readonly Fate[]
  readonly key: Key
  /** What stays of it while there is no room. */
  readonly row: OutboxRow
}

/** See the head of this file. */
export class OwedLetters {
  readonly #parts: OwedLettersParts

  constructor(parts: OwedLettersParts) {
    this.#parts = parts
  }

  /** Resolves when the end is on the disk, with its letter or as a row that owes that; false: it was closed before. */
  end({ fates, key, row }: EndWithLetter): Promise<boolean> {
    const { promise: kept, resolve } = Promise.withResolvers<boolean>()
    let owed = false
    void this.#make(fates, key, row, async () => {
      // Once: from then on it is there.
      owed ||= await this.#parts.recorder.persist([], () => [putOutbox(key, row)])
      resolve(owed)
    }).then(resolve)
    return kept
  }

  /** Takes in what was on the disk. */
  load(rows: readonly OutRow[]): void {
    const { recipient } = this.#parts
    for (const { epoch, number, row } of rows) {
      const position = { messageId: row.messageId, recipient, epoch, number }
      const end: Fate = { ...position, ...(row.owes as OutboxOwes), inDoubt: false, ended: { row, payload: row.frame } }
      const fates: Fate[] = end.status === 'refused' ? [end] : [end, { ...position, status: 'skipped' }]
      void this.#make(fates, outboxKey(recipient, epoch, number), row)
    }
  }

  async #make(fates: readonly Fate[], key: Key, row: OutboxRow, owing?: () => Promise<void>): Promise<boolean> {
    const { recorder, quota } = this.#parts
    const deletion: Write = { op: 'delete', table: 'outbox', key }
    quota.keep(row.frame.length)
    const made = await recorder.persist(fates, () => [deletion], owing)
    if (made) quota.give(row.frame.length)
    return made
  }
}

/** What stays of a message that ends with a dead letter; undefined of one that has none. */
export function owedRow(fates: readonly Fate[]): OutboxRow | undefined {
  const end = fates.find(({ ended }) => ended !== undefined)
  if (end?.ended === undefined) return undefined
  const { status, reason, attempts = 0, ended } = end
  const owes: OutboxOwes = { status: status as OutboxOwes['status'], reason, attempts }
  return { ...ended.row, fence: undefined, owes, frame: ended.payload }
}
