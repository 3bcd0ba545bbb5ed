/**
 * What is under way with dead letters: changes of one letter, or of several of one message, follow one another, and whoever
 * closes waits for all.
 */

import { Underway } from '../common/underway.ts'

/** See the head of this file. */
export class LetterTurns {
  /** The end of what was last asked of a letter. */
  readonly #busy = new Map<string, Promise<unknown>>()
  readonly #all = new Underway()

  /** Whether something is under way with a letter. */
  has(id: string): boolean {
    return this.#busy.has(id)
  }

  /** Counts what is done with several letters, or with none that is there. */
  add<T>(work: Promise<T>): Promise<T> {
    return this.#all.add(work)
  }

  /** Runs `work` when everything that was asked of this letter before is done, and `after` before its caller hears of it. */
  alone<T>(id: string, work: () => Promise<T>, after?: () => void): Promise<T> {
    const result = (this.#busy.get(id) ?? Promise.resolve()).then(async () => {
      try {
        return await work()
      } finally {
        // Before the caller hears of the end, so that a letter it has just marked may give way.
        if (this.#busy.get(id) === done) this.#busy.delete(id)
        after?.()
      }
    })
    const done = result.then(
      () => {},
      () => {},
    )
    this.#busy.set(id, done)
    return this.add(result)
  }

  /** Resolves when nothing is under way. */
  async ended(): Promise<void> {
    while (this.#all.busy) await this.#all.ended()
  }
}
