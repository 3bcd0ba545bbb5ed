/** Puts the entries of a map in another order. */
export function sortMap<K, V>(map: Map<K, V>, compare: (a: V, b: V) => number): void {
  const entries = [...map].sort(([, a], [, b]) => compare(a, b))
  map.clear()
  for (const [key, value] of entries) map.set(key, value)
}
