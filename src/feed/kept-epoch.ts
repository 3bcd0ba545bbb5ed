/**
 * An epoch among the others of its author, and what is stored of it:
 *
 * ```
 * [order, [* earlier epochs], [* epochs that it waits for], final: bool, unlisted: bool, snapshot of its reader]
 * ```
 */

import type { StateNews } from './epochs-news.ts'
import { isNumber } from './ranges.ts'
import { ReaderFeed } from './reader-feed.ts'
import { damaged } from './snapshot.ts'
import type { FeedState, Position } from './wire.ts'

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

/** As {@link StateNews}, of one epoch. */
export type Beyond = StateNews & { readonly epoch: string }

/**
 * Gives up what is missing behind the last number that there is by the word of an author that has opened a later epoch: it
 * knows of none, be it that its store was set back, and will send none.
 */
export function giveUpBeyond({ feed }: KeptEpoch, state: FeedState | undefined): Beyond | undefined {
  if (state === undefined || state.last >= feed.last) return undefined
  const { released, given } = feed.giveUp([[state.last + 1, feed.last]])
  const { epoch } = feed
  return given.length > 0 ? { epoch, released, skipped: [], lost: given, holes: feed.holes() } : undefined
}

/**
 * Whether something waits in an epoch that came here before: one of which everything has arrived need not be named, but
 * may have to wait itself.
 */
export function isBehind(
  epoch: string,
  { earlier, order }: Pick<KeptEpoch, 'earlier' | 'order'>,
  all: ReadonlyMap<string, KeptEpoch>,
): boolean {
  for (const [id, other] of all) {
    if (other.order < order && other.feed.waiting > 0 && !earlier.has(id) && !other.earlier.has(epoch)) return true
  }
  return false
}

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
