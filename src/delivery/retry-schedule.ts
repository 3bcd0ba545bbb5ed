/** Which messages are to be tried again, and when: a plain structure that is told the time. */

import { AfpDeliveryError } from '../common/errors.ts'
import {
  NEVER_TRIED,
  nextRetry,
  type RetryContext,
  type RetryState,
  type RetryStrategy,
  resumeRetry,
  untilExpiry,
} from './retry.ts'

/** A message whose retry is due. */
export interface DueRetry {
  readonly id: string
  readonly strategy: RetryStrategy
  readonly state: RetryState
}

interface Entry {
  readonly id: string
  readonly strategy: RetryStrategy
  readonly state: RetryState
  /** Where it waits; undefined while its try is under way. */
  place: Place | undefined
}

/** A place in the queue: by time, then first come, first served. */
interface Place {
  readonly at: number
  readonly order: number
  readonly entry: Entry
}

/**
 * See the head of this file. An id is held, with the strategy it came with, from its first {@link schedule} or
 * {@link restore} until it is cancelled or exhausted: whoever schedules bounds how many there are.
 */
export class RetrySchedule {
  readonly #default: RetryStrategy
  readonly #entries = new Map<string, Entry>()
  /** Sorted. */
  readonly #queue: Place[] = []
  #order = 0

  /** @param defaultStrategy - for messages that bring none; default: {@link untilExpiry} */
  constructor(defaultStrategy: RetryStrategy = untilExpiry()) {
    this.#default = defaultStrategy
  }

  /** Messages that are held, waiting or under way. */
  get size(): number {
    return this.#entries.size
  }

  /** When the first retry is due, ms since 1970; undefined when none waits. */
  get nextDueAt(): number | undefined {
    return this.#queue[0]?.at
  }

  /** Where a message stands. */
  get(id: string): DueRetry | undefined {
    const entry = this.#entries.get(id)
    return entry && { id, strategy: entry.strategy, state: entry.state }
  }

  /**
   * Schedules the retry that follows a try that failed, and returns the state to store. A message keeps the strategy it
   * was first scheduled with.
   * @throws AfpDeliveryError DELIVERY_FAILED with `details.reason` `attempts-exhausted`, or MESSAGE_EXPIRED with `expired`;
   * the message is forgotten then
   */
  schedule(id: string, context: RetryContext & { readonly strategy?: RetryStrategy | undefined }): RetryState {
    const held = this.#entries.get(id)
    const strategy = held?.strategy ?? context.strategy ?? this.#default
    const step = nextRetry(strategy, held?.state ?? NEVER_TRIED, context)
    if ('exhausted' in step) {
      this.cancel(id)
      const retries = step.state.attempts - 1
      const expired = step.exhausted === 'expired'
      throw new AfpDeliveryError(
        expired ? 'MESSAGE_EXPIRED' : 'DELIVERY_FAILED',
        `message ${id} ${expired ? 'has expired' : 'could not be delivered'} after ${retries} retries`,
        { messageId: id, retries, details: { reason: step.exhausted } },
      )
    }
    this.#hold(id, strategy, step.state)
    return step.state
  }

  /** Takes in what was stored before a restart; see {@link resumeRetry} for what `now` does. */
  restore(id: string, strategy: RetryStrategy, state: RetryState, now: number): void {
    this.#hold(id, strategy, resumeRetry(strategy, state, now))
  }

  /**
   * Takes out what is due at `now`, ms since 1970, the earliest first, at most `limit`. Each is under way from then on,
   * until it is scheduled again (the try failed) or cancelled (it did not).
   */
  due(now: number, limit = Number.POSITIVE_INFINITY): DueRetry[] {
    let count = 0
    for (; count < limit; count++) {
      const place = this.#queue[count]
      if (place === undefined || place.at > now) break
    }
    return this.#queue.splice(0, count).map(({ entry }) => {
      entry.place = undefined
      return { id: entry.id, strategy: entry.strategy, state: entry.state }
    })
  }

  /** Forgets a message; false when it was not held. */
  cancel(id: string): boolean {
    const entry = this.#entries.get(id)
    if (entry !== undefined) this.#leave(entry)
    return this.#entries.delete(id)
  }

  #hold(id: string, strategy: RetryStrategy, state: RetryState): void {
    const before = this.#entries.get(id)
    if (before !== undefined) this.#leave(before)
    const entry: Entry = { id, strategy, state, place: undefined }
    entry.place = { at: state.nextAt, order: this.#order++, entry }
    this.#entries.set(id, entry)
    this.#queue.splice(this.#index(entry.place), 0, entry.place)
  }

  #leave(entry: Entry): void {
    if (entry.place !== undefined) this.#queue.splice(this.#index(entry.place), 1)
    entry.place = undefined
  }

  /** The index of the first place that is not before this one. */
  #index({ at, order }: Place): number {
    let low = 0
    let high = this.#queue.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = this.#queue[middle] as Place
      if (other.at < at || (other.at === at && other.order < order)) low = middle + 1
      else high = middle
    }
    return low
  }
}
