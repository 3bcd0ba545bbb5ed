/**
 * One author's messages that nobody wanted when they were offered, in their order. Later ones pass them, but not one that
 * is for somebody who had no room: it holds its class until it is offered again.
 */

import type { Clock, Timer } from '../common/clock.ts'
import type { Arrived } from './arrived.ts'

/** How many of them end at one look. */
const MAX_EXPIRING = 256
/** How often they are looked through for what has expired, at most, ms. */
const LOOK_PAUSE = 1_000

/** See the head of this file. */
export class Parked {
  readonly #clock: Clock
  readonly #onExpired: (entries: readonly Arrived[]) => void
  #entries: Arrived[] = []
  /** Those among them for whom there was no room. */
  readonly #full = new Set<Arrived>()
  /** Fires when the first of them expires. */
  #timer: Timer | undefined
  #until = Number.POSITIVE_INFINITY
  #closed = false

  constructor(clock: Clock, onExpired: (entries: readonly Arrived[]) => void) {
    this.#clock = clock
    this.#onExpired = onExpired
  }

  /** @param full it is for somebody, who has no room */
  add(entry: Arrived, full: boolean): void {
    this.#entries.push(entry)
    if (full) this.#full.add(entry)
    this.#watch(entry)
  }

  /** Whether one of this class waits for room. Of messages that is one at a time; requests hold nothing up. */
  holds(priority: number): boolean {
    for (const { kind, row } of this.#full) if (kind === 'message' && row.priority === priority) return true
    return false
  }

  /** Takes them all. */
  takeAll(): readonly Arrived[] {
    const all = this.#entries
    this.#entries = []
    this.#full.clear()
    return all
  }

  /** Takes those that wait for room. */
  takeFull(): readonly Arrived[] {
    if (this.#full.size === 0) return []
    const full = this.#entries.filter(entry => this.#full.has(entry))
    this.#entries = this.#entries.filter(entry => !this.#full.has(entry))
    this.#full.clear()
    return full
  }

  /** Takes the oldest. */
  shift(): Arrived | undefined {
    const entry = this.#entries.shift()
    if (entry !== undefined) this.#full.delete(entry)
    return entry
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  /** One that nobody wants has its end when it expires, and not when somebody comes: it takes up its author's room. */
  #watch({ message: { expiresAt } }: Arrived): void {
    if (expiresAt >= this.#until || this.#closed) return
    this.#until = expiresAt
    this.#timer?.cancel()
    this.#timer = this.#clock.after(Math.max(LOOK_PAUSE, expiresAt - this.#clock.now() + 1), () => this.#expire())
  }

  #expire(): void {
    this.#until = Number.POSITIVE_INFINITY
    const now = this.#clock.now()
    const over: Arrived[] = []
    this.#entries = this.#entries.filter(entry => {
      // What is beyond that waits for the next look.
      const ends = over.length < MAX_EXPIRING && entry.message.isExpired(now)
      if (ends) over.push(entry)
      return !ends
    })
    for (const entry of over) this.#full.delete(entry)
    this.#onExpired(over)
    for (const entry of this.#entries) this.#watch(entry)
  }
}
