/**
 * One epoch as its author sees it: numbers are given out once, and each has one end that the recipient confirms: it was
 * processed, refused, or skipped. Until then it is told again; nothing here expires or repeats by itself.
 */

import { AfpError, AfpMessageError } from '../common/errors.ts'
import { isNumber, MAX_NUMBER, MAX_RANGES, malformed, numbersIn, type Range, RangeSet } from './ranges.ts'
import { CLASSES, type FeedAck, type FeedState, type ReadAck, readAck } from './wire.ts'

export type { FeedAck, FeedState } from './wire.ts'

/** What an acknowledgement says that was not known before. */
export interface AckNews {
  /** The recipient has them durably: their bytes need not go again. Refused ones are among them. */
  readonly delivered: readonly number[]
  /** The recipient's handlers are done with them. */
  readonly processed: readonly number[]
  /** The recipient ended them itself, with its reason. Never in `processed`. */
  readonly refused: readonly (readonly [number: number, reason: string])[]
  /** The recipient will never take them: what was in them may go again under another number. */
  readonly skipped: readonly number[]
  /**
   * The recipient no longer knows what it said before: its store was lost or set back. Told once, until an
   * acknowledgement is whole again. Nothing that was known is taken back; {@link AuthorFeed.lost} has the numbers. An
   * acknowledgement that came by a slower way looks the same: judge only those that come in order.
   */
  readonly rollback: boolean
}

/** What is left of an epoch after a restart. */
export interface AuthorRemains {
  /** Numbers whose envelopes are kept: they go on until they are settled. */
  readonly kept: Iterable<number>
  /** Numbers that were given up, with someone waiting for the recipient's word on them. */
  readonly fenced?: Iterable<number>
  /** Numbers that the recipient has, with someone waiting for what becomes of them. */
  readonly delivered?: Iterable<number>
  /** The last number, if something remembers it; the highest of the others counts at least. */
  readonly last?: number
}

/** See the head of this file. */
export class AuthorFeed {
  /** Id of the epoch, hex. */
  readonly epoch: string
  /** The last number of each class. */
  readonly #tails: number[] = new Array(CLASSES).fill(0)
  #last = 0
  #closed = false
  /** What the recipient said it has. */
  readonly #delivered = unlimited()
  /** What will never come; that the recipient turned out to have some of it changes nothing here. */
  readonly #skips = unlimited()
  /** Skips that the recipient confirmed. */
  readonly #confirmed = unlimited()
  /** What has its end. */
  readonly #ended = unlimited()
  /** What the recipient had, and has no longer. */
  #lost = unlimited()
  #rolledBack = false
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
    const kept = unlimited()
    for (const number of remains.kept) kept.add(checked(number))
    for (const number of remains.delivered ?? []) feed.#delivered.add(checked(number))
    kept.union(feed.#delivered)
    const awaited = kept.clone()
    for (const number of remains.fenced ?? []) awaited.add(checked(number))
    feed.#closed = true
    feed.#last = Math.max(awaited.max, remains.last ?? 0)
    feed.#skips.union(RangeSet.of(kept.missing(feed.#last)))
    feed.#awaited = awaited
    return feed
  }

  /** The last number that was given out, 0 if none. */
  get last(): number {
    return this.#last
  }

  /** Everything from 1 up to it has its end. */
  get base(): number {
    return this.#ended.floor
  }

  /** Whether everything that was given out has its end. */
  get settled(): boolean {
    return this.base === this.#last
  }

  /**
   * Whether everything that was given out is with the recipient, or confirmed as skipped. An opening has to name the
   * earlier epochs of which this is not true: order waits for them.
   */
  get arrived(): boolean {
    if (this.#delivered.floor >= this.#last) return true
    const arrived = this.#delivered.clone()
    arrived.union(this.#confirmed)
    return arrived.floor >= this.#last
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

  /**
   * Gives a number up: its commit failed, or it expired, was cancelled or is dead. `delivered`: too late, the recipient
   * has it. The next number of its class names it all the same, since a copy of it may be on its way.
   * @throws AfpMessageError MALFORMED for a number that was never given out
   */
  skip(number: number): 'skipped' | 'delivered' {
    if (checked(number) > this.#last) throw malformed('a skip of a number that was never given out')
    if (this.#delivered.has(number) && !this.#lost.has(number)) return 'delivered'
    this.#skips.add(number)
    return 'skipped'
  }

  /**
   * Takes in what the recipient says. All of it counts, or none.
   * @throws AfpMessageError MALFORMED for another form, and for numbers that were never given out
   */
  acked(ack: FeedAck): AckNews {
    const { delivered, processed, refused, skipped } = this.#read(ack)
    const rollback = this.#compare(delivered, skipped)

    const arrived = this.#news(delivered, this.#delivered)
    this.#delivered.union(delivered)
    const refusals = refused.filter(([number]) => !this.#ended.has(number) && this.#awaited?.has(number) !== false)
    for (const [number] of refused) this.#ended.add(number)
    const finished = this.#news(processed, this.#ended)
    this.#ended.union(processed)
    const confirmed = skipped.common(this.#openSkips())
    const dropped = this.#news(confirmed, this.#ended)
    this.#confirmed.union(confirmed)
    this.#ended.union(confirmed)
    // Of numbers that nobody waits for any more, arriving is the end.
    if (this.#awaited !== undefined) this.#ended.union(delivered.minus(this.#awaited))
    return { delivered: arrived, processed: finished, refused: refusals, skipped: dropped, rollback }
  }

  /** The author's word for the recipient, with at most {@link MAX_RANGES} ranges of skips: the lowest. */
  state(): FeedState {
    const { epoch, base } = this
    const skips = this.#openSkips()
    skips.forget(base)
    return { epoch, base, last: this.#last, skips: skips.toWire(MAX_RANGES) }
  }

  /** What has no end yet. */
  unsettled(): Range[] {
    return this.#ended.missing(this.#last)
  }

  /** What the recipient had and no longer has, and has no end: it can come no more, and should be skipped. */
  lost(): Range[] {
    return [...this.#lost.minus(this.#ended).minus(this.#skips)]
  }

  /** An acknowledgement, held to what was given out. What is processed or refused is delivered. */
  #read(ack: FeedAck): ReadAck {
    const { delivered, processed, refused, skipped } = readAck(ack)
    delivered.union(processed)
    for (const [number] of refused) delivered.add(number)
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

  /** Notes what the recipient no longer has; whether it began to forget. */
  #compare(delivered: RangeSet, skipped: RangeSet): boolean {
    this.#lost = this.#delivered.minus(delivered)
    let forgotten = this.#lost.max > 0
    if (!forgotten && this.#confirmed.max > 0) {
      const unsaid = this.#confirmed.minus(delivered).minus(skipped)
      forgotten = unsaid.max > 0
    }
    const began = forgotten && !this.#rolledBack
    this.#rolledBack = forgotten
    return began
  }

  /** Skips that the recipient does not have. */
  #openSkips(): RangeSet {
    return this.#skips.minus(this.#lost.max === 0 ? this.#delivered : this.#delivered.minus(this.#lost))
  }

  /** The numbers of a set that were not known, as far as somebody waits for them. */
  #news(set: RangeSet, known: RangeSet): number[] {
    const fresh = set.minus(known)
    return [...numbersIn(this.#awaited === undefined ? fresh : fresh.common(this.#awaited))]
  }
}

const unlimited = (): RangeSet => new RangeSet(Number.POSITIVE_INFINITY)

function checked(number: number): number {
  if (!isNumber(number) || number === 0) throw malformed(`${number} is not a number of a feed`)
  return number
}
