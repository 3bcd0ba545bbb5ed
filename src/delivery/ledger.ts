/** What becomes of messages, told to whoever keeps receipts and dead letters: first as rows of the same batch, then as news. */

import type { Failure } from '../message/failure.ts'
import type { Check, Write } from '../store/store.ts'
import type { MessageReceipt } from './receipts.ts'
import type { OutboxHead } from './rows.ts'

/** A message at a position. */
export interface Position {
  readonly messageId: string
  readonly recipient: string
  readonly epoch: string
  readonly number: number
}

/** Something that happened to a message on its way to one recipient. `queued`: its row is put with it. */
export interface Fate extends Position {
  readonly status:
    | 'queued'
    | 'sent'
    | 'delivered'
    | 'processed'
    | 'refused'
    | 'skipped'
    | 'expired'
    | 'cancelled'
    | 'dead'
  /** Why it is dead, or was refused: a reason of dead letters. */
  readonly reason?: string | undefined
  /** Bytes left, and nobody knows whether they arrived. */
  readonly inDoubt?: boolean | undefined
  /** Its recipient has nothing to say of it, since it was never taken or never left, or nobody asks what that says. */
  readonly final?: boolean | undefined
  /** What it failed with. */
  readonly error?: Failure | undefined
  /** Tries so far. */
  readonly attempts?: number | undefined
  /** The row that ends, and its content: what a dead letter keeps. */
  readonly ended?: { readonly row: OutboxHead; readonly payload: Uint8Array } | undefined
}

/** What is to be recorded of fates. One of its functions has to be called. */
export interface Staged {
  /** They go into the batch that makes it so. */
  readonly writes: readonly Write[]
  /** What they were made from has to be on the disk by then: where it is not, nothing of them is. Default: none. */
  readonly checks?: readonly Check[]
  /** The batch is on the disk. */
  committed(): void
  /** It is not, and will not be. */
  abandoned(): void
}

/** See the head of this file. */
export interface Ledger {
  /**
   * @param stored receipts that are not in memory, see {@link recall}
   * @throws AfpDeliveryError QUEUE_FULL when there is no room for a dead letter; the message has to stay where it is
   */
  stage(fates: readonly Fate[], stored?: ReadonlyMap<string, MessageReceipt>): Staged
  /**
   * Does `write` once nothing is under way that these would be made from: staged at its beginning, they need no checks.
   * Those of the same messages that ask go one after the other, in the order in which they asked.
   */
  inTurn<T>(fates: readonly Fate[], write: () => Promise<T>): Promise<T>
  /** Reads the receipts of messages that are not in memory any more; undefined when all are. @throws AfpDataStoreError */
  recall(fates: readonly Fate[]): Promise<ReadonlyMap<string, MessageReceipt>> | undefined
}

/** How much may wait for a recipient. `awaited`: it is a reply, or tells of a failure, see `Draft.awaited`. */
export interface Quota {
  /** @throws AfpRoutingError QUEUE_FULL */
  take(bytes: number, awaited?: boolean): void
  /** Counts a message that was taken before: it stays, whether or not there is room. */
  keep(bytes: number, awaited?: boolean): void
  /** It waits no longer; as it was taken. */
  give(bytes: number, awaited?: boolean): void
}
