/** The rows of a SQLite store: the statements on its tables and on its redo log. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Bytes } from './batch.ts'
import { type ByteRange, encodeRange, withKey } from './key.ts'
import type { RowWrite } from './last-writes.ts'
import type { Key, KeyRange } from './store.ts'

/** Makes what is in the tables of the schema. */
export const createTable = (table: string): string =>
  `CREATE TABLE "${table}" (k BLOB NOT NULL PRIMARY KEY, v BLOB NOT NULL) STRICT, WITHOUT ROWID`

/** The version that brought the redo log in, and what makes it. */
export const REDO_SINCE = 3
export const CREATE_REDO = 'CREATE TABLE redo (seq INTEGER PRIMARY KEY, v BLOB NOT NULL) STRICT'

export const pragma = (db: DatabaseSync, text: string): unknown =>
  Object.values(db.prepare(`PRAGMA ${text}`).get() ?? {})[0]

/**
 * From how many pages on the write-ahead log is written into the file, after each commit, and how much room it keeps
 * then, in pages. SQLite's own 1,000 pages, 4 MB, would fill a small disk with what takes a few KB; with 16 small commits
 * cost nearly twice as much.
 */
export const WAL_PAGES = 64

/** The same where there is room: with 64 a group of some hundred messages would have two syncs more, each time. */
export const ROOMY_WAL_PAGES = 1_024

export function limitWal(db: DatabaseSync, pages: number): void {
  const bytes = pages * Number(pragma(db, 'page_size'))
  db.exec(`PRAGMA wal_autocheckpoint = ${pages}; PRAGMA journal_size_limit = ${bytes}`)
}

/** A range of names. */
export interface NameRange {
  readonly from: string
  readonly to: string
}

/** A key's bytes as text, each byte a character. Node's own way to it is many times faster than any other. */
export const nameOfBytes = (bytes: Bytes, length = bytes.length): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1')

export const nameOf = (key: Key): string => withKey(key, nameOfBytes)

export function nameRange(range?: KeyRange): NameRange {
  const { from, to }: ByteRange = encodeRange(range)
  return { from: nameOfBytes(from), to: nameOfBytes(to) }
}

/** A row as it is in its table. */
export interface TableRow {
  readonly k: Bytes
  readonly v: Bytes
}

export const bytesOf = (name: string): Bytes => Buffer.from(name, 'latin1')

/** Bytes that are given to a statement. Node 22 hands over those of no length as nothing at all. */
const GIVEN = "ifnull(?, x'')"

/** The rows of a table. */
export class TableRows {
  readonly #get: StatementSync
  readonly #put: StatementSync
  readonly #delete: StatementSync
  readonly #deleteRange: StatementSync
  readonly #count: StatementSync
  readonly #ascending: StatementSync
  readonly #descending: StatementSync

  constructor(db: DatabaseSync, table: string) {
    const inRange = `FROM "${table}" WHERE k >= ${GIVEN} AND k < ${GIVEN}`
    this.#get = db.prepare(`SELECT v FROM "${table}" WHERE k = ${GIVEN}`)
    this.#put = db.prepare(
      `INSERT INTO "${table}" (k, v) VALUES (${GIVEN}, ${GIVEN}) ON CONFLICT (k) DO UPDATE SET v = excluded.v`,
    )
    this.#delete = db.prepare(`DELETE FROM "${table}" WHERE k = ${GIVEN}`)
    this.#deleteRange = db.prepare(`DELETE ${inRange}`)
    this.#count = db.prepare(`SELECT count(*) AS n ${inRange}`)
    this.#ascending = db.prepare(`SELECT k, v ${inRange} ORDER BY k LIMIT ?`)
    this.#descending = db.prepare(`SELECT k, v ${inRange} ORDER BY k DESC LIMIT ?`)
  }

  get(name: string): Bytes | undefined {
    return this.#get.get(bytesOf(name))?.v as Bytes | undefined
  }

  write({ name, value }: RowWrite): void {
    if (value === undefined) this.#delete.run(bytesOf(name))
    else this.#put.run(bytesOf(name), value)
  }

  deleteRange({ from, to }: NameRange): void {
    this.#deleteRange.run(bytesOf(from), bytesOf(to))
  }

  count({ from, to }: NameRange): number {
    return Number(this.#count.get(bytesOf(from), bytesOf(to))?.n)
  }

  /** The first rows of a range, or its last ones, these first; -1: all. */
  range({ from, to }: NameRange, reverse: boolean, limit: number): TableRow[] {
    return (reverse ? this.#descending : this.#ascending).all(
      bytesOf(from),
      bytesOf(to),
      limit,
    ) as unknown as TableRow[]
  }
}
