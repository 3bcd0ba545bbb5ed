/** What the epochs of an author tell of what came. */

import type { Range } from './ranges.ts'

/** What came of an envelope. */
export interface Accepted {
  /** False: it was there already, or was skipped; nothing changed. */
  readonly taken: boolean
  /** What may be handed on now, ascending: in order within each class. */
  readonly released: readonly number[]
  /** Order waited for it no longer: where it is released, it may be out of its turn. */
  readonly late: boolean
}

/** What came of an author's state. */
export interface StateNews {
  readonly released: readonly number[]
  /** Skips that were not known. */
  readonly skipped: readonly Range[]
  /** What the author has settled and this reader has never seen: its store was lost or set back. */
  readonly lost: readonly Range[]
  /** What exists and has neither arrived nor been skipped or given up; at most `MAX_RANGES` ranges. */
  readonly holes: readonly Range[]
}

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
