/** How a message stands with each of its recipients. Mostly it has one, and waits: then a table for it is most of what it costs. */

/** A map that does not change. */
export function recipientMap<T>(entries: Iterable<readonly [string, T]>): ReadonlyMap<string, T> {
  const all = [...entries]
  const [first] = all
  return first !== undefined && all.length === 1 ? new Sole(...first) : new Map(all)
}

/** The same map with another value, or without one: undefined. */
export function withEntry<T>(map: ReadonlyMap<string, T>, key: string, value: T | undefined): ReadonlyMap<string, T> {
  if (value !== undefined && (map.size === 0 || (map.size === 1 && map.has(key)))) return new Sole(key, value)
  const changed = new Map(map)
  if (value === undefined) changed.delete(key)
  else changed.set(key, value)
  return changed
}

/** A map of one entry. */
class Sole<T> implements ReadonlyMap<string, T> {
  readonly #key: string
  readonly #value: T

  constructor(key: string, value: T) {
    this.#key = key
    this.#value = value
  }

  get size(): number {
    return 1
  }

  has(key: string): boolean {
    return key === this.#key
  }

  get(key: string): T | undefined {
    return key === this.#key ? this.#value : undefined
  }

  forEach(each: (value: T, key: string, map: ReadonlyMap<string, T>) => void, self?: unknown): void {
    each.call(self, this.#value, this.#key, this)
  }

  entries(): MapIterator<[string, T]> {
    return new Map([[this.#key, this.#value]]).entries()
  }

  keys(): MapIterator<string> {
    return new Map([[this.#key, this.#value]]).keys()
  }

  values(): MapIterator<T> {
    return new Map([[this.#key, this.#value]]).values()
  }

  [Symbol.iterator](): MapIterator<[string, T]> {
    return this.entries()
  }
}
