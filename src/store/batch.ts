/** A batch as implementations take it: checked, keys encoded, and copied, so that the caller may go on using its bytes. */

import { equal } from '../common/bytes.ts'
import { AfpDataStoreError } from '../common/errors.ts'
import { type ByteRange, encodeKey, encodeRange } from './key.ts'
import { TABLES } from './schema.ts'
import type { Batch, RangeOptions } from './store.ts'

/** Bytes of our own. */
export type Bytes = Uint8Array<ArrayBuffer>

/** A check with its key encoded. */
export interface EncodedCheck {
  readonly table: string
  readonly key: Bytes
  readonly value: Bytes | undefined
}

/** A write with its key or range encoded. */
export type EncodedWrite =
  | { readonly op: 'put'; readonly table: string; readonly key: Bytes; readonly value: Bytes }
  | { readonly op: 'delete'; readonly table: string; readonly key: Bytes }
  | { readonly op: 'deleteRange'; readonly table: string; readonly range: ByteRange }

/** A batch with its keys encoded and its values copied. */
export interface EncodedBatch {
  readonly checks: readonly EncodedCheck[]
  readonly writes: readonly EncodedWrite[]
}

/** Encodes and copies a batch. Throws AfpDataStoreError INVALID_OPTION for an unknown table or a key that cannot be. */
export function encodeBatch(batch: Batch): EncodedBatch {
  return {
    checks: (batch.checks ?? []).map(({ table, key, value }) => ({
      table: knownTable(table),
      key: encodeKey(key),
      value: value === undefined ? undefined : copy(value),
    })),
    writes: batch.writes.map(write => {
      const table = knownTable(write.table)
      if (write.op === 'put') return { op: write.op, table, key: encodeKey(write.key), value: copy(write.value) }
      if (write.op === 'delete') return { op: write.op, table, key: encodeKey(write.key) }
      return { op: write.op, table, range: encodeRange(write.range) }
    }),
  }
}

/** The name, if the schema has such a table; throws AfpDataStoreError INVALID_OPTION otherwise. */
export function knownTable(table: string): string {
  if (TABLES.includes(table)) return table
  throw new AfpDataStoreError('INVALID_OPTION', `the store has no table ${JSON.stringify(table)}`, {
    reference: table,
    details: { tables: TABLES },
  })
}

/** The limit of a range, if it is one; throws AfpDataStoreError INVALID_OPTION otherwise. */
export function knownLimit({ limit }: RangeOptions): number | undefined {
  if (limit === undefined || (Number.isSafeInteger(limit) && limit >= 0)) return limit
  throw new AfpDataStoreError('INVALID_OPTION', `limit is ${limit}, not a whole number from 0`)
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
