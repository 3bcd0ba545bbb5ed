/**
 * A first-in, first-out queue between a producer that must not wait and a consumer that does. It never grows past its
 * limits, one in items and one in what they weigh together: the producer is told and decides what a refusal means.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #limit: number
  readonly #maxWeight: number
  readonly #isStale: (item: T) => boolean
  readonly #onTaken: (item: T) => void
  #items: T[] = []
  /** What each of {@link #items} weighs. */
  #weights: number[] = []
  #weight = 0
  #waiting: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void }[] = []
  #ended = false
  #error: unknown

  /**
   * @param limit - the most items that wait
   * @param maxWeight - the most that they weigh together; one item may always wait, whatever it weighs
   * @param isStale - asked of each item when it is taken: one that waited too long is left out
   * @param onTaken - told of each item that a consumer gets; what {@link takeAll} takes is its caller's
   */
  constructor(
    limit: number,
    maxWeight = Number.POSITIVE_INFINITY,
    isStale: (item: T) => boolean = () => false,
    onTaken: (item: T) => void = () => {},
  ) {
    this.#limit = limit
    this.#maxWeight = maxWeight
    this.#isStale = isStale
    this.#onTaken = onTaken
  }

  /** Items that wait for a consumer. */
  get size(): number {
    return this.#items.length
  }

  /** Consumers that wait for an item. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Whether nothing more can be pushed. */
  get ended(): boolean {
    return this.#ended
  }

  /** Adds an item; false when the queue is full or has ended, and then nothing was added. */
  push(item: T, weight = 0): boolean {
    if (this.#ended) return false
    const waiter = this.#waiting.shift()
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: item })
      this.#onTaken(item)
      return true
    }
    const waiting = this.#items.length
    if (waiting >= this.#limit || (waiting > 0 && this.#weight + weight > this.#maxWeight)) return false
    this.#items.push(item)
    this.#weights.push(weight)
    this.#weight += weight
    return true
  }

  /** Takes the next item if one is there. */
  shift(): T | undefined {
    for (;;) {
      this.#weight -= this.#weights.shift() ?? 0
      const item = this.#items.shift()
      if (item === undefined) return undefined
      if (this.#isStale(item)) continue
      this.#onTaken(item)
      return item
    }
  }

  /** Takes back the first item that `which` is true of; false when there is none. */
  remove(which: (item: T) => boolean): boolean {
    const at = this.#items.findIndex(which)
    if (at < 0) return false
    this.#items.splice(at, 1)
    this.#weight -= this.#weights.splice(at, 1)[0] ?? 0
    return true
  }

  /** Takes everything that is there. */
  takeAll(): T[] {
    const items = this.#items
    this.#items = []
    this.#weights = []
    this.#weight = 0
    return items.filter(item => !this.#isStale(item))
  }

  /** The next item; `done` once the queue has ended and is empty. Rejects when the signal fires, losing nothing. */
  next(signal?: AbortSignal): Promise<IteratorResult<T>> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    const value = this.shift()
    if (value !== undefined) return Promise.resolve({ done: false, value })
    if (this.#ended) {
      return this.#error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(this.#error)
    }
    return new Promise((resolve, reject) => {
      // An item that was handed over wins over an abort in the same turn: nothing is lost between the two.
      const onAbort = (): void => {
        const at = this.#waiting.indexOf(waiter)
        if (at < 0) return
        this.#waiting.splice(at, 1)
        reject(signal?.reason)
      }
      const settled =
        <A>(settle: (value: A) => void) =>
        (value: A): void => {
          signal?.removeEventListener('abort', onAbort)
          settle(value)
        }
      const waiter = { resolve: settled(resolve), reject: settled(reject) }
      this.#waiting.push(waiter)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Ends the queue: what is there can still be taken, then consumers see the end, or `error`. */
  end(error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    for (const waiter of this.#waiting.splice(0)) {
      if (error === undefined) waiter.resolve({ done: true, value: undefined })
      else waiter.reject(error)
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return { next: () => this.next(), return: async () => ({ done: true, value: undefined }) }
  }
}
