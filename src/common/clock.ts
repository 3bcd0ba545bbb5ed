/** Time as something that is handed in. Production code gets {@link systemClock}, tests a driven one. */

/** A timer that can be called off. */
export interface Timer {
  /** Calls the timer off; a second call does nothing. */
  cancel(): void
}

/** A source of time. */
export interface Clock {
  /** Wall time, milliseconds since 1970; may jump. */
  now(): number
  /** Milliseconds from an arbitrary start; never goes back. For measuring and for deadlines. */
  monotonic(): number
  /** Calls `callback` once after `delay` milliseconds; at once, but not before it returns, for a time that is over. */
  after(delay: number, callback: () => void): Timer
}

/** The longest delay that `setTimeout` takes, 2^31 - 1 ms or 24.8 days; longer ones are made of several. */
const MAX_TIMEOUT = 2_147_483_647

/** The platform's clock and timers. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (delay, callback) => {
    let handle: ReturnType<typeof setTimeout>
    const arm = (left: number): void => {
      handle = left > MAX_TIMEOUT ? setTimeout(() => arm(left - MAX_TIMEOUT), MAX_TIMEOUT) : setTimeout(callback, left)
    }
    // What is waited for by wall time may be over by the time that this is asked, and Node warns of such a delay.
    arm(Math.max(0, delay))
    return { cancel: () => clearTimeout(handle) }
  },
}

/** Calls `callback` every `interval()` milliseconds until cancelled; the interval is asked again each time. */
export function repeat(clock: Clock, interval: () => number, callback: () => void): Timer {
  let timer: Timer
  const arm = (): void => {
    timer = clock.after(interval(), () => {
      arm()
      callback()
    })
  }
  arm()
  return { cancel: () => timer.cancel() }
}
