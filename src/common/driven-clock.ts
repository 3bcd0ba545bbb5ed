import type { Clock, Timer } from './clock.ts'

interface Entry {
  at: number
  order: number
  callback: () => void
}

/** Timers that may fire at one moment: more of them make one another, for ever. */
const MOST_AT_ONCE = 100_000

/**
 * A clock that stands still until a test moves it. Timers fire in order of their time, then of their making.
 *
 * @example
 * ```ts
 * import { DrivenClock } from 'agent-flow-protocol/testing'
 *
 * const clock = new DrivenClock()
 * clock.after(1_000, () => console.log(['a second later'])) // [ 'a second later' ]
 * await clock.advance(1_000)
 * ```
 */
export class DrivenClock implements Clock {
  #now: number
  #elapsed = 0
  #order = 0
  #timers: Entry[] = []
  /** Timers that fired since time last moved. */
  #still = 0

  /** @param start - wall time at the beginning, ms since 1970; default 2026-01-01T00:00:00Z */
  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start
  }

  now(): number {
    // Jittered timers fall between two milliseconds; wall time is always a whole number of them.
    return Math.floor(this.#now)
  }

  monotonic(): number {
    return this.#elapsed
  }

  after(delay: number, callback: () => void): Timer {
    const entry: Entry = { at: this.#elapsed + Math.max(0, delay), order: this.#order++, callback }
    let index = this.#timers.length
    while (index > 0 && (this.#timers[index - 1] as Entry).at > entry.at) index--
    this.#timers.splice(index, 0, entry)
    return {
      cancel: () => {
        const at = this.#timers.indexOf(entry)
        if (at >= 0) this.#timers.splice(at, 1)
      },
    }
  }

  /** Timers that have not fired yet. */
  get pending(): number {
    return this.#timers.length
  }

  /** Moves wall time alone, as a user or NTP does; timers do not notice. */
  jump(ms: number): void {
    this.#now += ms
  }

  /**
   * Moves time on by `ms`, firing every timer that falls due and letting promises settle in between.
   * @throws Error when timers fire at one moment without end
   */
  async advance(ms: number): Promise<void> {
    const end = this.#elapsed + ms
    await settle()
    for (;;) {
      const next = this.#timers[0]
      if (next === undefined || next.at > end) break
      this.#timers.shift()
      this.#still = next.at > this.#elapsed ? 0 : this.#still + 1
      if (this.#still > MOST_AT_ONCE) throw new Error(`${MOST_AT_ONCE} timers fired, and time did not move on`)
      this.#moveTo(next.at)
      next.callback()
      await settle()
    }
    this.#moveTo(end)
  }

  /** Advances timer by timer until `done()` holds; throws after `limit` ms of driven time. */
  async advanceUntil(done: () => boolean, limit = 3_600_000): Promise<void> {
    const end = this.#elapsed + limit
    await settle()
    while (!done()) {
      const next = this.#timers[0]
      if (next === undefined || next.at > end) throw new Error(`not reached within ${limit} ms of driven time`)
      await this.advance(next.at - this.#elapsed)
    }
  }

  #moveTo(elapsed: number): void {
    this.#now += elapsed - this.#elapsed
    this.#elapsed = elapsed
  }
}

/** Lets every microtask that is due, and those they cause, run: one turn of the event loop. */
function settle(): Promise<void> {
  return new Promise(resolve => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(null)
  })
}
