/**
 * One epoch as its reader sees it: what arrived, what may be handed on in order, what is missing, what will never come.
 * Nothing happens by itself here. The caller puts an envelope on the disk before it is accepted; skips and refusals are
 * told in acknowledgements only once a snapshot that has them is on the disk.
 */

import type { Accepted, StateNews } from './epochs-news.ts'
import { Fingerprints } from './fingerprints.ts'
import { Order } from './order.ts'
import { isNumber, MAX_RANGES, malformed, type Range, RangeSet, type RangeWire } from './ranges.ts'
import { Refusals } from './refusals.ts'
import { type Kept, readSnapshot, type Snapshot, writeSnapshot } from './snapshot.ts'
import { Unhandled } from './unhandled.ts'
import {
  type FeedAck,
  type FeedState,
  MAX_REASON,
  MAX_REFUSED,
  type Position,
  readPosition,
  readState,
  writeAck,
} from './wire.ts'

/** Envelopes that may wait for one before them; beyond it they are not taken, so not acknowledged. */
export const MAX_BUFFERED = 1_024
/** Ranges of what was lost below the base that are told as not delivered: beyond them all of it has its end, unhandled. */
const MAX_LOST = 16

/**
 * What is known of a number before its envelope is opened. `duplicate`: it has arrived, is on its way to the disk, or
 * its author has settled it. `skipped`: its author gave it up, it is never taken. `full`: there is no room for it now.
 */
export type Verdict = 'new' | 'duplicate' | 'skipped' | 'full'

const NONE: readonly never[] = []
const NOT_TAKEN: Accepted = { taken: false, released: NONE, late: false }

/** See the head of this file. */
export class ReaderFeed {
  /** Id of the epoch, hex. */
  readonly epoch: string
  #base: number
  /** The last number there is, by the author's word. */
  #last: number
  /** What the disk has, and below the base what was skipped. */
  readonly #delivered: RangeSet
  /** What has its end and was not refused; below the base all of it. */
  readonly #processed: RangeSet
  /** Above the base, and never delivered. */
  readonly #skipped: RangeSet
  /** At or below the base: see `unhandled.ts`. */
  readonly #unhandled: Unhandled
  /** Order waits for them no longer; they may still come. */
  readonly #givenUp: RangeSet
  readonly #order: Order
  /** On their way to the disk. */
  readonly #underway = new Set<number>()
  /** Delivered, without an end. */
  readonly #pending: Set<number>
  /** The lowest {@link MAX_REFUSED} are told: the author's base has to pass them before there is room for others. */
  readonly #refused: Refusals
  /** Skips that the disk has. */
  readonly #toldSkips: RangeSet
  readonly #fingerprints = new Fingerprints()
  /** An envelope arrived, in this life or an earlier one. */
  #taken: boolean
  /** Released while an earlier epoch is waited for. */
  #held: number[] | undefined

  private constructor(epoch: string, held: boolean, kept: Kept, rows: readonly Position[]) {
    this.epoch = epoch
    this.#base = kept.base
    this.#last = kept.last
    this.#delivered = kept.delivered
    this.#skipped = kept.skipped.clone()
    this.#skipped.forget(kept.base)
    this.#unhandled = new Unhandled(kept.skipped.minus(this.#skipped))
    this.#toldSkips = this.#skipped.clone()
    this.#givenUp = kept.givenUp
    this.#held = held ? [] : undefined
    this.#pending = new Set(rows.map(({ number }) => number))
    const pending = RangeSet.ofNumbers(this.#pending)
    this.#delivered.union(pending)
    this.#taken = this.#delivered.max > 0
    const refused = kept.refused.filter(([number]) => !this.#pending.has(number))
    this.#refused = new Refusals(refused)
    this.#processed = this.#delivered.minus(pending).minus(RangeSet.ofNumbers(refused.map(([number]) => number)))
    this.#order = new Order(this.#delivered, kept.passed.minus(pending))
    for (const set of [this.#skipped, this.#givenUp]) for (const [first, last] of set) this.#order.know(first, last)
    this.#order.raiseFloor(this.#base)
    if (kept.free) this.#order.release()
    for (const { number, prev } of rows) this.#order.wait(number, prev)
    this.#hand(this.#order.sweep())
  }

  /** An epoch that begins. @param options.held whether what is released waits for {@link resume} */
  static begin(epoch: string, options: { readonly held?: boolean } = {}): ReaderFeed {
    return new ReaderFeed(epoch, options.held === true, readSnapshot(undefined), [])
  }

  /**
   * An epoch as it was left, holding what it releases until {@link resume}. What has a row was delivered and has no
   * end, whatever the snapshot says; what was delivered and has no row has its end. A row of what is skipped does not
   * count: {@link check} tells, and it should be deleted.
   * @throws AfpDataStoreError STORE_FAILED for a snapshot that is damaged
   */
  static restore(epoch: string, snapshot: unknown, rows: Iterable<Position>): ReaderFeed {
    const kept = readSnapshot(snapshot)
    const mine = [...rows].filter(({ number }) => !kept.skipped.has(number))
    return new ReaderFeed(epoch, true, kept, mine)
  }

  /** Everything from 1 up to it is settled, by the author's word. */
  get base(): number {
    return this.#base
  }

  /** The last number that is known to exist. */
  get last(): number {
    return Math.max(this.#last, this.#delivered.max)
  }

  /** Delivered numbers whose end the disk does not have: neither processed, nor refused there. */
  get pending(): number {
    return this.#pending.size + this.#refused.rows
  }

  /** Delivered numbers that wait for their turn, or for an earlier epoch. */
  get waiting(): number {
    return this.#order.size + (this.#held?.length ?? 0)
  }

  /** Whether order waits for nothing here whatever comes: see {@link waitForNothing}. */
  get free(): boolean {
    return this.#order.free
  }

  /** Whether order waits for nothing here, provided that {@link last} is the last number. */
  get complete(): boolean {
    return this.waiting === 0 && this.#underway.size === 0 && this.#order.isKnown(this.last)
  }

  /** Whether no envelope ever arrived: all that is known, skips included, its author says again. */
  get untouched(): boolean {
    return !this.#taken && this.#underway.size === 0
  }

  /** Ranges of skips above the base. */
  get skips(): number {
    return this.#skipped.count
  }

  /** A look at an envelope before the work of opening it; changes nothing. @throws AfpMessageError MALFORMED */
  check(position: Position): Verdict {
    const { number, prev } = readPosition(position)
    if (number <= this.#base || this.#delivered.has(number)) return 'duplicate'
    const underway = this.#underway.size
    if (underway > 0 && this.#underway.has(number)) return 'duplicate'
    if (this.#skipped.max > 0 && this.#skipped.has(number)) return 'skipped'
    // The first of what has no end always fits: room comes only after it.
    if (number > this.#base + 1) {
      if (this.#refused.size >= MAX_REFUSED) return 'full'
      if (this.#delivered.count + underway >= MAX_RANGES && !this.#delivered.touches(number)) return 'full'
    }
    if (this.waiting + underway < MAX_BUFFERED) return 'new'
    // What can be handed on at once needs no room, and may make some.
    return this.releases(prev) ? 'new' : 'full'
  }

  /** Whether {@link accept} would hand on at once what comes after a number in its class. */
  releases(prev: number): boolean {
    return this.#held === undefined && this.#order.blocker(prev) === 0
  }

  /**
   * An authenticated envelope is about to go to the disk. Until {@link accept}, {@link refuse} or {@link abandon}
   * another copy is a duplicate and a skip of it does not count: the author is never told both.
   * @returns false when it must not go there
   * @throws AfpMessageError MALFORMED
   */
  begin(position: Position): boolean {
    if (this.check(position) !== 'new') return false
    this.#underway.add(position.number)
    return true
  }

  /** It did not get to the disk: another copy may. */
  abandon(number: number): void {
    this.#underway.delete(number)
  }

  /**
   * An envelope is authenticated and on the disk.
   * @throws AfpMessageError MALFORMED
   */
  accept(position: Position): Accepted {
    const { number, prev } = readPosition(position)
    if (!this.#take(number)) return NOT_TAKEN
    const order = this.#order
    const late = order.free || (this.#givenUp.max > 0 && this.#givenUp.has(number))
    this.#arrive(number)
    this.#pending.add(number)
    const awaited = order.isAwaited(number)
    if (order.blocker(prev) > 0) {
      order.wait(number, prev)
      return { taken: true, released: awaited ? this.#hand(order.sweep()) : NONE, late }
    }
    const released = [number]
    if (awaited) for (const next of order.sweep()) released.push(next)
    return { taken: true, released: this.#hand(released), late }
  }

  /**
   * What the author says, authenticated. Older and doubled states do no harm.
   * @param room how many ranges of skips there may be
   * @throws AfpMessageError MALFORMED; nothing of it counts then
   */
  applyState(state: FeedState, room: number = MAX_RANGES): StateNews {
    const { base, last, skips } = readState(state)
    this.#last = Math.max(this.#last, last)
    const raised = base > this.#base
    const lost = raised ? this.#raiseBase(base) : NONE
    const fresh = skips.minus(this.#delivered).minus(this.#skipped).minus(RangeSet.ofNumbers(this.#underway))
    // Lost here, and asked for anew by an author that does not know after a restart that it is settled: it needs a word on it.
    this.#end(fresh.common(RangeSet.of([[1, this.#base]])).with(this.#unseen(base + 1, last)))
    fresh.forget(this.#base)
    const skipped: Range[] = []
    for (const [first, end] of fresh) {
      // What does not fit is not confirmed, and so is said again. The first of what has no end always fits: it comes
      // after the base, or touches skips that are here.
      const fits = this.#skipped.count < room || first === this.#base + 1
      if (!fits && ![first, end].some(number => this.#skipped.touches(number))) continue
      this.#skipped.addRange(first, end)
      this.#order.know(first, end)
      skipped.push([first, end])
    }
    const released = raised || skipped.length > 0 ? this.#hand(this.#order.sweep()) : NONE
    return { released, skipped, lost, holes: this.holes() }
  }

  /**
   * What exists by the author's word, that of a later number that arrived included, and has neither arrived nor been
   * skipped or given up; nothing once it is {@link free}.
   */
  holes(limit: number = MAX_RANGES): Range[] {
    return this.#order.unknown(this.last, limit)
  }

  /** Order waits for these no longer. What is no hole is left out. */
  giveUp(ranges: Iterable<Range>): { readonly released: readonly number[]; readonly given: readonly Range[] } {
    const given = [...RangeSet.of(ranges).common(RangeSet.of(this.holes(Number.POSITIVE_INFINITY)))]
    for (const [first, last] of given) {
      this.#givenUp.addRange(first, last)
      this.#order.know(first, last)
    }
    return { released: given.length > 0 ? this.#hand(this.#order.sweep()) : NONE, given }
  }

  /** Order waits for nothing here from now on: the author has settled the epoch, or it was given up as a whole. */
  waitForNothing(): readonly number[] {
    this.#order.release()
    return this.#hand(this.#order.sweep())
  }

  /** Holds what is released no longer. */
  resume(): readonly number[] {
    const held = this.#held ?? NONE
    this.#held = undefined
    return held
  }

  /** A handler is done with a number, and the disk has it. False: it was not waited for. */
  processed(number: number): boolean {
    if (!this.#pending.delete(number)) return false
    this.#processed.add(number)
    return true
  }

  /**
   * Ends a number with a reason for the author, before or after it was accepted. The reason is a short code; beyond 64
   * characters it is cut. Told once a {@link snapshot} with it is on the disk. Not taken: it has its end.
   * @throws AfpMessageError MALFORMED
   */
  refuse(number: number, reason: string): { readonly taken: boolean; readonly released: readonly number[] } {
    if (!isNumber(number) || number === 0) throw malformed('a refusal of what is no number of a feed')
    const pending = this.#pending.delete(number)
    if (!pending) {
      if (!this.#take(number)) return NOT_TAKEN
      this.#arrive(number)
    }
    if (!pending || this.#order.isWaiting(number)) this.#order.pass(number)
    const code = reason.slice(0, MAX_REASON).toWellFormed() || 'refused'
    if (number <= this.#base) this.#end(RangeSet.ofNumbers([number]))
    else this.#refused.add(number, code, pending ? 'row' : 'nothing')
    if (this.#held !== undefined) this.#held = this.#held.filter(held => held !== number)
    return { taken: true, released: this.#hand(this.#order.sweep()) }
  }

  /**
   * Notes a short fingerprint of an authenticated envelope, any number that depends on all its bytes. True: another
   * envelope was authenticated at this number. Of the last 1,024 above the base, in this life: of what arrived before,
   * every other copy is a duplicate, and says nothing of what came first.
   */
  conflict(number: number, fingerprint: number): boolean {
    return number > this.#base && this.#fingerprints.conflict(number, fingerprint, !this.#delivered.has(number))
  }

  /** The word for the author. */
  ack(): FeedAck {
    const unkept = this.#refused.unkept()
    const told = this.#unhandled.told({
      delivered: unkept.length > 0 ? this.#delivered.minus(RangeSet.ofNumbers(unkept)) : this.#delivered,
      processed: this.#processed,
      refused: this.#refused.told(),
      skipped: this.#toldSkips,
    })
    return writeAck(this.epoch, told)
  }

  /** As {@link SettledEpoch}. */
  get unhandled(): RangeWire | undefined {
    return this.#unhandled.upTo(this.last, this.#processed)
  }

  /**
   * What is to be stored; small while the feed is mostly in order. Snapshots go to the disk in the order in which they were
   * taken; where one fails, a new one is taken.
   * @param ended numbers whose rows go in the same commit: only with it are their refusals told
   */
  snapshot(ended: readonly number[] = NONE): Snapshot {
    const refused = this.#refused.all()
    const value = writeSnapshot({
      base: this.#base,
      last: this.#last,
      delivered: this.#delivered,
      skipped: this.#skipped.with(this.#unhandled.below),
      givenUp: this.#givenUp,
      passed: this.#order.turnless,
      refused,
      free: this.#order.free,
    })
    const skipped = this.#skipped.clone()
    const committed = (): void => {
      this.#toldSkips.union(skipped)
      this.#toldSkips.forget(this.#base)
      this.#refused.stored(refused, ended)
    }
    return { value, committed }
  }

  /** Whether a number may still arrive; it is no longer on its way then. */
  #take(number: number): boolean {
    const begun = this.#underway.size > 0 && this.#underway.delete(number)
    return (begun || number > this.#base) && !this.#delivered.has(number) && !this.#skipped.has(number)
  }

  #arrive(number: number): void {
    this.#taken = true
    this.#delivered.add(number)
    this.#order.know(number)
  }

  #hand(released: number[]): readonly number[] {
    if (this.#held === undefined) return released
    for (const number of released) this.#held.push(number)
    return NONE
  }

  /** What of these numbers is settled, is not here, and is not on its way to the disk. */
  #unseen(from: number, to: number): RangeSet {
    const end = Math.min(this.#base, to)
    const missing = from > end ? NONE : this.#delivered.missing(end, Number.POSITIVE_INFINITY, from)
    return RangeSet.of(missing).minus(RangeSet.ofNumbers(this.#underway))
  }

  /** Below the base it was not handled, and need not be any more. */
  #end(unhandled: RangeSet): void {
    for (const set of [this.#delivered, this.#processed]) set.union(unhandled)
    this.#unhandled.add(unhandled)
  }

  /** Takes in what the author has settled; returns what of it was never seen here. */
  #raiseBase(base: number): Range[] {
    const from = this.#base + 1
    this.#base = base
    const ended = this.#skipped.common(RangeSet.of([[from, base]])).with(RangeSet.ofNumbers(this.#refused.forget(base)))
    const lost = this.#unseen(1, base).minus(ended)
    // What is missing below the base shows the author what was lost here, but only as long as that takes little room.
    this.#end([...lost].length > MAX_LOST ? ended.with(lost) : ended)
    for (const set of [this.#skipped, this.#toldSkips, this.#givenUp]) set.forget(base)
    this.#order.raiseFloor(base)
    this.#fingerprints.forget(base)
    return [...lost.common(RangeSet.of([[from, base]]))]
  }
}
