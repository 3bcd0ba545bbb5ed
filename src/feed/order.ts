/**
 * Order within an epoch: each number waits for the one before it in its priority class, and classes overtake each
 * other. What never comes does not say what came before it, so behind it a number waits for every lower one that may be
 * of its class.
 */

import type { RangeSet } from './ranges.ts'

/** See the head of this file. */
export class Order {
  readonly #arrived: RangeSet
  /** Arrived, but never had a turn: what came before them was not kept. */
  readonly #turnless: RangeSet
  /** What need not arrive: it has, or never will, or is given up, or is below the floor. */
  readonly #known: RangeSet
  /** Numbers that wait, each with the one before it in its class. */
  readonly #buffered = new Map<number, number>()
  /** The numbers that the buffered ones wait for. */
  readonly #blockers = new Set<number>()
  #floor = 0
  #free = false

  /** @param arrived what arrived, kept up to date by the caller; @param turnless as far as it is above the floor */
  constructor(arrived: RangeSet, turnless: RangeSet) {
    this.#arrived = arrived
    this.#turnless = turnless
    this.#known = arrived.clone()
  }

  /** Numbers that wait for their turn. */
  get size(): number {
    return this.#buffered.size
  }

  get turnless(): RangeSet {
    return this.#turnless
  }

  /** Whether nothing at or below the floor, or nothing at all, is waited for. */
  get free(): boolean {
    return this.#free
  }

  /** Whether nothing up to a number is waited for to arrive. */
  isKnown(upTo: number): boolean {
    return this.#free || this.#known.floor >= upTo
  }

  /** What up to a number is waited for to arrive. */
  unknown(upTo: number, limit: number): (readonly [first: number, last: number])[] {
    return this.#free ? [] : this.#known.missing(upTo, limit)
  }

  /** Whether the arrival of a number may end the wait of another. */
  isAwaited(number: number): boolean {
    return this.#blockers.size > 0 && this.#blockers.has(number)
  }

  /** These need not be waited for: they arrived, never will, or are given up. */
  know(first: number, last: number = first): void {
    if (first === last) this.#known.add(first)
    else this.#known.addRange(first, last)
  }

  /** Nothing up to a number is waited for. */
  raiseFloor(floor: number): void {
    this.#floor = Math.max(this.#floor, floor)
    this.#known.raiseFloor(floor)
    this.#turnless.forget(floor)
  }

  /** Nothing is waited for from now on. */
  release(): void {
    this.#free = true
  }

  /** The number that what comes after another in its class waits for, that one or a lower one; 0: its turn has come. */
  blocker(prev: number): number {
    if (prev <= this.#floor || this.#free) return 0
    if (this.#arrived.has(prev)) {
      if (this.#buffered.size > 0 && this.#buffered.has(prev)) return prev
      if (!this.#turnless.has(prev)) return 0
    } else if (!this.#known.has(prev)) return prev
    // Where nothing lower is missing, nothing lower waits.
    return this.#known.gapBelow(prev)
  }

  /** Puts a number that has arrived among those that wait; {@link sweep} tells when its turn has come. */
  wait(number: number, prev: number): void {
    this.#note(prev, this.blocker(prev))
    this.#buffered.set(number, prev)
  }

  /**
   * A number that has arrived, and maybe waits, will not have a turn; {@link sweep} tells for whom this was the wait.
   */
  pass(number: number): void {
    this.#buffered.delete(number)
    this.#turnless.add(number)
  }

  isWaiting(number: number): boolean {
    return this.#buffered.has(number)
  }

  /** Takes out, ascending, whose turn has come. One pass is enough: all wait for lower numbers. */
  sweep(): number[] {
    if (this.#blockers.size === 0) return []
    this.#blockers.clear()
    const released: number[] = []
    for (const number of [...this.#buffered.keys()].sort((a, b) => a - b)) {
      const prev = this.#buffered.get(number) as number
      const blocker = this.blocker(prev)
      if (blocker === 0) {
        this.#buffered.delete(number)
        released.push(number)
        continue
      }
      this.#note(prev, blocker)
    }
    return released
  }

  #note(prev: number, blocker: number): void {
    this.#blockers.add(blocker)
    this.#blockers.add(prev)
  }
}
