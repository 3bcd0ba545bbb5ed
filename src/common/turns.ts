/** Work that is done one after the other, in the order of the calls. */
export class Turns {
  #last: Promise<void> | undefined

  /** Whether something is under way. */
  get busy(): boolean {
    return this.#last !== undefined
  }

  /** Does `work` once what came before has ended, however that was; at once where nothing is under way. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const doing = this.#last === undefined ? work() : this.#last.then(work)
    const done = doing
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        if (this.#last === done) this.#last = undefined
      })
    this.#last = done
    return doing
  }
}
