/** Who holds how many of what there is a number of: nobody has more than are left for all others. */
export class Shares {
  readonly #held = new Map<string, number>()
  #taken = 0

  /** Whether somebody has its share of `max`; whoever has no name may have all that are left. */
  full(who: string | undefined, max: number): boolean {
    return this.#of(who) >= max - this.#taken
  }

  take(who: string | undefined): void {
    this.#change(who, 1)
  }

  free(who: string | undefined): void {
    this.#change(who, -1)
  }

  #of(who: string | undefined): number {
    return (who !== undefined && this.#held.get(who)) || 0
  }

  #change(who: string | undefined, by: 1 | -1): void {
    this.#taken += by
    if (who === undefined) return
    const held = this.#of(who) + by
    if (held > 0) this.#held.set(who, held)
    else this.#held.delete(who)
  }
}
