/** Work that something else has to wait for, however much of it there is and however it ends. */
export class Underway {
  #count = 0
  #over: PromiseWithResolvers<void> | undefined

  /** Whether any is under way. */
  get busy(): boolean {
    return this.#count > 0
  }

  /** Counts work until it has ended; what it comes to, its caller gets. */
  add<T>(work: Promise<T>): Promise<T> {
    this.#count++
    // Beside it, and before its caller hears of it: one promise less for each.
    work.then(this.#done, this.#done)
    return work
  }

  readonly #done = (): void => {
    if (--this.#count > 0) return
    this.#over?.resolve()
    this.#over = undefined
  }

  /** Resolves once there is none; some may have begun by the time that this is heard. */
  async ended(): Promise<void> {
    if (!this.busy) return
    this.#over ??= Promise.withResolvers()
    await this.#over.promise
  }
}
