/** Reading the fields of stored rows: each is of its type, or the row is damaged. They throw a `TypeError`. */

/** An array, of this length if one is given. */
export function list(value: unknown, length?: number): unknown[] {
  if (Array.isArray(value) && (length === undefined || value.length === length)) return value
  throw notOne()
}

/** A string. */
export function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw notOne()
}

/** Bytes, so many if a length is given. */
export function bytes(value: unknown, length?: number): Uint8Array {
  if (value instanceof Uint8Array && (length === undefined || value.length === length)) return value
  throw notOne()
}

/** A boolean. */
export function flag(value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw notOne()
}

/** A whole number from 0 to `most`. */
export function whole(value: unknown, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most) return value as number
  throw notOne()
}

/** A time, ms since 1970; may have a fraction, since a time to live may. */
export function time(value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value
  throw notOne()
}

/** One of `values`, by its index. */
export function pick<T>(values: readonly T[], index: unknown): T {
  const value = Number.isInteger(index) ? values[index as number] : undefined
  if (value !== undefined) return value
  throw notOne()
}

/** A code and a message. */
export function failure(value: unknown): { code: string; message: string } {
  const [code, message] = list(value, 2)
  return { code: text(code), message: text(message) }
}

/** What the functions here throw. */
export const notOne = (): TypeError => new TypeError('a field is not of its type')
