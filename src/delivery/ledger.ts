/** What becomes of messages, told to whoever keeps receipts and dead letters: first as rows of the same batch, then as news. */

import type { Write } from '../store/store.ts'
import type { OutboxRow } from './rows.ts'

/** A message at a position. */
export interface Position {
  readonly messageId: string
  readonly recipient: string
  readonly epoch: string
  readonly number: number
}

/** Something that happened to a message on its way to one recipient. */
export interface Fate extends Position {
  readonly status: 'queued' | 'sent' | 'delivered' | 'processed' | 'expired' | 'cancelled' | 'dead'
  /** Why it is dead: a reason of dead letters. */
  readonly reason?: string | undefined
  /** Bytes left, and nobody knows whether they arrived. */
  readonly inDoubt?: boolean | undefined
  /** Tries so far. */
  readonly attempts?: number | undefined
  /** The row that ends, and its content: what a dead letter keeps. */
  readonly ended?: { readonly row: OutboxRow; readonly payload: Uint8Array } | undefined
}

/** See the head of this file. */
export interface Ledger {
  /** The rows that record it: they go into the batch that makes it so. */
  rows(fate: Fate): Write[]
  /** It is on the disk. */
  done(fate: Fate): void
}

/** How much may wait for recipients, over all of them. */
export interface Quota {
  /** @throws AfpRoutingError QUEUE_FULL */
  take(bytes: number): void
  give(bytes: number): void
}
