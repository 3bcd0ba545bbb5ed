import type { Clock, Timer } from './clock.ts'

const NO_TIMER: Timer = { cancel: () => {} }

/** Another clock until it ends: from then on none of its timers fires, and nothing of them keeps a process alive. */
export class EndingClock implements Clock {
  readonly #clock: Clock
  readonly #waiting = new Set<Timer>()
  #ended = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  monotonic(): number {
    return this.#clock.monotonic()
  }

  after(delay: number, callback: () => void): Timer {
    if (this.#ended) return NO_TIMER
    const timer = this.#clock.after(delay, () => {
      this.#waiting.delete(timer)
      callback()
    })
    this.#waiting.add(timer)
    return {
      cancel: () => {
        this.#waiting.delete(timer)
        timer.cancel()
      },
    }
  }

  /** Calls off all timers. */
  end(): void {
    this.#ended = true
    for (const timer of this.#waiting) timer.cancel()
    this.#waiting.clear()
  }
}
