/** What the epochs of an author tell of what came. */

import type { Range } from './ranges.ts'
import type { Accepted, StateNews } from './reader-feed.ts'

/** Numbers of one epoch to be handed on, in this order. */
export interface Handed {
  readonly epoch: string
  readonly numbers: readonly number[]
}

/** What came of an envelope, and of later epochs that waited for it. */
export interface EpochAccepted extends Accepted {
  /** After `released`. */
  readonly others: readonly Handed[]
}

/** What came of a refusal. */
export interface EpochRefused {
  readonly taken: boolean
  readonly released: readonly Handed[]
}

/** What came of giving numbers up. */
export interface EpochGivenUp {
  readonly released: readonly Handed[]
  readonly given: readonly Range[]
}

/** What came of an author's states. */
export interface EpochsNews {
  readonly released: readonly Handed[]
  /** What each state said; without what was released. */
  readonly news: readonly (Omit<StateNews, 'released'> & { readonly epoch: string })[]
  /** Epochs that the author has and this reader does not: their openings are wanted. */
  readonly unknown: readonly string[]
  /**
   * Epochs that stand otherwise now: skips are not told before this is on the disk, and after a restart without it what
   * was said here would have to be said again before order goes on.
   */
  readonly changed: readonly string[]
}
