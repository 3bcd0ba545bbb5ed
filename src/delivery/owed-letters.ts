/**
 * Messages that have their end by their recipient's word, and a dead letter that finds no room. That end is on the disk
 * all the same, as a row that owes the letter: in the place of the sealed one, and open, since the key of its epoch may be
 * gone by the time there is room. Nothing of it goes to anybody any more, and nothing waits for it; until there is its
 * letter it counts in the outbox, and its receipt stays as it was.
 */

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

/** See the head of this file. */
export class OwedLetters {
  readonly #parts: OwedLettersParts

  constructor(parts: OwedLettersParts) {
    this.#parts = parts
  }

  /**
   * Ends a message, with its letter or owing that; resolves when the disk has it. False: it was closed before.
   * @param end its row as it is from then on
   */
  end(end: OutRow): Promise<boolean> {
    const { recorder, recipient } = this.#parts
    const { promise: kept, resolve } = Promise.withResolvers<boolean>()
    const put = putOutbox(outboxKey(recipient, end.epoch, end.number), end.row)
    let owed = false
    const owing = async (): Promise<void> => {
      // Once: from then on it is there.
      owed ||= await recorder.persist([], () => [put])
      resolve(owed)
    }
    void this.#make(end, owing).then(resolve)
    return kept
  }

  /** Takes in what was on the disk. */
  load(owed: readonly OutRow[]): void {
    for (const row of owed) void this.#make(row)
  }

  async #make({ epoch, number, row }: OutRow, owing?: () => Promise<void>): Promise<boolean> {
    const { recipient, recorder, quota } = this.#parts
    const position = { messageId: row.messageId, recipient, epoch, number }
    const [status, reason, attempts] = row.owes as OutboxOwes
    const ended = { row, payload: row.frame }
    const fates: Fate[] = [{ ...position, status, reason, attempts, inDoubt: false, ended }]
    if (status !== 'refused') fates.push({ ...position, status: 'skipped' })
    quota.keep(row.frame.length)
    const deletion = { op: 'delete', table: 'outbox', key: outboxKey(recipient, epoch, number) } as const
    const made = await recorder.persist(fates, () => [deletion], owing)
    if (made) quota.give(row.frame.length)
    return made
  }
}

/** What stays of a message that ends with a dead letter; undefined of one that has none. */
export function owedRow(fates: readonly Fate[]): OutboxRow | undefined {
  const end = fates.find(({ ended }) => ended !== undefined)
  if (end?.ended === undefined) return undefined
  const { status, reason = '', attempts = 0, ended } = end
  const owes: OutboxOwes = [status as OutboxOwes[0], reason, attempts]
  return { ...ended.row, fence: undefined, owes, frame: ended.payload }
}
