/** Checks for models that run thousands of times: cheaper than `expect`, and as loud. */

export function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}

export function same(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)}, not ${String(expected)}`)
}
