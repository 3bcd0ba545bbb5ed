/** The rows of a range of a SQLite store: those of the table, under what the redo log says of them. */

import { copy } from './batch.ts'
import type { RowWrite } from './last-writes.ts'
import { bytesOf, type NameRange, nameOfBytes, type TableRow, type TableRows } from './sqlite-rows.ts'

/** How a range is read. */
export interface MergeOptions {
  readonly reverse: boolean
  /** At most this many rows; infinity: all. */
  readonly limit: number
}

/**
 * The first rows of a range, or its last ones, these first. Of the table as many are read as are wanted, and more only
 * where some of them are hidden: whoever reads a large table page by page must not read all of the log's range with each.
 * @param written what the log says of rows in the range, in ascending order
 */
export function merged(
  rows: Pick<TableRows, 'range'>,
  { from, to }: NameRange,
  written: readonly RowWrite[],
  { reverse, limit }: MergeOptions,
): TableRow[] {
  if (written.length === 0) return rows.range({ from, to }, reverse, Number.isFinite(limit) ? limit : -1)
  const words = reverse ? written.toReversed() : written
  const all: TableRow[] = []
  let at = 0
  /** Those of the log that come before a name; undefined: all that are left. */
  const upTo = (name?: string): void => {
    for (let word = words[at]; word !== undefined && all.length < limit; word = words[at]) {
      if (name !== undefined && (reverse ? word.name <= name : word.name >= name)) return
      if (word.value !== undefined) all.push({ k: bytesOf(word.name), v: copy(word.value) })
      at++
    }
  }
  let rest: NameRange = { from, to }
  for (let most = limit; all.length < limit; most *= 2) {
    const found = rows.range(rest, reverse, Number.isFinite(most) ? most : -1)
    let last = ''
    for (const row of found) {
      last = nameOfBytes(row.k)
      upTo(last)
      if (all.length >= limit) return all
      const word = words[at]
      if (word?.name !== last) {
        all.push(row)
        continue
      }
      at++
      if (word.value !== undefined) all.push({ k: row.k, v: copy(word.value) })
    }
    if (found.length < most) {
      upTo()
      return all
    }
    rest = reverse ? { from, to: last } : { from: `${last}\0`, to }
  }
  return all
}
