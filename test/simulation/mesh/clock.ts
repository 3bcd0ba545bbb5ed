/**
 * Time of a mesh: one monotonic line for all, and on it machines whose wall clocks differ, jump, and stop with them. Quicker
 * than `DrivenClock`, which takes a message channel for each turn, and in step with what yields by `setImmediate`.
 */

import type { Clock, Timer } from '../../../src/common/clock.ts'
import { Heap } from '../../../src/common/heap.ts'

/** Timers that may fire at one moment: more of them make one another, for ever. */
const MOST_AT_ONCE = 100_000

interface Entry {
  readonly at: number
  readonly order: number
  readonly callback: () => void
  readonly owner: MachineClock | undefined
  gone: boolean
}

/** Lets everything run that is due now: microtasks, and what was put off to a task of its own. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** See the head of this file. */
export class MeshClock implements Clock {
  readonly #start: number
  readonly #timers = new Heap<Entry[]>()
  /** Timers of a moment, in the order of their making. */
  readonly #moments = new Map<number, Entry[]>()
  #elapsed = 0
  #order = 0
  /** How many have fired. */
  fired = 0

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#start = start
  }

  now(): number {
    return Math.floor(this.#start + this.#elapsed)
  }

  monotonic(): number {
    return this.#elapsed
  }

  after(delay: number, callback: () => void): Timer {
    return this.set(delay, callback, undefined)
  }

  set(delay: number, callback: () => void, owner: MachineClock | undefined): Timer & { readonly entry: Entry } {
    const at = this.#elapsed + Math.max(0, delay)
    const entry: Entry = { at, order: this.#order++, callback, owner, gone: false }
    const moment = this.#moments.get(at)
    if (moment === undefined) {
      const fresh = [entry]
      this.#moments.set(at, fresh)
      this.#timers.push(at, fresh)
    } else moment.push(entry)
    return {
      entry,
      cancel: () => {
        if (entry.gone) return
        entry.gone = true
        owner?.left(entry)
      },
    }
  }

  /** Moves time on, firing what falls due and letting it settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#elapsed + ms
    await settle()
    for (;;) {
      const at = this.#timers.peek()
      if (at === undefined || at > end) break
      this.#elapsed = at
      await this.#fire(this.#moments.get(at) as Entry[])
      this.#timers.shift(at)
      this.#moments.delete(at)
    }
    this.#elapsed = end
  }

  async #fire(moment: Entry[]): Promise<void> {
    for (let index = 0; index < moment.length; index++) {
      if (index > MOST_AT_ONCE) throw new Error(`${MOST_AT_ONCE} timers fired, and time did not move on`)
      const entry = moment[index] as Entry
      if (entry.gone) continue
      entry.gone = true
      entry.owner?.left(entry)
      this.fired++
      entry.callback()
      await settle()
    }
  }
}

/** The clock of one run of a machine: what it waits for ends with it. */
export class MachineClock implements Clock {
  readonly #mesh: MeshClock
  readonly #waiting = new Set<Entry>()
  readonly #skew: () => number
  #dead = false

  /** @param skew how far its wall clock is ahead, ms */
  constructor(mesh: MeshClock, skew: () => number) {
    this.#mesh = mesh
    this.#skew = skew
  }

  now(): number {
    return this.#mesh.now() + this.#skew()
  }

  monotonic(): number {
    return this.#mesh.monotonic()
  }

  after(delay: number, callback: () => void): Timer {
    if (this.#dead) return { cancel: () => {} }
    const timer = this.#mesh.set(delay, callback, this)
    this.#waiting.add(timer.entry)
    return timer
  }

  left(entry: Entry): void {
    this.#waiting.delete(entry)
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.#waiting.size
  }

  /** The machine has stopped: none of its timers fires any more. */
  stop(): void {
    this.#dead = true
    for (const entry of this.#waiting) entry.gone = true
    this.#waiting.clear()
  }
}
