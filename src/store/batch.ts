/** A batch as implementations take it: checked, keys encoded, and copied, so that the caller may go on using its bytes. */

import { equal, utf8Length } from '../common/bytes.ts'
import { AfpDataStoreError } from '../common/errors.ts'
import { TABLES } from './schema.ts'
import { type Batch, type Key, type KeyRange, MAX_KEY_BYTES, type RangeOptions } from './store.ts'

/** Bytes of our own. */
export type Bytes = Uint8Array<ArrayBuffer>

/** How a platform takes keys `K`, ranges `R` and values, of which it is to have copies. */
export interface BatchCodec<K, R> {
  readonly key: (key: Key) => K
  readonly range: (range: KeyRange) => R
  readonly value: (value: Uint8Array) => Bytes
}

/** A check with its key encoded. */
export interface EncodedCheck<K> {
  readonly table: string
  readonly key: K
  readonly value: Bytes | undefined
}

/** A write with its key or range encoded. */
export type EncodedWrite<K, R> =
  | { readonly op: 'put'; readonly table: string; readonly key: K; readonly value: Bytes }
  | { readonly op: 'delete'; readonly table: string; readonly key: K }
  | { readonly op: 'deleteRange'; readonly table: string; readonly range: R }

/** A batch with its keys encoded and its values copied. */
export interface EncodedBatch<K, R> {
  readonly checks: readonly EncodedCheck<K>[]
  readonly writes: readonly EncodedWrite<K, R>[]
}

/** Encodes and copies a batch. Throws AfpDataStoreError INVALID_OPTION for an unknown table or a key that cannot be. */
export function encodeBatch<K, R>(batch: Batch, codec: BatchCodec<K, R>): EncodedBatch<K, R> {
  const checks: EncodedCheck<K>[] = []
  for (const { table, key, value } of batch.checks ?? []) {
    checks.push({ table: knownTable(table), key: codec.key(key), value: value && codec.value(value) })
  }
  const writes: EncodedWrite<K, R>[] = []
  for (const write of batch.writes) {
    const table = knownTable(write.table)
    if (write.op === 'put')
      writes.push({ op: 'put', table, key: codec.key(write.key), value: codec.value(write.value) })
    else if (write.op === 'delete') writes.push({ op: 'delete', table, key: codec.key(write.key) })
    else writes.push({ op: 'deleteRange', table, range: codec.range(write.range) })
  }
  return { checks, writes }
}

/** A key that was looked at; its bytes are ours. */
export type CheckedKey = (number | string | Bytes)[]

/**
 * A key with bytes of its own and 0 for -0.
 * @throws AfpDataStoreError INVALID_OPTION for what is no array, NaN, a string with a lone surrogate (it has no UTF-8), bytes whose
 * buffer is gone, a part of another type, or a key above {@link MAX_KEY_BYTES}
 */
export function checkedKey(key: Key): CheckedKey {
  if (!Array.isArray(key)) throw invalid('a key has to be an array of strings, numbers and Uint8Arrays')
  let size = 0
  // Spread: `map` would skip holes.
  const parts = [...(key as Key)].map(part => {
    if (typeof part === 'number' && !Number.isNaN(part)) {
      size += 9
      // -0 becomes 0.
      return part + 0
    }
    if (typeof part === 'string' && part.isWellFormed()) {
      size += utf8Length(part) + 2
      return part
    }
    if (!(part instanceof Uint8Array)) throw invalid('a key has a part that is no string, number or Uint8Array')
    size += part.length + 2
    try {
      return copy(part)
    } catch {
      throw invalid('a key has a part whose buffer is gone')
    }
  })
  if (size > MAX_KEY_BYTES) throw invalid(`a key has ${size} bytes, the limit is ${MAX_KEY_BYTES}`)
  return parts
}

const invalid = (message: string): AfpDataStoreError => new AfpDataStoreError('INVALID_OPTION', message)

const known: ReadonlySet<string> = new Set(TABLES)

/** The name, if the schema has such a table; throws AfpDataStoreError INVALID_OPTION otherwise. */
export function knownTable(table: string): string {
  if (known.has(table)) return table
  throw new AfpDataStoreError('INVALID_OPTION', `the store has no table ${JSON.stringify(table)}`, {
    reference: table,
    details: { tables: TABLES },
  })
}

/** The limit of a range, if it is one; throws AfpDataStoreError INVALID_OPTION otherwise. */
export function knownLimit({ limit }: RangeOptions): number | undefined {
  if (limit === undefined || (Number.isSafeInteger(limit) && limit >= 0)) return limit
  throw invalid('limit has to be a whole number from 0')
}

/** A copy with a buffer of its own; `slice()` would share it for a Node `Buffer`. */
export const copy = (bytes: Uint8Array): Bytes => new Uint8Array(bytes)

/** Whether a check holds: the row has exactly these bytes, or neither is there. */
export function holds(held: Uint8Array | undefined, expected: Uint8Array | undefined): boolean {
  return held === undefined || expected === undefined ? held === expected : equal(held, expected)
}

/** What every method rejects with once the store is closed. */
export const closedError = (cause?: unknown): AfpDataStoreError =>
  new AfpDataStoreError('CLOSED', 'the store is closed', { cause })

/** A check that does not hold. The reference is the table: keys may be private. */
export const conflictError = (table: string): AfpDataStoreError =>
  new AfpDataStoreError('STORE_CONFLICT', `a row of ${table} is not what the batch expected`, { reference: table })
