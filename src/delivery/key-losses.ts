/**
 * How soon a recipient that has lost its key is sealed to anew: at once the first time, then after pauses that grow while
 * it loses one key after the other. Each time all that waits for it is sealed and written again.
 */

import type { Clock, Timer } from '../common/clock.ts'

/** The first pause, ms: the one before the second time. */
const FIRST_PAUSE = 1_000
/** The longest, ms. */
const LONGEST_PAUSE = 300_000
/** How long there must have been no loss for the next one to be the first again, ms. */
const FORGOTTEN = 2 * LONGEST_PAUSE

/** See the head of this file. */
export class KeyLosses {
  readonly #clock: Clock
  readonly #onOver: () => void
  #count = 0
  #lastAt = 0
  #pause: Timer | undefined

  /** @param onOver a pause is over */
  constructor(clock: Clock, onOver: () => void) {
    this.#clock = clock
    this.#onOver = onOver
  }

  /** Whether nothing is to be sealed for now. */
  get pausing(): boolean {
    return this.#pause !== undefined
  }

  /** One more. */
  add(): void {
    const now = this.#clock.monotonic()
    this.#count = now - this.#lastAt > FORGOTTEN ? 1 : this.#count + 1
    this.#lastAt = now
    if (this.#count === 1) return
    this.close()
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (this.#count - 2))
    this.#pause = this.#clock.after(pause, () => {
      this.#pause = undefined
      this.#onOver()
    })
  }

  close(): void {
    this.#pause?.cancel()
    this.#pause = undefined
  }
}
