/**
 * Numbers that a reader ended with a reason. Only what the disk has is told to the author: a refusal that a crash takes
 * back may be followed by a handler that succeeds. While its row is there, a number comes back after a restart, whatever
 * was stored of its refusal.
 */

import type { Refused } from './wire.ts'

interface Refusal {
  readonly reason: string
  /** What the disk has of it. */
  disk: 'nothing' | 'row' | 'refusal'
}

/** See the head of this file. */
export class Refusals {
  readonly #byNumber = new Map<number, Refusal>()

  /** @param kept refusals that the disk has */
  constructor(kept: Iterable<Refused>) {
    for (const [number, reason] of kept) this.#byNumber.set(number, { reason, disk: 'refusal' })
  }

  get size(): number {
    return this.#byNumber.size
  }

  /** Notes a new one; `disk`: what the disk has of the number. */
  add(number: number, reason: string, disk: 'nothing' | 'row'): void {
    this.#byNumber.set(number, { reason, disk })
  }

  /** Those that may be told, ascending. */
  told(): Refused[] {
    return this.#select(refusal => refusal.disk === 'refusal')
  }

  /** Numbers of which the disk has nothing. */
  unkept(): number[] {
    return this.#select(refusal => refusal.disk === 'nothing').map(([number]) => number)
  }

  /** How many there are whose rows the disk still has. */
  get rows(): number {
    let count = 0
    for (const { disk } of this.#byNumber.values()) if (disk === 'row') count++
    return count
  }

  /** All of them, ascending. */
  all(): Refused[] {
    return this.#select(() => true)
  }

  /** The disk has these now. @param ended numbers whose rows went in the same commit; others may still have theirs */
  stored(refused: readonly Refused[], ended: readonly number[]): void {
    for (const [number] of refused) {
      const refusal = this.#byNumber.get(number)
      if (refusal?.disk === 'nothing' || (refusal?.disk === 'row' && ended.includes(number))) refusal.disk = 'refusal'
    }
  }

  /** Forgets all up to a number; returns their numbers. */
  forget(upTo: number): number[] {
    const gone = [...this.#byNumber.keys()].filter(number => number <= upTo)
    for (const number of gone) this.#byNumber.delete(number)
    return gone
  }

  #select(chosen: (refusal: Refusal) => boolean): Refused[] {
    const found: Refused[] = []
    for (const [number, refusal] of this.#byNumber) if (chosen(refusal)) found.push([number, refusal.reason])
    return found.sort(([a], [b]) => a - b)
  }
}
