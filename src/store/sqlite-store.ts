/**
 * What a SQLite store does once its file is open. A group of batches is durable when it is in the redo log, and goes
 * from there into the tables later, what is then still the last word on its row. Where there may soon be no room, for
 * ranges that are deleted and for private keys there is no detour: such a group is written into the tables at once.
 */

import { statfsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { AbortOptions } from '../common/abort.ts'
import type { AfpDataStoreError } from '../common/errors.ts'
import { nextTurn } from '../common/slices.ts'
import {
  type Bytes,
  closedError,
  conflictError,
  copy,
  type EncodedBatch,
  holds,
  knownLimit,
  knownTable,
} from './batch.ts'
import { GroupCommit, type Pending } from './group-commit.ts'
import { decodeKey } from './key.ts'
import { LastWrites, RowWrite } from './last-writes.ts'
import { damagedRow, decodeRow, encodeRows, RedoLog, type RedoRow, sizeOf } from './redo-log.ts'
import { TABLES } from './schema.ts'
import { mapError } from './sqlite-errors.ts'
import { merged } from './sqlite-merge.ts'
import {
  limitWal,
  type NameRange,
  nameOf,
  nameRange,
  pragma,
  ROOMY_WAL_PAGES,
  TableRows,
  WAL_PAGES,
} from './sqlite-rows.ts'
import type { Batch, Key, KeyRange, RangeOptions, Row, StorageState, Store } from './store.ts'

/** How large the redo log is before its oldest rows go into the tables. A group that is larger does not come into it. */
const REDO_BYTES = 2 * 1024 * 1024

/** How many rows it has, one for each small commit, before all of them do. */
const REDO_ROWS = 128

/** And how many writes, since whoever reads a range looks through them. A group that has more does not come into it. */
const REDO_WRITES = 4_096

/** How much room there has to be for the redo log and a larger write-ahead log, and half of that to go on with them. */
const ROOM = 16 * 1024 * 1024

const SIZES = ['page_count', 'freelist_count', 'max_page_count', 'page_size'] as const

/** How many pages SQLite lets a file have where nobody says. */
const UNLIMITED = 0xfffffffe

type PendingBatch = Pending<string, NameRange>

/** Values are copied into larger pieces of memory: to get one for each takes longer than the copy. */
const PIECE_BYTES = 64 * 1024

export class SqliteStore implements Store {
  readonly durability = 'strict'
  readonly #db: DatabaseSync
  readonly #path: string
  readonly #tables: ReadonlyMap<string, TableRows>
  readonly #insert: StatementSync
  readonly #remove: StatementSync
  readonly #sizes: ReadonlyMap<string, StatementSync>
  readonly #commits: GroupCommit<string, NameRange>
  readonly #log = new RedoLog()
  #piece = new Uint8Array(0)
  #taken = 0
  /** Whether there was much room when it was last looked for. */
  #roomy = false
  /** Whether there was no room for what was tried last. */
  #full = false
  #closing: Promise<void> | undefined

  /** @throws AfpDataStoreError STORE_FAILED when the redo log is damaged; what SQLite says */
  constructor(db: DatabaseSync, path: string) {
    this.#db = db
    this.#path = path
    this.#tables = new Map(TABLES.map(table => [table, new TableRows(db, table)]))
    this.#insert = db.prepare('INSERT INTO redo (seq, v) VALUES (?, ?)')
    this.#remove = db.prepare('DELETE FROM redo WHERE seq = ?')
    this.#sizes = new Map(SIZES.map(name => [name, db.prepare(`PRAGMA ${name}`)]))
    const codec = { key: nameOf, range: nameRange, value: (value: Uint8Array) => this.#copy(value) }
    this.#commits = new GroupCommit(codec, group => this.#write(group), nextTurn)
    for (const { seq, v } of db.prepare('SELECT seq, v FROM redo ORDER BY seq').iterate()) {
      const row = decodeRow(Number(seq), v as Bytes, path)
      if (this.#log.rows.length > 0 && row.seq !== this.#log.nextSeq) throw damagedRow(this.#log.nextSeq, path)
      this.#log.add(row)
    }
  }

  async get(table: string, key: Key): Promise<Uint8Array | undefined> {
    const rows = this.#open(table)
    const name = nameOf(key)
    const written = this.#log.get(table, name)
    if (written !== undefined) return written.value && copy(written.value)
    return this.#read(() => rows.get(name))
  }

  async range(table: string, options: RangeOptions = {}): Promise<Row[]> {
    const rows = this.#open(table)
    const range = nameRange(options)
    const limit = knownLimit(options) ?? Number.POSITIVE_INFINITY
    const { reverse = false } = options
    const found = this.#read(() =>
      merged(rows, range, this.#log.range(table, range.from, range.to), { reverse, limit }),
    )
    return found.map(({ k, v }) => ({ key: decodeKey(k), value: v }))
  }

  async count(table: string, range?: KeyRange): Promise<number> {
    const rows = this.#open(table)
    const names = nameRange(range)
    return this.#read(() => {
      let count = rows.count(names)
      for (const { name, value } of this.#log.range(table, names.from, names.to)) {
        count += Number(value !== undefined) - Number(rows.get(name) !== undefined)
      }
      return count
    })
  }

  commit(batch: Batch, options: AbortOptions = {}): Promise<void> {
    return this.#commits.add(batch, options.signal)
  }

  async state(): Promise<StorageState> {
    if (this.#closing !== undefined) throw closedError()
    const { bavail, bsize } = await statfs(dirname(this.#path))
    const { pages, free, most, size } = this.#pages()
    // What is superseded goes without ever coming into the tables.
    const usage = (pages - free) * size - this.#log.superseded
    // Pages that were freed are used again before the file grows.
    return { persistent: true, usage, quota: Math.min(most * size, pages * size + bavail * bsize) }
  }

  close(): Promise<void> {
    this.#closing ??= this.#commits.close().then(() => {
      // What there is no room for stays in the log, for the next run.
      this.#applyAll()
      this.#read(() => this.#db.close())
    })
    return this.#closing
  }

  /** How many pages the file has, how many of them are free, how many it may have, and how large each is. */
  #pages(): Record<'pages' | 'free' | 'most' | 'size', number> {
    const [pages, free] = [this.#size('page_count'), this.#size('freelist_count')]
    return { pages, free, most: this.#size('max_page_count'), size: this.#size('page_size') }
  }

  #size(name: (typeof SIZES)[number]): number {
    return Number(this.#sizes.get(name)?.get()?.[name])
  }

  #open(table: string): TableRows {
    if (this.#commits.closed) throw closedError()
    return this.#of(knownTable(table))
  }

  #read<T>(query: () => T): T {
    try {
      return query()
    } catch (cause) {
      throw mapError(cause, this.#path)
    }
  }

  #copy(value: Uint8Array): Bytes {
    if (value.length > PIECE_BYTES / 8) return copy(value)
    if (this.#taken + value.length > this.#piece.length) {
      this.#piece = new Uint8Array(PIECE_BYTES)
      this.#taken = 0
    }
    const own = this.#piece.subarray(this.#taken, this.#taken + value.length)
    own.set(value)
    this.#taken += value.length
    return own
  }

  #write(pending: readonly PendingBatch[]): void {
    // Room that was made since is the file's first: what the write-ahead log takes of it, it keeps until the file has grown.
    const stuck = this.#full && !this.#emptyWal()
    if (this.#mayLog(pending) && this.#transact(pending, true) === undefined) return
    // What is written to the tables comes after all that is in the log.
    const waiting = this.#applyAll()
    if (waiting === undefined) this.#writeTables(pending, stuck)
    else for (const one of pending) one.reject(waiting)
  }

  /** Whether a group may take the way through the redo log. */
  #mayLog(pending: readonly PendingBatch[]): boolean {
    let bytes = 0
    let writes = 0
    for (const { batch } of pending) {
      for (const write of batch.writes) {
        // Private keys are to be gone for good when they are deleted: they are never in it.
        if (write.op === 'deleteRange' || write.table === 'prekeys') return false
        bytes += sizeOf({ name: write.key, value: write.op === 'put' ? write.value : undefined })
      }
      writes += batch.writes.length
    }
    return bytes <= REDO_BYTES && writes <= REDO_WRITES && this.#hasRoom()
  }

  /** Whether there is so much room that all of the redo log will find some in the tables. */
  #hasRoom(): boolean {
    const least = this.#roomy ? ROOM / 2 : ROOM
    let roomy = false
    try {
      const { bavail, bsize } = statfsSync(dirname(this.#path))
      roomy = bavail * bsize >= least && this.#grows() >= least
      if (roomy !== this.#roomy) limitWal(this.#db, roomy ? ROOMY_WAL_PAGES : WAL_PAGES)
    } catch {
      // The folder is gone, and the file is not: nobody can say.
      return false
    }
    this.#roomy = roomy
    return roomy
  }

  /** How far the file may grow of its own. */
  #grows(): number {
    if (this.#size('max_page_count') === UNLIMITED) return Number.POSITIVE_INFINITY
    const { pages, free, most, size } = this.#pages()
    return (most - pages + free) * size
  }

  /** Writes a group to the tables in one transaction, or each of its batches in one of its own where that fails. */
  #writeTables(pending: readonly PendingBatch[], stuck: boolean): void {
    const error = this.#transact(pending, false)
    if (error === undefined) return
    const emptied = this.#full && !stuck && this.#emptyWal()
    // Nothing of the group was written, and one batch may be to blame.
    if (pending.length === 1 && !emptied) pending[0]?.reject(error)
    else
      for (const one of pending) {
        const own = this.#transact([one], false)
        if (own !== undefined) one.reject(own)
      }
  }

  /** Writes batches in one transaction, to the log or to the tables, and settles them; or does neither, and says why. */
  #transact(pending: readonly PendingBatch[], logged: boolean): AfpDataStoreError | undefined {
    const last = new LastWrites()
    const conflicts = new Map<PendingBatch, AfpDataStoreError>()
    let applied = 0
    let added: readonly RedoRow[] = []
    const error = this.#transaction(() => {
      for (const one of pending) {
        // Before anything of it is written: there is nothing to take back.
        const conflict = this.#conflictOf(one.batch, last)
        if (conflict === undefined) this.#take(one.batch, last)
        else conflicts.set(one, conflict)
      }
      if (logged) {
        applied = this.#applyOldest()
        added = encodeRows(last.take(), this.#log.nextSeq, (seq, bytes) => this.#insert.run(seq, bytes))
      } else this.#flush(last)
    })
    if (error !== undefined) return error
    this.#log.drop(applied)
    for (const row of added) this.#log.add(row)
    // Seldom, and what it ends is to be over: where the log has no room for it, the next checkpoint does it.
    if (!logged && pending.some(({ batch }) => batch.writes.some(deletesKey))) this.#emptyWal()
    for (const one of pending) {
      const conflict = conflicts.get(one)
      if (conflict === undefined) one.resolve()
      else one.reject(conflict)
    }
    return undefined
  }

  /** Does all of something or nothing, and says why. */
  #transaction(work: () => void): AfpDataStoreError | undefined {
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      work()
      this.#db.exec('COMMIT')
      this.#full = false
      return undefined
    } catch (cause) {
      this.#rollback()
      const error = mapError(cause, this.#path)
      this.#full = error.code === 'STORE_FULL'
      return error
    }
  }

  /** Brings rows of a log that is too long into the tables; returns how many. */
  #applyOldest(): number {
    const { rows, writes } = this.#log
    let { bytes } = this.#log
    const least = rows.length < REDO_ROWS && writes < REDO_WRITES ? 0 : rows.length
    let count = 0
    for (; count < least || bytes > REDO_BYTES; count++) {
      const row = rows[count] as RedoRow
      this.#applyRow(row)
      bytes -= row.bytes
    }
    return count
  }

  /** Brings the whole log into the tables, in steps that find room if there is any; says why not all of it. */
  #applyAll(): AfpDataStoreError | undefined {
    const rows = [...this.#log.rows]
    if (rows.length === 0) return undefined
    const all = this.#transaction(() => {
      for (const row of rows) this.#applyRow(row)
    })
    if (all === undefined) this.#log.drop(rows.length)
    else
      for (const row of rows) {
        const error = this.#transaction(() => this.#applyRow(row)) && this.#applyWrites(row)
        if (error !== undefined) return error
        this.#log.drop(1)
      }
    return undefined
  }

  /** Brings a row of the log into the tables write by write, which needs the least room. */
  #applyWrites(row: RedoRow): AfpDataStoreError | undefined {
    // Until the row goes the log says the same once more.
    for (const write of row.writes) {
      const error = write.superseded ? undefined : this.#transaction(() => this.#of(write.table).write(write))
      if (error !== undefined) return error
    }
    return this.#transaction(() => this.#remove.run(row.seq))
  }

  /** The row goes first: what comes into the tables may have its room. */
  #applyRow(row: RedoRow): void {
    this.#remove.run(row.seq)
    for (const write of row.writes) if (!write.superseded) this.#of(write.table).write(write)
  }

  /** Writes the write-ahead log into the file and gives its room back; whether that could be done. */
  #emptyWal(): boolean {
    try {
      return pragma(this.#db, 'wal_checkpoint(TRUNCATE)') === 0
    } catch {
      // There is no room for the file to grow either. What was to be written says so.
      return false
    }
  }

  #conflictOf({ checks }: EncodedBatch<string, NameRange>, last: LastWrites): AfpDataStoreError | undefined {
    for (const { table, key, value } of checks) {
      const written = last.get(table, key) ?? this.#log.get(table, key)
      const held = written === undefined ? this.#of(table).get(key) : written.value
      if (!holds(held, value)) return conflictError(table)
    }
    return undefined
  }

  #take({ writes }: EncodedBatch<string, NameRange>, last: LastWrites): void {
    for (const write of writes) {
      const { table } = write
      if (write.op === 'put') last.set(new RowWrite(table, write.key, write.value))
      else if (write.op === 'delete') last.set(new RowWrite(table, write.key, undefined))
      else {
        this.#flush(last)
        this.#of(table).deleteRange(write.range)
      }
    }
  }

  #flush(last: LastWrites): void {
    for (const write of last.take()) this.#of(write.table).write(write)
  }

  #of(table: string): TableRows {
    return this.#tables.get(table) as TableRows
  }

  #rollback(): void {
    try {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
    } catch {
      // SQLite has rolled back on its own; the error that led here is the one to report.
    }
  }
}

/** Whether a write takes away what others seal to: it is to be gone from the write-ahead log as well. */
const deletesKey = ({ op, table }: EncodedBatch<string, NameRange>['writes'][number]): boolean =>
  op !== 'put' && table === 'prekeys'
