/**
 * A set that knows its oldest member. A `Set` does too, but what was taken out before it stays in its table for a while,
 * and looking for the first member passes over all of that each time.
 */

interface Node<T> {
  readonly value: T
  older: Node<T> | undefined
  newer: Node<T> | undefined
}

/** See the head of this file. */
export class AgeSet<T> {
  readonly #nodes = new Map<T, Node<T>>()
  #oldest: Node<T> | undefined
  #newest: Node<T> | undefined

  get size(): number {
    return this.#nodes.size
  }

  /** The member that was added first. */
  get oldest(): T | undefined {
    return this.#oldest?.value
  }

  has(value: T): boolean {
    return this.#nodes.has(value)
  }

  /** Adds a value as the newest; one that is there stays as old as it is. */
  add(value: T): void {
    if (this.#nodes.has(value)) return
    const node: Node<T> = { value, older: this.#newest, newer: undefined }
    this.#nodes.set(value, node)
    if (this.#newest === undefined) this.#oldest = node
    else this.#newest.newer = node
    this.#newest = node
  }

  delete(value: T): void {
    const node = this.#nodes.get(value)
    if (node === undefined) return
    this.#nodes.delete(value)
    if (node.older === undefined) this.#oldest = node.newer
    else node.older.newer = node.newer
    if (node.newer === undefined) this.#newest = node.older
    else node.newer.older = node.older
  }

  /** The oldest first. */
  *[Symbol.iterator](): Generator<T> {
    for (let node = this.#oldest; node !== undefined; node = node.newer) yield node.value
  }

  clear(): void {
    this.#nodes.clear()
    this.#oldest = undefined
    this.#newest = undefined
  }
}
