/**
 * An epoch among the others of its author, and what is stored of it:
 *
 * ```
 * [order, [* earlier epochs], [* epochs that it waits for], final: bool, unlisted: bool, snapshot of its reader]
 * ```
 */

import { isNumber } from './ranges.ts'
import { ReaderFeed } from './reader-feed.ts'
import { damaged } from './snapshot.ts'
import type { Position } from './wire.ts'

/** See the head of this file. */
export interface KeptEpoch {
  readonly feed: ReaderFeed
  /** The unsettled earlier epochs that its opening names. */
  readonly earlier: ReadonlySet<string>
  /** Those of them that are still waited for. */
  readonly awaits: Set<string>
  /** Which was opened first here. */
  readonly order: number
  /** The author's word on its last number is final: it has opened a later one. */
  final: boolean
  /** The author, having opened a later one, has nothing unsettled here. */
  unlisted: boolean
  /** What is released waits for earlier epochs. */
  held: boolean
}

/** Whether a value is the id of an epoch. */
export const isEpochId = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value)

/** Whether an epoch was opened before another: the other names it, or did not need to and came here later. */
export const isBefore = (kept: KeptEpoch, other: KeptEpoch): boolean =>
  other.earlier.has(kept.feed.epoch) || (kept.order < other.order && !kept.earlier.has(other.feed.epoch))

/** Whether order waits for nothing in an epoch any more, so that later ones may go on. */
export const isOver = ({ feed, final }: KeptEpoch): boolean => (final || feed.free) && feed.complete

/** The form that is stored. @param awaits epochs that it may have to wait for after a restart */
export const writeKept = (kept: KeptEpoch, awaits: readonly string[], reader: unknown[]): unknown[] => [
  kept.order,
  [...kept.earlier],
  awaits,
  kept.final,
  kept.unlisted,
  reader,
]

/**
 * Reads what was stored; the epoch is held.
 * @throws AfpDataStoreError STORE_FAILED for what is damaged
 */
export function readKept(epoch: string, stored: unknown, rows: Iterable<Position>): KeptEpoch {
  const [order, earlier, awaits, final, unlisted, reader, ...more] = Array.isArray(stored) ? (stored as unknown[]) : []
  if (!isNumber(order) || !areIds(earlier) || !areIds(awaits) || more.length > 0) throw damaged('its shape')
  if (typeof final !== 'boolean' || typeof unlisted !== 'boolean') throw damaged('its shape')
  const feed = ReaderFeed.restore(epoch, reader, rows)
  return { feed, earlier: new Set(earlier), awaits: new Set(awaits), order, final, unlisted, held: true }
}

const areIds = (value: unknown): value is string[] => Array.isArray(value) && value.every(isEpochId)
