/** The ledger: a receipt for each message, a dead letter for each that ends undelivered, in the batch that makes it so. */

import { toFailure } from '../message/failure.ts'
import type { Arrived } from './arrived.ts'
import { DEAD_REASONS, type DeadReason } from './dead-letter.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { Fate, Ledger, Staged } from './ledger.ts'
import { putReceipt } from './receipt-rows.ts'
import type { ReceiptEvent } from './receipts.ts'
import type { Tracker } from './tracker.ts'

/** Whose books they are. */
export interface BooksParts {
  /** This agent's id: the sender of what ends. */
  readonly self: string
  readonly tracker: Tracker
  readonly deadLetters: DeadLetters
}

/** See the head of this file. */
export class Books implements Ledger {
  readonly #parts: BooksParts

  constructor(parts: BooksParts) {
    this.#parts = parts
  }

  stage(fates: readonly Fate[]): Staged {
    const staged: Pick<Staged, 'committed' | 'abandoned'>[] = []
    const writes: Staged['writes'][number][] = []
    const { self, tracker, deadLetters } = this.#parts
    try {
      for (const fate of fates) {
        const change = tracker.apply(fate.messageId, fate.recipient, eventOf(fate))
        if (change !== undefined) staged.push(change)
        if (fate.ended === undefined || fate.status === 'cancelled') continue
        // Its recipient has spoken meanwhile, and its word stands. Of what is not followed, nobody knows more than this.
        const followed = tracker.latest(fate.messageId)?.recipients.has(fate.recipient)
        // It has not where it knows of nothing: then what is so already could not be written before.
        if (change === undefined && followed && fate.final !== true) continue
        const letter = deadLetters.stage({
          side: 'sender',
          peer: fate.recipient,
          reason: fate.status === 'expired' ? 'expired' : reasonOf(fate.reason),
          message: fate.ended.payload,
          messageId: fate.messageId,
          sender: self,
          attempts: fate.attempts ?? 0,
          lastError: fate.error,
          strategy: fate.ended.row.strategy,
          inDoubt: fate.inDoubt,
        })
        staged.push(letter)
        writes.push(...letter.writes)
      }
    } catch (error) {
      takeBack(staged)
      throw error
    }
    // The newest word on each, also where this batch changes nothing of it: a receipt begins with its first row.
    for (const id of new Set(fates.map(({ messageId }) => messageId))) {
      const receipt = tracker.latest(id)
      if (receipt !== undefined) writes.push(putReceipt(receipt))
    }
    return {
      writes,
      committed: () => {
        for (const change of staged) change.committed()
      },
      abandoned: () => takeBack(staged),
    }
  }
}

/** The last one first: each was made from the one before it. */
const takeBack = (staged: readonly Pick<Staged, 'abandoned'>[]): void => {
  for (const change of staged.toReversed()) change.abandoned()
}

/** What a fate is to a receipt. */
export function eventOf({ status, reason, inDoubt, error, attempts, final }: Fate): ReceiptEvent {
  if (status === 'dead') return { type: 'dead', reason: reasonOf(reason), inDoubt, error, attempts, final }
  if (status === 'refused') return { type: 'refused', reason: reasonOf(reason) }
  if (status === 'expired' || status === 'cancelled') return { type: status, inDoubt, error, attempts, final }
  return { type: status }
}

/** A recipient may say anything. */
const reasonOf = (reason: string | undefined): DeadReason => DEAD_REASONS.find(known => known === reason) ?? 'rejected'

/** The dead letter of a message that came and could not be handled. */
export const letterOf = (
  { message, row, author }: Arrived,
  reason: 'handler-error' | 'expired',
  error: unknown,
): Parameters<DeadLetters['stage']>[0] => ({
  side: 'recipient',
  peer: author,
  reason,
  message: row.message,
  messageId: message.id,
  sender: author,
  security: message.security,
  attempts: row.retry.attempts,
  lastError: error === undefined ? undefined : toFailure(error),
})
