/**
 * Keys of the application's that a handler has for itself. What handlers read is checked when they are done, so one that
 * takes longer than those that change the same keys would begin anew for ever: after some runs in vain it has these keys
 * to itself, and the ends of the others wait. One at a time: two that wait for each other there are not.
 */

import type { Clock } from '../common/clock.ts'

/** How long a handler has them, ms: who takes longer goes on without. */
const LONGEST = 10_000

/** See the head of this file. */
export class Reservations {
  readonly #clock: Clock
  #held: { readonly keys: ReadonlySet<string>; readonly over: Promise<void>; readonly release: () => void } | undefined
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves, once it is one's turn, with what gives the keys back. */
  async take(keys: Iterable<string>): Promise<() => void> {
    while (this.#held !== undefined) await this.#held.over
    const { promise: over, resolve } = Promise.withResolvers<void>()
    if (this.#closed) return () => {}
    const release = (): void => {
      timer.cancel()
      if (this.#held === held) this.#held = undefined
      resolve()
    }
    const timer = this.#clock.after(LONGEST, release)
    const held = { keys: new Set(keys), over, release }
    this.#held = held
    return release
  }

  /** Whether somebody has one of these keys; a promise of when that is over. */
  holder(keys: readonly string[]): Promise<void> | undefined {
    const held = this.#held
    return keys.some(key => held?.keys.has(key)) ? held?.over : undefined
  }

  /** Resolves when nobody has one of these keys. */
  async free(keys: readonly string[]): Promise<void> {
    for (let over = this.holder(keys); over !== undefined; over = this.holder(keys)) await over
  }

  /** Nobody waits any more: what handlers at work end with is written, or found overtaken. */
  close(): void {
    this.#closed = true
    this.#held?.release()
  }
}
