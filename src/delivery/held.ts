/**
 * Messages that wait: for what comes before them, for who handles them, for who reads them. That may never come, and
 * nobody be there who could say so: each has its end when it expires.
 */

import type { Clock, Timer } from '../common/clock.ts'
import type { Message } from '../message/message.ts'

/** How many of them end at one look. */
const MAX_EXPIRING = 256
/** How often they are looked through for what has expired, at most, ms. */
const LOOK_PAUSE = 1_000

/** See the head of this file. */
export class Held<T extends { readonly message: Message }> {
  readonly #clock: Clock
  readonly #onExpired: (entry: T) => void
  readonly #entries = new Set<T>()
  /** Fires when the first of them expires. */
  #timer: Timer | undefined
  #until = Number.POSITIVE_INFINITY
  #closed = false

  constructor({ clock, onExpired }: { readonly clock: Clock; readonly onExpired: (entry: T) => void }) {
    this.#clock = clock
    this.#onExpired = onExpired
  }

  add(entry: T): void {
    this.#entries.add(entry)
    this.#watch(entry)
  }

  /** It waits no longer. */
  delete(entry: T): void {
    if (!this.#entries.delete(entry) || this.#entries.size > 0) return
    // Nothing is kept for a timer that nobody needs.
    this.#timer?.cancel()
    this.#until = Number.POSITIVE_INFINITY
  }

  /** Ends what has expired; what is beyond the most at a time waits for the next look. */
  look(): void {
    this.#timer?.cancel()
    this.#until = Number.POSITIVE_INFINITY
    const now = this.#clock.now()
    let count = 0
    // The end of one may have others handed on: these are not in it any more.
    for (const entry of this.#entries) {
      if (count === MAX_EXPIRING || !entry.message.isExpired(now)) continue
      count++
      this.#entries.delete(entry)
      this.#onExpired(entry)
    }
    for (const entry of this.#entries) this.#watch(entry)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #watch({ message: { expiresAt } }: T): void {
    if (expiresAt >= this.#until || this.#closed) return
    this.#until = expiresAt
    this.#timer?.cancel()
    this.#timer = this.#clock.after(Math.max(LOOK_PAUSE, expiresAt - this.#clock.now() + 1), () => this.look())
  }
}
