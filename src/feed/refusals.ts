/**
 * Numbers that a reader ended with a reason. Only what the disk has is told to the author: a refusal that a crash takes
 * back may be followed by a handler that succeeds.
 */

/** A number and why it was refused. */
export type Refused = readonly [number: number, reason: string]

interface Refusal {
  readonly reason: string
  /** What the disk has of it; its row would bring the number back after a restart. */
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
    return this.#select(({ disk }) => disk === 'refusal')
  }

  /** Numbers of which the disk has nothing. */
  unkept(): number[] {
    return this.#select(({ disk }) => disk === 'nothing').map(([number]) => number)
  }

  /** Those to be stored now, ascending. @param ended numbers whose rows go in the same commit; others with rows stay */
  storable(ended: readonly number[]): Refused[] {
    return this.#select(({ disk }, number) => disk !== 'row' || ended.includes(number))
  }

  /** The disk has these now. */
  stored(refused: readonly Refused[]): void {
    for (const [number] of refused) {
      const refusal = this.#byNumber.get(number)
      if (refusal !== undefined) refusal.disk = 'refusal'
    }
  }

  /** Forgets all up to a number; returns their numbers. */
  forget(upTo: number): number[] {
    const gone = [...this.#byNumber.keys()].filter(number => number <= upTo)
    for (const number of gone) this.#byNumber.delete(number)
    return gone
  }

  #select(chosen: (refusal: Refusal, number: number) => boolean): Refused[] {
    const found: Refused[] = []
    for (const [number, refusal] of this.#byNumber) if (chosen(refusal, number)) found.push([number, refusal.reason])
    return found.sort(([a], [b]) => a - b)
  }
}
