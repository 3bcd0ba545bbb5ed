/** What is said, kept and remembered of messages and epochs, as things really happened. */

import type { AuthorFeed, FeedAck, FeedState } from '../../src/feed/author-feed.ts'
import type { Position } from '../../src/feed/wire.ts'
import type { AuthorModel } from './author-model.ts'

export type Packet =
  | { readonly kind: 'opening'; readonly epoch: string; readonly earlier: string[] }
  | { readonly kind: 'envelope'; readonly epoch: string; readonly position: Position }
  | { readonly kind: 'states'; readonly states: FeedState[] }
  /** `at` counts the acknowledgements of an epoch. */
  | { readonly kind: 'ack'; readonly ack: FeedAck; readonly at: number }

export type Outcome = 'processed' | 'refused' | 'skipped'

/** An epoch as its author has it. */
export interface Written {
  readonly id: string
  readonly index: number
  feed: AuthorFeed
  readonly earlier: string[]
  /** The epoch is on the disk. */
  stored: boolean
  /** On the disk. */
  readonly rows: Map<number, Position>
  readonly fences: Set<number>
  readonly delivered: Set<number>
  /** What the recipient has; the disk may not know it yet. */
  readonly gone: Set<number>
  /** Given up once the author restarted. */
  model: AuthorModel | undefined
  /** Acknowledgements that were made, and the newest that came. */
  acks: number
  newestAck: number
}

/** A message, whatever became of it. */
export interface Truth {
  readonly epoch: string
  readonly number: number
  readonly priority: number
  /** Its row was on the author's disk. */
  durable: boolean
  /** The reader will not have it, whenever it comes. */
  bad: boolean
  /** Its handler ended with a refusal, on the reader's disk. */
  refused: boolean
  outcome: Outcome | undefined
  /** Times that a handler's end got to the reader's disk. */
  ends: number
  givenUp: boolean
  /** It came after its turn. */
  late: boolean
}

export interface Commit {
  readonly apply: () => void
  readonly fail: () => void
}

export const key = (epoch: string, number: number): string => `${Number.parseInt(epoch, 16)}:${number}`
