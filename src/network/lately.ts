/** Remembers, within a bound, for whom something was done and when. */

/** The most ids remembered; beyond them the one for which it was done longest ago is forgotten. */
const MAX_REMEMBERED = 1_024

/** See the head of this file. */
export class Lately {
  /** Times by id; the latest is last. */
  readonly #times = new Map<string, number>()

  /** Whether it was done for `id` less than `pause` ms before `now`; if it was not, it counts as done now. */
  done(id: string, now: number, pause: number): boolean {
    const before = this.#times.get(id)
    if (before !== undefined && now - before < pause) return true
    this.note(id, now)
    return false
  }

  /** When it was done last for `id`, as far as is remembered. */
  last(id: string): number | undefined {
    return this.#times.get(id)
  }

  /** It was done for `id`. */
  note(id: string, at: number): void {
    this.#times.delete(id)
    this.#times.set(id, at)
    const [oldest] = this.#times.keys()
    if (this.#times.size > MAX_REMEMBERED) this.#times.delete(oldest as string)
  }
}
