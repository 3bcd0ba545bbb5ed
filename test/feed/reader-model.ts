/**
 * A reader's side of an epoch in plain sets, as slow and as obvious as can be: everything is looked for from scratch.
 */

import type { Position } from '../../src/feed/wire.ts'

/** See the head of this file. */
export class ReaderModel {
  base = 0
  last = 0
  free = false
  readonly arrived = new Map<number, Position>()
  readonly pending = new Set<number>()
  readonly refused = new Set<number>()
  readonly skipped = new Set<number>()
  readonly givenUp = new Set<number>()
  /** Arrived, and ended without a turn. */
  readonly turnless = new Set<number>()
  readonly handed = new Set<number>()

  verdict(number: number): 'new' | 'duplicate' | 'skipped' {
    if (number <= this.base || this.arrived.has(number)) return 'duplicate'
    return this.skipped.has(number) ? 'skipped' : 'new'
  }

  accept(position: Position): number[] {
    this.arrived.set(position.number, position)
    this.pending.add(position.number)
    return this.release()
  }

  refuse(position: Position): number[] {
    const { number } = position
    if (!this.handed.has(number)) this.turnless.add(number)
    this.arrived.set(number, position)
    this.pending.delete(number)
    this.refused.add(number)
    return this.release()
  }

  state(
    base: number,
    last: number,
    skips: readonly number[],
  ): { released: number[]; skipped: number[]; lost: number[] } {
    const lost = range(this.base + 1, base).filter(number => !this.arrived.has(number) && !this.skipped.has(number))
    this.base = Math.max(this.base, base)
    this.last = Math.max(this.last, last)
    const fresh = skips.filter(number => !this.arrived.has(number) && !this.skipped.has(number))
    for (const number of fresh) this.skipped.add(number)
    // An author that asks for what it had settled before.
    for (const number of range(base + 1, Math.min(this.base, last)))
      if (!this.arrived.has(number)) this.skipped.add(number)
    const skipped = fresh.filter(number => number > this.base)
    return { released: this.release(), skipped, lost }
  }

  giveUp(numbers: readonly number[]): { released: number[]; given: number[] } {
    const given = numbers.filter(number => this.holes().includes(number))
    for (const number of given) this.givenUp.add(number)
    return { released: this.release(), given }
  }

  /** All that is pending is handed on again. */
  restart(): number[] {
    for (const number of this.pending) this.handed.delete(number)
    return this.release()
  }

  holes(): number[] {
    // Whoever sealed a number has given out those below it.
    const last = Math.max(this.last, ...this.delivered())
    return range(1, last).filter(number => !this.isKnown(number) && !this.free)
  }

  waiting(): number[] {
    return [...this.pending].filter(number => !this.handed.has(number))
  }

  delivered(): number[] {
    return ascending([...this.arrived.keys()].filter(number => !this.unhandled().includes(number)))
  }

  /** What the author has settled, and was never handled here. */
  unhandled(): number[] {
    return [...this.skipped, ...this.refused].filter(number => number <= this.base)
  }

  processed(): number[] {
    return this.delivered().filter(number => !this.pending.has(number) && !this.refused.has(number))
  }

  release(): number[] {
    const released: number[] = []
    for (let again = true; again; ) {
      const next = ascending(this.waiting()).find(number => this.isTurn(this.arrived.get(number) as Position))
      again = next !== undefined
      if (next === undefined) continue
      this.handed.add(next)
      released.push(next)
    }
    return ascending(released)
  }

  isTurn({ number, prev, priority }: Position): boolean {
    if (this.free || prev <= this.base || this.handed.has(prev)) return true
    if (this.pending.has(prev) || !this.isKnown(prev)) return false
    // It never had a turn: what was before it in the class is not known, so it may be anything lower.
    return range(1, prev - 1).every(lower => {
      const waits = this.pending.has(lower) && !this.handed.has(lower)
      return lower < number && this.isKnown(lower) && !(waits && this.arrived.get(lower)?.priority === priority)
    })
  }

  isKnown(number: number): boolean {
    return number <= this.base || [this.arrived, this.skipped, this.givenUp].some(set => set.has(number))
  }
}

export const range = (first: number, last: number): number[] =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at)

export const ascending = (numbers: readonly number[]): number[] => [...new Set(numbers)].sort((a, b) => a - b)
