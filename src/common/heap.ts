/**
 * A binary heap of values by a number, least first. What is taken out in the middle is only marked by the caller, who
 * says which entries no longer count: those are passed over, and swept out once they may be more than half.
 */
export class Heap<T> {
  /** Numbers and values side by side: an object for each pair would cost more than both. */
  readonly #ats: number[] = []
  readonly #values: T[] = []
  readonly #gone: (value: T, at: number) => boolean
  /** Pushed since the last sweep, and left over by it. */
  #pushed = 0
  #kept = 0

  /** @param gone whether an entry no longer counts */
  constructor(gone: (value: T, at: number) => boolean = () => false) {
    this.#gone = gone
  }

  /** Entries held, those that no longer count among them. */
  get size(): number {
    return this.#ats.length
  }

  push(at: number, value: T): void {
    // Swept when as many came as were there after the last sweep: constant cost for each.
    if (++this.#pushed > Math.max(64, this.#kept)) this.#sweep()
    this.#values.push(value)
    this.#rise(this.#ats.push(at) - 1)
  }

  /** The least number; undefined when nothing is there. */
  peek(): number | undefined {
    this.#skip()
    return this.#ats[0]
  }

  /** Takes the least value if its number is not above `limit`. */
  shift(limit: number): T | undefined {
    this.#skip()
    if (this.#ats.length === 0 || this.#at(0) > limit) return undefined
    const first = this.#values[0] as T
    this.#removeFirst()
    return first
  }

  #skip(): void {
    while (this.#ats.length > 0 && this.#gone(this.#values[0] as T, this.#at(0))) this.#removeFirst()
  }

  #removeFirst(): void {
    const at = this.#ats.pop() as number
    const value = this.#values.pop() as T
    if (this.#ats.length === 0) return
    this.#ats[0] = at
    this.#values[0] = value
    this.#sink()
  }

  #rise(index: number): void {
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (this.#at(parent) <= this.#at(index)) return
      this.#swap(index, parent)
      index = parent
    }
  }

  #sink(): void {
    const { length } = this.#ats
    for (let index = 0; ; ) {
      const left = 2 * index + 1
      if (left >= length) return
      const child = left + 1 < length && this.#at(left + 1) < this.#at(left) ? left + 1 : left
      if (this.#at(child) >= this.#at(index)) return
      this.#swap(index, child)
      index = child
    }
  }

  #sweep(): void {
    this.#pushed = 0
    const kept: { at: number; value: T }[] = []
    for (const [i, value] of this.#values.entries()) {
      if (!this.#gone(value, this.#at(i))) kept.push({ at: this.#at(i), value })
    }
    this.#kept = kept.length
    if (kept.length === this.#ats.length) return
    // A sorted array is a heap.
    kept.sort((a, b) => a.at - b.at)
    this.#ats.length = 0
    this.#values.length = 0
    for (const { at, value } of kept) {
      this.#ats.push(at)
      this.#values.push(value)
    }
  }

  #at(index: number): number {
    return this.#ats[index] as number
  }

  #swap(a: number, b: number): void {
    const [at, value] = [this.#at(a), this.#values[a] as T]
    this.#ats[a] = this.#at(b)
    this.#values[a] = this.#values[b] as T
    this.#ats[b] = at
    this.#values[b] = value
  }
}
