/**
 * One epoch as its author sees it: numbers are given out once, and each has one end that the recipient confirms: it was
 * processed, refused, or skipped. Until then it is told again; nothing here expires or repeats by itself.
 */

import { AfpError, AfpMessageError } from '../common/errors.ts'
import { isNumber, MAX_NUMBER, MAX_RANGES, malformed, numbersIn, type Range, RangeSet, rangesBytes } from './ranges.ts'
import { CLASSES, type FeedAck, type FeedState, MAX_WORDS_BYTES, type ReadAck, readAck, STATE_BYTES } from './wire.ts'

export type { FeedAck, FeedState } from './wire.ts'

/** What an acknowledgement says that was not known before. */
export interface AckNews {
  /** The recipient has them durably: their bytes need not go again. Refused ones are among them. */
  readonly delivered: readonly number[]
  /** The recipient's handlers are done with them. */
  readonly processed: readonly number[]
  /**
   * The recipient ended them itself, with its reason. Never in `processed`. What it skips though nobody told it to, as far as
   * is known here, is `rejected`.
   */
  readonly refused: readonly (readonly [number: number, reason: string])[]
  /** The recipient will never take them: what was in them may go again under another number. */
  readonly skipped: readonly number[]
  /**
   * The recipient no longer has something that it said it had: its store was lost or set back. Nothing that was known
   * is taken back. What it lost is skipped, since its bytes need not be here any more. An acknowledgement that came by
   * a slower way looks the same, and does no other harm.
   */
  readonly rollback: boolean
  /**
   * To be called once the ends that are told here are on the disk. Only then {@link AuthorFeed.base} passes them: below it
   * the recipient forgets how each ended, and after a crash could not say it again.
   */
  readonly committed: () => void
}

/** What is left of an epoch after a restart. */
export interface AuthorRemains {
  /** Numbers whose envelopes are kept: they go on until they are settled. */
  readonly kept: Iterable<number>
  /** Numbers that were given up, with someone waiting for the recipient's word on them. */
  readonly fenced?: Iterable<number>
  /** Numbers that the recipient has, with someone waiting for what becomes of them. */
  readonly delivered?: Iterable<number>
}

/** See the head of this file. */
export class AuthorFeed {
  /** Id of the epoch, hex. */
  readonly epoch: string
  /** The last number of each class. */
  readonly #tails: number[] = new Array(CLASSES).fill(0)
  #last = 0
  #closed = false
  /** What the recipient has by its last word. */
  #present = new RangeSet()
  /** What will never come, unless it is there already. */
  readonly #skips = new RangeSet()
  /** What the recipient ever had, and skips that it confirmed. */
  #known = new RangeSet()
  /** What of that it had, as long as it is not {@link #firm}. */
  #had = new RangeSet()
  /** What it knew, and does not by its last word. */
  #lost = new RangeSet()
  /**
   * The recipient has something in it, and with it on its disk all that it said of it. Before that it may have forgotten
   * skips that it confirmed: they are told it again, and the base does not hide them from it.
   */
  #firm = false
  /** What has its end. */
  readonly #ended = new RangeSet()
  /** Of ends that are not on the disk yet, the lowest of each acknowledgement. */
  readonly #uncommitted = new Set<{ readonly lowest: number }>()
  /** After a restart, the numbers that somebody waits for. */
  #awaited: RangeSet | undefined

  /** A new epoch: nothing is given out yet. */
  constructor(epoch: string) {
    this.epoch = epoch
  }

  /**
   * An epoch of an earlier run. It is closed: no row may be left of the numbers that it gave out last, so none is given
   * out again. What has no row is skipped, which the recipient ignores where it has the number.
   * @throws AfpMessageError MALFORMED for what is no number of a feed
   */
  static restore(epoch: string, remains: AuthorRemains): AuthorFeed {
    const feed = new AuthorFeed(epoch)
    const kept = new RangeSet()
    for (const number of remains.kept) kept.add(checked(number))
    for (const number of remains.delivered ?? []) feed.#known.add(checked(number))
    kept.union(feed.#known)
    const awaited = kept.clone()
    for (const number of remains.fenced ?? []) awaited.add(checked(number))
    feed.#present = feed.#known.clone()
    feed.#had = feed.#known.clone()
    feed.#closed = true
    feed.#last = awaited.max
    feed.#skips.union(RangeSet.of(kept.missing(feed.#last)))
    feed.#awaited = awaited
    return feed
  }

  /** The last number that was given out, 0 if none. */
  get last(): number {
    return this.#last
  }

  /** Everything from 1 up to it has its end, on the disk. */
  get base(): number {
    let base = this.#ended.floor
    for (const { lowest } of this.#uncommitted) base = Math.min(base, lowest - 1)
    return base
  }

  /**
   * Whether everything that was given out has its end, on the disk. States have to list the epochs of which this is not
   * true.
   */
  get settled(): boolean {
    return this.base === this.#last
  }

  /**
   * Whether it is closed and its recipient has everything, by its last word, or will never take it: nothing comes any
   * more, and an opening need not name it, see `Epochs`.
   */
  get arrived(): boolean {
    if (!this.#closed) return false
    const told = this.#known.minus(this.#lost)
    told.union(this.#ended)
    return told.missing(this.#last, 1).length === 0
  }

  /** Whether nothing will ever happen here again: it is closed and everything has its end. */
  get done(): boolean {
    return this.#closed && this.settled
  }

  /** Whether no more numbers are given out. */
  get closed(): boolean {
    return this.#closed
  }

  /** Nothing is given out any more. */
  close(): void {
    this.#closed = true
  }

  /**
   * Gives out the next number.
   * @throws AfpError CLOSED; AfpMessageError INVALID_PRIORITY
   */
  next(priority: number): { number: number; prev: number } {
    const prev = this.#tails[priority]
    if (prev === undefined) {
      throw new AfpMessageError('INVALID_PRIORITY', `a priority is 0 to ${CLASSES - 1}, not ${priority}`)
    }
    if (this.#closed || this.#last === MAX_NUMBER) {
      throw new AfpError('CLOSED', `epoch ${this.epoch} takes no more messages`, { details: { epoch: this.epoch } })
    }
    const number = ++this.#last
    this.#tails[priority] = number
    return { number, prev }
  }

  /** Whether the recipient has it, by its last word. */
  has(number: number): boolean {
    return this.#present.has(number)
  }

  /**
   * Gives a number up: its commit failed, or it expired, was cancelled or is dead. `delivered`: too late, the recipient
   * has it. The next number of its class names it all the same, since a copy of it may be on its way.
   * @throws AfpMessageError MALFORMED for a number that was never given out
   */
  skip(number: number): 'skipped' | 'delivered' {
    if (checked(number) > this.#last) throw malformed('a skip of a number that was never given out')
    if (this.#present.has(number)) return 'delivered'
    this.#skips.add(number)
    return 'skipped'
  }

  /**
   * Takes in what the recipient says. All of it counts, or none.
   * @throws AfpMessageError MALFORMED for another form, and for numbers that were never given out
   */
  acked(ack: FeedAck): AckNews {
    const { delivered, processed, refused: told, skipped } = this.#read(ack)
    const missed = this.#known.minus(delivered).minus(skipped)
    if (!this.#firm && delivered.max > 0) this.#makeFirm(missed, skipped)
    const lost = missed.common(this.#firm ? this.#known : this.#had)
    // It was told to by an earlier run, which did not come to write that, or whose store was set back since.
    const unasked = this.#awaited === undefined ? new RangeSet() : skipped.minus(delivered).minus(this.#skips)
    const unwanted = unasked.minus(this.#ended)
    const rollback = lost.minus(this.#lost).max > 0
    this.#lost = lost
    this.#present = delivered
    this.#skips.union(lost)

    const arrived = this.#news(delivered, this.#known)
    this.#known.union(delivered)
    if (!this.#firm) this.#had.union(delivered)
    const refused = [...told, ...Array.from(numbersIn(unwanted), number => [number, 'rejected'] as const)]
    const refusals = refused.filter(([number]) => !this.#ended.has(number) && this.#awaited?.has(number) !== false)
    const before = this.#ended.clone()
    this.#ended.union(RangeSet.of(refused.map(([number]) => [number, number])))
    const finished = this.#news(processed, this.#ended)
    this.#ended.union(processed)
    const confirmed = skipped.common(this.#openSkips())
    const dropped = this.#news(confirmed, this.#ended)
    this.#known.union(confirmed)
    this.#ended.union(confirmed)
    const committed = this.#hold(this.#ended.minus(before))
    return { delivered: arrived, processed: finished, refused: refusals, skipped: dropped, rollback, committed }
  }

  /**
   * The author's word for the recipient, with at most {@link MAX_RANGES} ranges of skips: the lowest. To be told once
   * the epoch itself is on the disk, see `Epochs.applyStates`.
   * @param maxBytes of the ranges
   */
  state(maxBytes: number = Number.POSITIVE_INFINITY): FeedState {
    const { epoch } = this
    const base = this.#firm ? this.base : 0
    const skips = this.#openSkips()
    skips.forget(base)
    return { epoch, base, last: this.#last, skips: skips.toWire(MAX_RANGES, maxBytes) }
  }

  /** What has no end yet, on the disk or not. */
  unsettled(): Range[] {
    return this.#ended.missing(this.#last)
  }

  /** An acknowledgement, held to what was given out. What is processed or refused is delivered. */
  #read(ack: FeedAck): ReadAck {
    const { delivered, processed, refused, skipped } = readAck(ack)
    delivered.union(processed)
    delivered.union(RangeSet.of(refused.map(([number]) => [number, number])))
    if (Math.max(delivered.max, skipped.max) <= this.#last) return { delivered, processed, refused, skipped }
    if (this.#awaited === undefined) throw malformed('an acknowledgement of numbers that were never given out')
    // After a restart there may be no row of the last numbers, because they had arrived: they concern nobody here.
    const known = RangeSet.of([[1, this.#last]])
    return {
      delivered: delivered.common(known),
      processed: processed.common(known),
      refused: refused.filter(([number]) => number <= this.#last),
      skipped: skipped.common(known),
    }
  }

  /**
   * Has the base count once the recipient says again all the skips that it confirmed. It has room for the lowest alone:
   * those above are not waited for, or it would never have any. It may take these for lost.
   */
  #makeFirm(missed: RangeSet, skipped: RangeSet): void {
    const [first] = missed
    if (first !== undefined && (skipped.max === 0 || first[0] <= skipped.max)) return
    this.#firm = true
    this.#known = this.#known.minus(missed.minus(this.#had))
    this.#had = new RangeSet()
  }

  /** Holds the base below some ends; returns what lets it go on. */
  #hold(ends: RangeSet): () => void {
    const [range] = ends
    if (range === undefined) return () => {}
    const held = { lowest: range[0] }
    this.#uncommitted.add(held)
    return () => void this.#uncommitted.delete(held)
  }

  /** Skips of what the recipient does not have. */
  #openSkips(): RangeSet {
    return this.#skips.minus(this.#present)
  }

  /** The numbers of a set that were not known, as far as somebody waits for them. */
  #news(set: RangeSet, known: RangeSet): number[] {
    const fresh = set.minus(known)
    return [...numbersIn(this.#awaited === undefined ? fresh : fresh.common(this.#awaited))]
  }
}

/**
 * The author's word on its epochs, as fits a frame. Every one of them is in it, or it would say that those are settled:
 * they share the room for skips. Of each the lowest are told, after which its base goes on, and the next ones follow.
 */
export function statesOf(feeds: readonly AuthorFeed[]): FeedState[] {
  let left = MAX_WORDS_BYTES - STATE_BYTES * feeds.length
  return feeds.map((feed, at) => {
    const state = feed.state(left / (feeds.length - at))
    left -= rangesBytes(state.skips)
    return state
  })
}

function checked(number: number): number {
  if (!isNumber(number) || number === 0) throw malformed(`${number} is not a number of a feed`)
  return number
}
