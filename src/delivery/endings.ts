/** Ends of messages on their way to the disk: whether the next handler has to wait for them, and when all are there. */

/** How many there may be before the next handler waits. */
const MOST = 256

/** See the head of this file. */
export class Endings {
  readonly #all = new Set<Promise<unknown>>()
  #aside = 0
  #less: PromiseWithResolvers<void> | undefined

  /** Counts one until it is over, however it is. */
  add<T>(ended: Promise<T>): Promise<T> {
    this.#all.add(ended)
    const done = (): void => {
      this.#all.delete(ended)
      this.#lessen()
    }
    ended.then(done, done)
    return ended
  }

  /**
   * One of them waits for what may last until a person comes. It keeps its place in the inbox, which bounds how many
   * such there are; no handler waits for it.
   */
  async aside(waiting: Promise<void>): Promise<void> {
    this.#aside++
    this.#lessen()
    await waiting.finally(() => this.#aside--)
  }

  /** Whether the next handler has to wait until there are {@link fewer}. */
  get full(): boolean {
    return this.#all.size - this.#aside >= MOST
  }

  /** Resolves when there are fewer than now. */
  fewer(): Promise<void> {
    this.#less ??= Promise.withResolvers()
    return this.#less.promise
  }

  /** Resolves when there are none. */
  async settled(): Promise<void> {
    while (this.#all.size > 0) await Promise.allSettled(this.#all)
  }

  #lessen(): void {
    this.#less?.resolve()
    this.#less = undefined
  }
}
