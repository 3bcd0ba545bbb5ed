/**
 * One author's messages that wait for what comes before them. That may never come, and nobody be there who could say so:
 * each has its end when it expires, as those have that nobody wants.
 */

import type { Clock, Timer } from '../common/clock.ts'
import type { Arrived, IncomingParts } from './arrived.ts'

/** How many of them end at one look. */
const MAX_EXPIRING = 256
/** How often they are looked through for what has expired, at most, ms. */
const LOOK_PAUSE = 1_000

/** See the head of this file. */
export class Held {
  readonly #clock: Clock
  readonly #onExpired: (entry: Arrived) => void
  readonly #entries = new Set<Arrived>()
  /** Fires when the first of them expires. */
  #timer: Timer | undefined
  #until = Number.POSITIVE_INFINITY
  #closed = false

  constructor({ clock, onExpired }: Pick<IncomingParts, 'clock' | 'onExpired'>) {
    this.#clock = clock
    this.#onExpired = onExpired
  }

  add(entry: Arrived): void {
    this.#entries.add(entry)
    this.#watch(entry)
  }

  /** It was handed on. */
  delete(entry: Arrived): void {
    this.#entries.delete(entry)
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

  #watch({ message: { expiresAt } }: Arrived): void {
    if (expiresAt >= this.#until || this.#closed) return
    this.#until = expiresAt
    this.#timer?.cancel()
    this.#timer = this.#clock.after(Math.max(LOOK_PAUSE, expiresAt - this.#clock.now() + 1), () => this.look())
  }
}
