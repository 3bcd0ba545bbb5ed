/**
 * Signals that fire when time is up. Nearly everything is over long before that, so there is no timer for each: one
 * serves all, set for the earliest, and is left alone when that is over.
 */

import type { Clock, Timer } from '../common/clock.ts'

/** A signal that fires at its time, unless it is ended before. */
export interface Deadline {
  readonly signal: AbortSignal
  /** What had to be done in time is done. */
  end(): void
}

interface Entry {
  /** By the monotonic clock, ms. */
  readonly at: number
  readonly controller: AbortController
  readonly reason: () => unknown
}

/** See the head of this file. */
export class Deadlines {
  readonly #clock: Clock
  readonly #entries = new Set<Entry>()
  #timer: Timer | undefined
  #fires = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A deadline at `at`, ms of the monotonic clock. Its signal fires with what `reason` then makes, or when `outer` does. */
  start(at: number, reason: () => unknown, outer?: AbortSignal): Deadline {
    const controller = new AbortController()
    const entry: Entry = { at, controller, reason }
    const onAbort = (): void => controller.abort(outer?.reason)
    if (outer?.aborted) onAbort()
    outer?.addEventListener('abort', onAbort, { once: true })
    this.#entries.add(entry)
    if (at < this.#fires) this.#arm(at)
    return {
      signal: controller.signal,
      end: () => {
        this.#entries.delete(entry)
        outer?.removeEventListener('abort', onAbort)
      },
    }
  }

  /** Nothing fires any more. */
  close(): void {
    this.#entries.clear()
    this.#arm(Number.POSITIVE_INFINITY)
  }

  #arm(at: number): void {
    this.#timer?.cancel()
    this.#fires = at
    const left = Math.max(0, at - this.#clock.monotonic())
    this.#timer = at < Number.POSITIVE_INFINITY ? this.#clock.after(left, this.#sweep) : undefined
  }

  readonly #sweep = (): void => {
    const now = this.#clock.monotonic()
    // Set anew before anything fires: whoever hears of it may begin something with a deadline.
    const due = [...this.#entries].filter(({ at }) => at <= now)
    for (const entry of due) this.#entries.delete(entry)
    this.#arm([...this.#entries].reduce((earliest, { at }) => Math.min(earliest, at), Number.POSITIVE_INFINITY))
    for (const { controller, reason } of due) controller.abort(reason())
  }
}
