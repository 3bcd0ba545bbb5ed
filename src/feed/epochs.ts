/**
 * All epochs of one author towards this reader. An author opens a new one at every start, and goes on delivering what
 * is left of the earlier ones: what comes in the later epoch is held until order waits for nothing in those any more.
 */

import { earliestFirst } from '../common/earliest-first.ts'
import type { EpochAccepted, EpochGivenUp, EpochRefused, EpochsNews, Handed } from './epochs-news.ts'
import {
  type Beyond,
  giveUpBeyond,
  isBefore,
  isBehind,
  isEpochId,
  isOver,
  type KeptEpoch,
  readKept,
  writeKept,
} from './kept-epoch.ts'
import { MAX_RANGES, malformed, type Range } from './ranges.ts'
import { ReaderFeed, type Verdict } from './reader-feed.ts'
import { KEEP_SETTLED, type SettledEpoch, SettledEpochs } from './settled.ts'
import type { Snapshot } from './snapshot.ts'
import { type FeedAck, type FeedState, type Position, readState } from './wire.ts'

/** Epochs that may be open; beyond them only those are opened that another waits for. */
export const MAX_OPEN = 64
/** Epochs that are not settled here, those included that only have handlers at work. */
export const MAX_KEPT = 256
/** Earlier epochs that an opening may name: of those that are not settled all in which something has not arrived. */
export const MAX_EARLIER = 64
/** Epochs that an author's word may list. */
export const MAX_LISTED = 128
/** Ranges of skips that each epoch may have, although the others have the {@link MAX_RANGES} that there are for all. */
const OWN_SKIPS = 16

export type { EpochAccepted, EpochsNews, Handed }

const NONE: readonly never[] = []

/** See the head of this file. */
export class Epochs {
  #kept = new Map<string, KeptEpoch>()
  readonly #settled = new SettledEpochs()
  /** How many are held. */
  #holding = 0
  #opened = 0

  /** Ids of the epochs that are not settled, the one opened first here first. */
  get ids(): string[] {
    return [...this.#kept.keys()]
  }

  /** Whether anything that was delivered waits for what was not. */
  get holding(): boolean {
    return [...this.#kept.values()].some(({ feed }) => feed.waiting > 0)
  }

  /** Whether there is nothing that would be missed. */
  get empty(): boolean {
    return this.#kept.size === 0 && this.#settled.size === 0
  }

  /** The reader of an epoch that is not settled. Envelopes, states and refusals go through this class instead. */
  feed(epoch: string): ReaderFeed | undefined {
    return this.#kept.get(epoch)?.feed
  }

  /** All that held epochs wait for. */
  awaited(): Set<string> {
    const all = [...this.#kept.values()].filter(({ held }) => held)
    return new Set(all.flatMap(({ awaits }) => [...awaits].filter(id => !this.#isOver(id))))
  }

  /**
   * An opening was authenticated. `too-many`: it is refused, unless {@link makeRoom} helps; its author has to settle
   * others first.
   * @throws AfpMessageError MALFORMED for ids that are none, and for too many of them
   */
  open(epoch: string, earlier: readonly string[]): 'opened' | 'known' | 'settled' | 'too-many' {
    if (earlier.length > MAX_EARLIER) throw malformed(`an opening that names more than ${MAX_EARLIER} epochs`)
    if (![epoch, ...earlier].every(isEpochId)) throw malformed('the id of an epoch')
    if (this.#settled.has(epoch)) return 'settled'
    if (this.#kept.has(epoch)) return 'known'
    if (!this.#hasRoom(epoch)) return 'too-many'
    const before = new Set(earlier)
    before.delete(epoch)
    const awaits = new Set([...before].filter(id => !this.#isOver(id)))
    const order = ++this.#opened
    const held = awaits.size > 0 || isBehind(epoch, { earlier: before, order }, this.#kept)
    const feed = ReaderFeed.begin(epoch, { held })
    // It was given up before it came.
    if (
      [...this.#kept.values()].some(later => later.earlier.has(epoch) && !later.unlisted && !later.awaits.has(epoch))
    ) {
      feed.waitForNothing()
    }
    this.#kept.set(epoch, { feed, earlier: before, awaits, order, final: false, unlisted: false, held })
    if (held) this.#holding++
    return 'opened'
  }

  /** As {@link drop}, of whichever it can. Returns its id. */
  makeRoom(): string | undefined {
    for (const id of this.#kept.keys()) if (this.drop(id)) return id
    return undefined
  }

  /** Lets go of an epoch of which no envelope ever arrived: it can be opened again, and is waited for as before. */
  drop(epoch: string): boolean {
    const kept = this.#kept.get(epoch)
    if (kept?.feed.untouched !== true) return false
    if (kept.held) this.#holding--
    return this.#kept.delete(epoch)
  }

  /**
   * Lets go of an epoch of which nothing can come any more, although its author has not said so: false where something in
   * it has no end, is missing and not given up, or is waited for. What is stored of it is to be deleted.
   */
  forget(epoch: string): boolean {
    if (this.drop(epoch)) return true
    const kept = this.#kept.get(epoch)
    if (kept === undefined || kept.feed.pending > 0 || !kept.feed.complete) return false
    for (const { awaits } of this.#kept.values()) if (awaits.has(epoch)) return false
    if (kept.held) this.#holding--
    return this.#kept.delete(epoch)
  }

  /**
   * As {@link ReaderFeed.check}; `unknown`: its opening is wanted first; `over`: its author said that it had ended before
   * there was this one, as an author may that runs twice. @throws AfpMessageError MALFORMED
   */
  check(epoch: string, position: Position): Verdict | 'unknown' | 'over' {
    const kept = this.#kept.get(epoch)
    if (kept !== undefined) return kept.feed.check(position)
    const floor = this.#settled.floorOf(epoch)
    if (floor === undefined) return 'unknown'
    return position.number > floor ? 'over' : 'duplicate'
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
  refuse(epoch: string, number: number, reason: string): EpochRefused {
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
  giveUp(epoch: string, ranges: Iterable<Range>): EpochGivenUp {
    const kept = this.#kept.get(epoch)
    if (kept === undefined) return { released: NONE, given: NONE }
    const { released, given } = kept.feed.giveUp(ranges)
    return { released: this.#also(kept, released), given }
  }

  /** Order waits for whole epochs no longer, also where an opening never came. What still comes of them is late. */
  giveUpEpochs(epochs: Iterable<string>): readonly Handed[] {
    const released: Handed[] = []
    const given = new Set(epochs)
    for (const epoch of given) {
      const numbers = this.#kept.get(epoch)?.feed.waitForNothing() ?? NONE
      if (numbers.length > 0) released.push({ epoch, numbers })
    }
    for (const { awaits } of this.#kept.values()) for (const id of awaits) if (given.has(id)) awaits.delete(id)
    return [...released, ...this.#resume()]
  }

  /**
   * The states of the author's epochs, as one word of it, authenticated: what it does not list is settled, as far as it
   * is earlier than what it lists. Older and doubled words do no harm, as long as no epoch is in one before it is on
   * its author's disk: one that its author forgot is not named by those after it, and might be taken for the latest.
   * @throws AfpMessageError MALFORMED; nothing of it counts then
   */
  applyStates(states: readonly FeedState[]): EpochsNews {
    if (states.length > MAX_LISTED) throw malformed(`a word on more than ${MAX_LISTED} epochs`)
    for (const state of states) {
      if (!isEpochId(state.epoch)) throw malformed('the id of an epoch')
      readState(state)
    }
    const listed = new Map(states.map(state => [state.epoch, state]))
    const released: Handed[] = []
    const news: EpochsNews['news'][number][] = []
    const unknown: string[] = []
    const changed = new Set<string>()
    let skips = 0
    for (const { feed } of this.#kept.values()) skips += feed.skips
    for (const [epoch, state] of listed) {
      const kept = this.#kept.get(epoch)
      if (kept === undefined) {
        if (!this.#settled.has(epoch)) unknown.push(epoch)
        continue
      }
      skips -= kept.feed.skips
      const { released: numbers, ...rest } = kept.feed.applyState(state, Math.max(OWN_SKIPS, MAX_RANGES - skips))
      skips += kept.feed.skips
      news.push({ epoch, ...rest })
      if (rest.skipped.length > 0) changed.add(epoch)
      if (numbers.length > 0) released.push({ epoch, numbers })
    }
    for (const state of listed.values()) {
      const later = this.#kept.get(state.epoch)
      // An epoch without numbers says nothing: an author may keep it from any list.
      if (later === undefined || state.last === 0) continue
      for (const { epoch, released: numbers, ...rest } of this.#conclude(later, listed, changed)) {
        news.push({ epoch, ...rest })
        changed.add(epoch)
        if (numbers.length > 0) released.push({ epoch, numbers })
      }
    }
    for (const [epoch, { feed, unlisted }] of this.#kept) {
      const numbers = unlisted ? feed.waitForNothing() : NONE
      if (numbers.length > 0) released.push({ epoch, numbers })
    }
    return { released: [...released, ...this.#resume()], news, unknown, changed: [...changed] }
  }

  /** The word for the author; undefined for an epoch that is not known. */
  ack(epoch: string): FeedAck | undefined {
    const kept = this.#kept.get(epoch)
    if (kept !== undefined) return kept.feed.ack()
    return this.#settled.ack(epoch)
  }

  /**
   * What is to be stored of an epoch that is not settled; undefined for others.
   * @param ended as for {@link ReaderFeed.snapshot}
   */
  snapshot(epoch: string, ended: readonly number[] = NONE): Snapshot | undefined {
    const kept = this.#kept.get(epoch)
    if (kept === undefined) return undefined
    const { value, committed } = kept.feed.snapshot(ended)
    const awaits = [...kept.earlier].filter(id => kept.awaits.has(id) || this.#tellsItself(id))
    return { value: writeKept(kept, awaits, value), committed }
  }

  /**
   * An epoch as it was left; {@link ReaderFeed.restore} tells what its rows mean. {@link resume} follows after the
   * last.
   * @throws AfpDataStoreError STORE_FAILED for a snapshot that is damaged
   */
  restore(epoch: string, snapshot: unknown, rows: Iterable<Position>): void {
    const kept = readKept(epoch, snapshot, rows)
    this.#kept.set(epoch, kept)
    this.#opened = Math.max(this.#opened, kept.order)
    this.#holding++
  }

  /** A settled epoch as {@link shrink} told it. */
  restoreSettled(entry: SettledEpoch): void {
    this.#settled.add(entry)
  }

  /** After the last {@link restore} and {@link restoreSettled}: what may be handed on, of each epoch in order. */
  resume(): readonly Handed[] {
    const asOpened = new Map([...this.#kept].sort(([, a], [, b]) => a.order - b.order))
    this.#kept = earliestFirst(asOpened, ({ earlier }) => earlier)
    this.#settled.sort()
    return this.#resume()
  }

  /**
   * Lets go of what is over: `settled` are to be stored in place of their snapshots, the others to be deleted; `untaken`
   * are settled too, but no envelope of them ever arrived.
   * @param now ms since 1970
   * @param keep how long a settled epoch is remembered, ms; default {@link KEEP_SETTLED}
   */
  shrink(
    now: number,
    keep: number = KEEP_SETTLED,
  ): {
    readonly settled: readonly SettledEpoch[]
    readonly untaken: readonly string[]
    readonly forgotten: readonly string[]
  } {
    const settled: SettledEpoch[] = []
    const untaken: string[] = []
    for (const [epoch, { feed, unlisted, held }] of this.#kept) {
      if (!unlisted || held || feed.pending > 0 || !feed.complete) continue
      this.#kept.delete(epoch)
      if (feed.untouched) {
        this.#settled.addUntaken(epoch, feed.last)
        untaken.push(epoch)
        continue
      }
      const entry = { epoch, floor: feed.last, at: now, unhandled: feed.unhandled }
      this.#settled.add(entry)
      settled.push(entry)
    }
    return { settled, untaken, forgotten: this.#settled.forget(now - keep) }
  }

  /** What a later epoch and the list that it is in say about the earlier ones; returns what of them is waited for no more. */
  #conclude(later: KeptEpoch, listed: ReadonlyMap<string, FeedState>, changed: Set<string>): Beyond[] {
    const beyond: Beyond[] = []
    for (const id of this.#letGo(later, listed)) changed.add(id)
    for (const [id, kept] of this.#kept) {
      if (!isBefore(kept, later)) continue
      const over = giveUpBeyond(kept, listed.get(id))
      if (over !== undefined) beyond.push(over)
      const unlisted = kept.unlisted || !listed.has(id)
      if (!kept.final || kept.unlisted !== unlisted) changed.add(id)
      kept.final = true
      kept.unlisted = unlisted
      // Its author may have forgotten it, with a store that was set back: what is listed before it is waited for all the
      // same, until a later word no longer lists that.
      if (unlisted && this.#letGo(kept, listed).length > 0) changed.add(id)
    }
    return beyond
  }

  /** Of what an epoch waits for, what nothing can come of, by the list that it is in or that settles it: waits for it no more. */
  #letGo({ awaits, unlisted }: KeptEpoch, listed: ReadonlyMap<string, FeedState>): string[] {
    const over = [...awaits].filter(id => {
      const state = listed.get(id)
      if (this.#kept.has(id)) return unlisted && state === undefined
      // Of one whose opening never came here there may be nothing left to wait for.
      return state === undefined || state.base >= state.last
    })
    for (const id of over) awaits.delete(id)
    return over
  }

  /** Whether order waits for nothing in an epoch any more. */
  #isOver(epoch: string): boolean {
    const kept = this.#kept.get(epoch)
    return kept === undefined ? this.#settled.has(epoch) : isOver(kept)
  }

  /** Whether it is for an epoch's own snapshot to say that it is over: that may not be on the disk yet. */
  #tellsItself(epoch: string): boolean {
    const feed = this.#kept.get(epoch)?.feed
    return feed !== undefined && !feed.free && !feed.untouched
  }

  /** Hands on what waited for an epoch in which nothing waits now. */
  #follow({ feed }: KeptEpoch): readonly Handed[] {
    return this.#holding > 0 && feed.waiting === 0 ? this.#resume() : NONE
  }

  #also(kept: KeptEpoch, numbers: readonly number[]): readonly Handed[] {
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
        if (kept.awaits.size > 0 || isBehind(epoch, kept, this.#kept)) continue
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
    let open = 0
    let wanted = false
    for (const kept of this.#kept.values()) {
      if (!isOver(kept)) open++
      wanted ||= kept.awaits.has(epoch)
    }
    return this.#kept.size < MAX_KEPT && (wanted || open < MAX_OPEN)
  }
}
