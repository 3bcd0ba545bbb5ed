/**
 * The ledger: a receipt for each message, a dead letter for each that ends undelivered, in the batch that makes it so.
 *
 * A message that waits for one recipient has no row but its own. A receipt is one row for all of a message's recipients,
 * and their batches do not wait for one another: each is made from the ones before it. What these say of recipients of
 * whom it says nothing new may yet fail, and has to take with it what was made from it: so a batch is written only where
 * the row is what it was made from.
 */

import type { Check } from '../store/store.ts'
import type { Arrived } from './arrived.ts'
import { DEAD_REASONS, type DeadReason, type NewDeadLetter } from './dead-letter.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { Fate, Ledger, Staged } from './ledger.ts'
import { type ReceiptWrite, writeReceipt } from './receipt-rows.ts'
import { advance, isImplied, type MessageReceipt, type ReceiptEvent } from './receipts.ts'
import type { InboxOwes } from './rows.ts'
import type { Tracker } from './tracker.ts'

/** Whose books they are. */
export interface BooksParts {
  /** This agent's id: the sender of what ends. */
  readonly self: string
  readonly tracker: Tracker
  readonly deadLetters: DeadLetters
}

/** The row of a receipt on its way to the disk. */
interface Underway {
  readonly write: ReceiptWrite
  /** Resolves when it is there, or will not be. */
  readonly ended: Promise<void>
}

/** See the head of this file. */
export class Books implements Ledger {
  readonly #parts: BooksParts
  /** By message, in their order. */
  readonly #underway = new Map<string, Underway[]>()
  /** By message: when the last one that has asked for its turn has had it. */
  readonly #turns = new Map<string, Promise<void>>()

  constructor(parts: BooksParts) {
    this.#parts = parts
  }

  recall(fates: readonly Fate[]): Promise<ReadonlyMap<string, MessageReceipt>> | undefined {
    const { tracker } = this.#parts
    const ids = [...byMessage(fates).keys()].filter(id => tracker.tracking(id) === undefined)
    if (ids.length === 0) return undefined
    const read = async (id: string) => [id, await tracker.get(id)] as const
    return Promise.all(ids.map(read)).then(
      all => new Map(all.flatMap(([id, receipt]) => (receipt ? [[id, receipt]] : []))),
    )
  }

  stage(fates: readonly Fate[], stored: ReadonlyMap<string, MessageReceipt> = new Map()): Staged {
    const staged: Pick<Staged, 'committed' | 'abandoned'>[] = []
    const news = new Set<Fate>()
    const writes: Staged['writes'][number][] = []
    const { self, tracker, deadLetters } = this.#parts
    try {
      for (const fate of fates) {
        const change = tracker.apply(fate.messageId, fate.recipient, eventOf(fate), stored.get(fate.messageId))
        if (change !== undefined) {
          staged.push(change)
          news.add(fate)
        }
        if (fate.ended === undefined || fate.status === 'cancelled') continue
        // Its recipient has spoken meanwhile, and its word stands. Of what is not followed, nobody knows more than this.
        const known = tracker.latest(fate.messageId) ?? stored.get(fate.messageId)
        const followed = known?.recipients.has(fate.recipient)
        // It has not where it knows of nothing: then what is so already could not be written before.
        if (change === undefined && followed && fate.final !== true) continue
        const { row, payload } = fate.ended
        const dead: NewDeadLetter = {
          side: 'sender',
          peer: fate.recipient,
          reason: fate.status === 'expired' ? 'expired' : reasonOf(fate.reason),
          message: payload,
          messageId: fate.messageId,
          sender: self,
          attempts: fate.attempts ?? 0,
          lastError: fate.error,
          strategy: row.strategy,
          inDoubt: fate.inDoubt,
        }
        const letter = deadLetters.stage(dead, row.lettered)
        staged.push(letter)
        writes.push(...letter.writes)
      }
    } catch (error) {
      takeBack(staged)
      throw error
    }
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    const receipts: ReceiptWrite[] = []
    const checks: Check[] = []
    // The newest word on each, also where this batch changes nothing of it: a receipt begins with its first row.
    for (const [id, own] of byMessage(fates)) {
      const receipt = tracker.latest(id)
      if (receipt === undefined || (own.every(({ status }) => status === 'queued') && isImplied(receipt))) continue
      const last = this.#ahead(id, () => own.filter(fate => news.has(fate))).at(-1)?.write
      if (last !== undefined) checks.push({ table: last.table, key: last.key, value: last.value })
      const write = writeReceipt(receipt)
      receipts.push(write)
      this.#underway.set(id, [...(this.#underway.get(id) ?? []), { write, ended }])
    }
    const over = (): void => {
      for (const write of receipts) this.#over(write)
      end()
    }
    return {
      writes: [...writes, ...receipts],
      checks,
      committed: () => {
        over()
        for (const change of staged) change.committed()
      },
      abandoned: () => {
        over()
        takeBack(staged)
      },
    }
  }

  async inTurn<T>(fates: readonly Fate[], write: () => Promise<T>): Promise<T> {
    const messages = [...byMessage(fates)]
    const before = messages.map(([id]) => this.#turns.get(id))
    const { promise: over, resolve } = Promise.withResolvers<void>()
    for (const [id] of messages) this.#turns.set(id, over)
    const isNews = (fate: Fate): boolean => this.#isNews(fate)
    const underway = (): Underway[] => messages.flatMap(([id, own]) => this.#ahead(id, () => own.filter(isNews)))
    try {
      await Promise.all(before)
      // Whoever does not wait for a turn may have come in between.
      for (let ahead = underway(); ahead.length > 0; ahead = underway()) {
        await Promise.all(ahead.map(({ ended }) => ended))
      }
      return await write()
    } finally {
      for (const [id] of messages) if (this.#turns.get(id) === over) this.#turns.delete(id)
      resolve()
    }
  }

  /**
   * What a batch is made from that has this news of a message: those under way, where they say something of others. A word
   * that changes nothing is no news: it may be a change that is under way that it comes too late for.
   */
  #ahead(id: string, news: () => readonly Fate[]): readonly Underway[] {
    const underway = this.#underway.get(id)
    if (underway === undefined) return []
    return this.#parts.tracker.changing(id, new Set(news().map(({ recipient }) => recipient))) ? underway : []
  }

  /** Whether a fate changes what its receipt says. */
  #isNews(fate: Fate): boolean {
    const receipt = this.#parts.tracker.latest(fate.messageId)
    return receipt !== undefined && advance(receipt, fate.recipient, eventOf(fate), 0) !== undefined
  }

  #over(write: ReceiptWrite): void {
    const id = write.key[0]
    const left = this.#underway.get(id)?.filter(other => other.write !== write) ?? []
    if (left.length > 0) this.#underway.set(id, left)
    else this.#underway.delete(id)
  }
}

const byMessage = (fates: readonly Fate[]): Map<string, Fate[]> => Map.groupBy(fates, ({ messageId }) => messageId)

/** The last one first: each was made from the one before it. */
const takeBack = (staged: readonly Pick<Staged, 'abandoned'>[]): void => {
  for (const change of staged.toReversed()) change.abandoned()
}

/** What a fate is to a receipt. */
export function eventOf({ status, reason, epoch, number, inDoubt, error, attempts, final }: Fate): ReceiptEvent {
  const position = `${epoch} ${number}`
  const end = { inDoubt, error, attempts, final, position }
  if (status === 'dead') return { type: 'dead', reason: reasonOf(reason), ...end }
  if (status === 'refused') return { type: 'refused', reason: reasonOf(reason) }
  if (status === 'expired' || status === 'cancelled') return { type: status, ...end }
  if (status === 'skipped') return { type: status, position }
  return { type: status }
}

/** A recipient may say anything. */
const reasonOf = (reason: string | undefined): DeadReason => DEAD_REASONS.find(known => known === reason) ?? 'rejected'

/** The dead letter of a message that came and could not be handled. */
export const letterOf = (
  { message, row, author }: Arrived,
  [reason, code, text = '']: InboxOwes,
): Parameters<DeadLetters['stage']>[0] => ({
  side: 'recipient',
  peer: author,
  reason,
  message: row.message,
  messageId: message.id,
  sender: author,
  security: message.security,
  attempts: row.retry.attempts,
  lastError: code === undefined ? undefined : { code, message: text },
})
