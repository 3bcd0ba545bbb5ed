/**
 * A binary heap of values by a number, least first. What is taken out in the middle is only marked by the caller, who
 * says which entries no longer count: those are passed over, and swept out once they may be more than half.
 */
export class Heap<T> {
  readonly #items: { at: number; value: T }[] = []
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
    return this.#items.length
  }

  push(at: number, value: T): void {
    // Swept when as many came as were there after the last sweep: constant cost for each.
    if (++this.#pushed > Math.max(64, this.#kept)) this.#sweep()
    const items = this.#items
    let index = items.push({ at, value }) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (this.#at(parent) <= at) break
      this.#swap(index, parent)
      index = parent
    }
  }

  /** The least number; undefined when nothing is there. */
  peek(): number | undefined {
    this.#skip()
    return this.#items[0]?.at
  }

  /** Takes the least value if its number is not above `limit`. */
  shift(limit: number): T | undefined {
    this.#skip()
    const first = this.#items[0]
    if (first === undefined || first.at > limit) return undefined
    this.#removeFirst()
    return first.value
  }

  #skip(): void {
    for (let first = this.#items[0]; first !== undefined; first = this.#items[0]) {
      if (!this.#gone(first.value, first.at)) return
      this.#removeFirst()
    }
  }

  #removeFirst(): void {
    const items = this.#items
    const last = items.pop()
    if (last === undefined || items.length === 0) return
    items[0] = last
    let index = 0
    for (;;) {
      const left = 2 * index + 1
      if (left >= items.length) return
      const child = left + 1 < items.length && this.#at(left + 1) < this.#at(left) ? left + 1 : left
      if (this.#at(child) >= last.at) return
      this.#swap(index, child)
      index = child
    }
  }

  #sweep(): void {
    this.#pushed = 0
    const kept = this.#items.filter(({ value, at }) => !this.#gone(value, at))
    this.#kept = kept.length
    if (kept.length === this.#items.length) return
    // A sorted array is a heap.
    kept.sort((a, b) => a.at - b.at)
    this.#items.length = 0
    for (const item of kept) this.#items.push(item)
  }

  #at(index: number): number {
    return (this.#items[index] as { at: number }).at
  }

  #swap(a: number, b: number): void {
    const items = this.#items
    const held = items[a] as { at: number; value: T }
    items[a] = items[b] as { at: number; value: T }
    items[b] = held
  }
}
