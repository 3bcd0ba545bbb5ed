/**
 * Sorts what names what comes before it, and leaves the rest as it was. Not by comparing two at a time: of most pairs
 * neither names the other. Those that name each other in a circle stay in some order.
 */
export function earliestFirst<T>(
  items: ReadonlyMap<string, T>,
  earlierOf: (item: T) => Iterable<string>,
): Map<string, T> {
  const missing = new Map(items)
  const sorted = new Map<string, T>()
  const take = (id: string): void => {
    const item = missing.get(id)
    if (item === undefined) return
    missing.delete(id)
    for (const earlier of earlierOf(item)) take(earlier)
    sorted.set(id, item)
  }
  for (const id of items.keys()) take(id)
  return sorted
}
