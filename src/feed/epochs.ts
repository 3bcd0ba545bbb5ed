/**
 * All epochs of one author towards this reader. An author opens a new one at every start, and goes on delivering what is
 * left of the earlier ones: what comes in the later epoch is held until order waits for nothing in those any more.
 */

import { AfpDataStoreError } from '../common/errors.ts'
import { isNumber, malformed, type Range } from './ranges.ts'
import { type Accepted, ReaderFeed, type StateNews, type Verdict } from './reader-feed.ts'
import type { Snapshot } from './snapshot.ts'
import { type FeedAck, type FeedState, type Position, readState } from './wire.ts'

/** Epochs that may be open; beyond them only those are opened that another waits for. */
export const MAX_OPEN = 64
/** Epochs that are not settled here, those included that only have handlers at work. */
export const MAX_KEPT = 256
/** Earlier epochs that an opening may name. */
export const MAX_EARLIER = 128
/** Settled epochs that are remembered. */
export const MAX_SETTLED = 65_536
/**
 * How long a settled epoch is remembered at least, ms: 30 days. To be more where the longest TTL, what a relay adds to it
 * and twice the clock skew are more.
 */
export const KEEP_SETTLED = 30 * 86_400_000

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

/** What came of an author's states. */
export interface EpochsNews {
  readonly released: readonly Handed[]
  /** What each state said; without what was released. */
  readonly news: readonly (Omit<StateNews, 'released'> & { readonly epoch: string })[]
  /** Epochs that the author has and this reader does not: their openings are wanted. */
  readonly unknown: readonly string[]
}

/** An epoch that is not settled. */
interface Kept {
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
  /** It was given up as a whole. */
  missed: boolean
  /** What is released waits for earlier epochs. */
  held: boolean
}

const NONE: readonly never[] = []
const ID = /^[0-9a-f]{32}$/

/** See the head of this file. */
export class Epochs {
  readonly #kept = new Map<string, Kept>()
  /** Last number, and when it was settled. The oldest first. */
  readonly #settled = new Map<string, { readonly floor: number; readonly at: number }>()
  /** Epochs given up before they were ever opened. */
  readonly #missed = new Set<string>()
  /** How many are held. */
  #holding = 0
  #opened = 0

  /** Ids of the epochs that are not settled, the one opened first here first. */
  get ids(): string[] {
    return [...this.#kept.keys()]
  }

  /** The reader of an epoch that is not settled. Envelopes, states and refusals go through this class instead. */
  feed(epoch: string): ReaderFeed | undefined {
    return this.#kept.get(epoch)?.feed
  }

  /** Earlier epochs that a held epoch waits for. */
  awaits(epoch: string): string[] {
    return [...(this.#kept.get(epoch)?.awaits ?? [])]
  }

  /**
   * An opening was authenticated. `too-many`: it is refused, its author has to settle others first.
   * @throws AfpMessageError MALFORMED for ids that are none, and for too many of them
   */
  open(epoch: string, earlier: readonly string[]): 'opened' | 'known' | 'settled' | 'too-many' {
    if (earlier.length > MAX_EARLIER) throw malformed(`an opening that names more than ${MAX_EARLIER} epochs`)
    for (const id of [epoch, ...earlier]) if (!ID.test(id)) throw malformed('the id of an epoch')
    if (this.#settled.has(epoch)) return 'settled'
    if (this.#kept.has(epoch)) return 'known'
    if (!this.#hasRoom(epoch)) return 'too-many'
    const before = new Set(earlier)
    before.delete(epoch)
    const awaits = new Set([...before].filter(id => !this.#isOver(id)))
    const held = awaits.size > 0
    const feed = ReaderFeed.begin(epoch, { held })
    const missed = this.#missed.delete(epoch)
    if (missed) feed.waitForNothing()
    this.#kept.set(epoch, {
      feed,
      earlier: before,
      awaits,
      order: ++this.#opened,
      final: false,
      unlisted: false,
      missed,
      held,
    })
    if (held) this.#holding++
    return 'opened'
  }

  /** As {@link ReaderFeed.check}; `unknown`: its opening is wanted first. @throws AfpMessageError MALFORMED */
  check(epoch: string, position: Position): Verdict | 'unknown' {
    const kept = this.#kept.get(epoch)
    if (kept !== undefined) return kept.feed.check(position)
    return this.#settled.has(epoch) ? 'duplicate' : 'unknown'
  }

  /** As {@link ReaderFeed.begin}. @throws AfpMessageError MALFORMED */
  begin(epoch: string, position: Position): boolean {
    return this.#kept.get(epoch)?.feed.begin(position) === true
  }

  /** As {@link ReaderFeed.abandon}. */
  abandon(epoch: string, number: number): void {
    this.#kept.get(epoch)?.feed.abandon(number)
  }

  /** As {@link ReaderFeed.accept}. @throws AfpMessageError MALFORMED */
  accept(epoch: string, position: Position): EpochAccepted {
    const kept = this.#kept.get(epoch)
    if (kept === undefined) return { taken: false, released: NONE, late: false, others: NONE }
    const { taken, released, late } = kept.feed.accept(position)
    return { taken, released, late, others: this.#follow(kept) }
  }

  /** As {@link ReaderFeed.refuse}. @throws AfpMessageError MALFORMED */
  refuse(
    epoch: string,
    number: number,
    reason: string,
  ): { readonly taken: boolean; readonly released: readonly Handed[] } {
    const kept = this.#kept.get(epoch)
    if (kept === undefined) return { taken: false, released: NONE }
    const { taken, released } = kept.feed.refuse(number, reason)
    return { taken, released: this.#also(kept, released) }
  }

  /** As {@link ReaderFeed.processed}. */
  processed(epoch: string, number: number): boolean {
    return this.#kept.get(epoch)?.feed.processed(number) === true
  }

  /** As {@link ReaderFeed.giveUp}. */
  giveUp(
    epoch: string,
    ranges: Iterable<Range>,
  ): { readonly released: readonly Handed[]; readonly given: readonly Range[] } {
    const kept = this.#kept.get(epoch)
    if (kept === undefined) return { released: NONE, given: NONE }
    const { released, given } = kept.feed.giveUp(ranges)
    return { released: this.#also(kept, released), given }
  }

  /** Order waits for a whole epoch no longer, also where its opening never came. What still comes of it is late. */
  giveUpEpoch(epoch: string): readonly Handed[] {
    const kept = this.#kept.get(epoch)
    if (kept !== undefined) {
      kept.missed = true
      return this.#also(kept, kept.feed.waitForNothing())
    }
    if ([...this.#kept.values()].some(({ awaits }) => awaits.has(epoch))) this.#missed.add(epoch)
    return this.#resume()
  }

  /**
   * All states of the author, as one word of it, authenticated: what it does not list is settled, as far as it is earlier
   * than what it lists. Older and doubled words do no harm.
   * @throws AfpMessageError MALFORMED; nothing of it counts then
   */
  applyStates(states: readonly FeedState[]): EpochsNews {
    const listed = new Map(states.map(state => [state.epoch, state]))
    for (const state of states) readState(state)
    const released: Handed[] = []
    const news: EpochsNews['news'][number][] = []
    const unknown: string[] = []
    for (const [epoch, state] of listed) {
      const kept = this.#kept.get(epoch)
      if (kept === undefined) {
        if (!this.#settled.has(epoch)) unknown.push(epoch)
        continue
      }
      const { released: numbers, ...rest } = kept.feed.applyState(state)
      news.push({ epoch, ...rest })
      if (numbers.length > 0) released.push({ epoch, numbers })
    }
    for (const state of listed.values()) {
      const later = this.#kept.get(state.epoch)
      // An epoch without numbers says nothing: an author may keep it from any list.
      if (later !== undefined && state.last > 0) this.#conclude(later, listed)
    }
    for (const [epoch, { feed, unlisted }] of this.#kept) {
      const numbers = unlisted ? feed.waitForNothing() : NONE
      if (numbers.length > 0) released.push({ epoch, numbers })
    }
    return { released: [...released, ...this.#resume()], news, unknown }
  }

  /** The word for the author; undefined for an epoch that is not known. */
  ack(epoch: string): FeedAck | undefined {
    const kept = this.#kept.get(epoch)
    if (kept !== undefined) return kept.feed.ack()
    const settled = this.#settled.get(epoch)
    if (settled === undefined) return undefined
    const all = [settled.floor, []] as const
    return { epoch, delivered: all, processed: all, refused: NONE, skipped: [0, []] }
  }

  /** What is to be stored of an epoch that is not settled; undefined for others. */
  snapshot(epoch: string): Snapshot | undefined {
    const kept = this.#kept.get(epoch)
    if (kept === undefined) return undefined
    const { feed, earlier, awaits, order, final, unlisted, missed } = kept
    const { value, committed } = feed.snapshot()
    return { value: [order, [...earlier], [...awaits], final, unlisted, missed, value], committed }
  }

  /**
   * An epoch as it was left; {@link ReaderFeed.restore} tells what its rows mean. {@link resume} follows after the last.
   * @throws AfpDataStoreError STORE_FAILED for a snapshot that is damaged
   */
  restore(epoch: string, snapshot: unknown, rows: Iterable<Position>): void {
    if (!Array.isArray(snapshot) || snapshot.length !== 7) throw damaged()
    const [order, earlier, awaits, final, unlisted, missed, value] = snapshot as unknown[]
    if (!isNumber(order) || !areIds(earlier) || !areIds(awaits)) throw damaged()
    if (typeof final !== 'boolean' || typeof unlisted !== 'boolean' || typeof missed !== 'boolean') throw damaged()
    const feed = ReaderFeed.restore(epoch, value, rows)
    const sets = { earlier: new Set(earlier), awaits: new Set(awaits) }
    this.#kept.set(epoch, { feed, ...sets, order, final, unlisted, missed, held: true })
    this.#opened = Math.max(this.#opened, order)
    this.#holding++
  }

  /** A settled epoch as {@link shrink} told it. */
  restoreSettled(epoch: string, floor: number, at: number): void {
    this.#settled.set(epoch, { floor, at })
  }

  /** After the last {@link restore}: what may be handed on, of each epoch in order. */
  resume(): readonly Handed[] {
    const kept = [...this.#kept].sort(([, a], [, b]) => a.order - b.order)
    this.#kept.clear()
    for (const [epoch, entry] of kept) this.#kept.set(epoch, entry)
    return this.#resume()
  }

  /**
   * Lets go of what is over: `settled` are to be stored in place of their snapshots, `forgotten` to be deleted.
   * @param now ms since 1970
   * @param keep how long a settled epoch is remembered, ms; default {@link KEEP_SETTLED}
   */
  shrink(
    now: number,
    keep: number = KEEP_SETTLED,
  ): {
    readonly settled: readonly { readonly epoch: string; readonly floor: number; readonly at: number }[]
    readonly forgotten: readonly string[]
  } {
    const settled: { epoch: string; floor: number; at: number }[] = []
    for (const [epoch, { feed, unlisted, held }] of this.#kept) {
      if (!unlisted || held || feed.pending > 0 || !feed.complete) continue
      this.#kept.delete(epoch)
      const entry = { floor: feed.last, at: now }
      this.#settled.set(epoch, entry)
      settled.push({ epoch, ...entry })
    }
    const forgotten: string[] = []
    for (const [epoch, { at }] of this.#settled) {
      if (at + keep > now) continue
      this.#settled.delete(epoch)
      forgotten.push(epoch)
    }
    for (const id of this.#missed) {
      if (![...this.#kept.values()].some(({ earlier }) => earlier.has(id))) this.#missed.delete(id)
    }
    return { settled, forgotten }
  }

  /** What a later epoch and the list that it is in say about the earlier ones. */
  #conclude(later: Kept, listed: ReadonlyMap<string, FeedState>): void {
    for (const id of later.awaits) {
      if (this.#kept.has(id)) continue
      const state = listed.get(id)
      // Its opening never came here, and there is nothing left in it to wait for.
      if (state === undefined || state.base === state.last) later.awaits.delete(id)
    }
    for (const [id, kept] of this.#kept) {
      if (!isBefore(kept, later)) continue
      if (!listed.has(id)) kept.unlisted = true
      kept.final = true
    }
  }

  /** Whether order waits for nothing in an epoch any more. */
  #isOver(epoch: string): boolean {
    const kept = this.#kept.get(epoch)
    if (kept === undefined) return this.#settled.has(epoch) || this.#missed.has(epoch)
    return kept.missed || (kept.final && kept.feed.complete)
  }

  /** Hands on what waited for an epoch that is over now. */
  #follow({ feed, final, missed }: Kept): readonly Handed[] {
    return this.#holding > 0 && (missed || (final && feed.complete)) ? this.#resume() : NONE
  }

  #also(kept: Kept, numbers: readonly number[]): readonly Handed[] {
    const others = this.#follow(kept)
    return numbers.length > 0 ? [{ epoch: kept.feed.epoch, numbers }, ...others] : others
  }

  /** Stops holding what need not be held. One that is handed on may be what another waits for. */
  #resume(): readonly Handed[] {
    const released: Handed[] = []
    for (let again = this.#holding > 0; again; ) {
      again = false
      for (const [epoch, kept] of this.#kept) {
        if (!kept.held) continue
        for (const id of kept.awaits) if (this.#isOver(id)) kept.awaits.delete(id)
        if (kept.awaits.size > 0) continue
        kept.held = false
        this.#holding--
        again = true
        const numbers = kept.feed.resume()
        if (numbers.length > 0) released.push({ epoch, numbers })
      }
    }
    return released
  }

  #hasRoom(epoch: string): boolean {
    if (this.#kept.size + this.#settled.size >= MAX_SETTLED) return false
    let open = 0
    let wanted = false
    for (const [id, { awaits }] of this.#kept) {
      if (!this.#isOver(id)) open++
      wanted ||= awaits.has(epoch)
    }
    if (this.#kept.size < MAX_KEPT && (wanted || open < MAX_OPEN)) return true
    // One that nothing was ever heard of can be opened again.
    for (const [id, { feed, held }] of this.#kept) {
      if (!feed.untouched) continue
      this.#kept.delete(id)
      if (held) this.#holding--
      return true
    }
    return false
  }
}

/** Whether an epoch was opened before another: the other names it, or did not need to and came here later. */
const isBefore = (kept: Kept, other: Kept): boolean =>
  other.earlier.has(kept.feed.epoch) || (kept.order < other.order && !kept.earlier.has(other.feed.epoch))

const areIds = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(id => typeof id === 'string' && ID.test(id))

const damaged = (): AfpDataStoreError =>
  new AfpDataStoreError('STORE_FAILED', 'the snapshot of an epoch is damaged: its shape')
