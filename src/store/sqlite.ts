/** A store in one SQLite file, over Node's own `node:sqlite`. */

import { chmodSync, closeSync, openSync, rmSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { AbortOptions } from '../common/abort.ts'
import { COUNT, checkOption, checkOptions, STRING } from '../common/check-options.ts'
import { AfpDataStoreError, AfpError } from '../common/errors.ts'
import { nextTurn } from '../common/slices.ts'
import { type Bytes, closedError, conflictError, type EncodedBatch, holds, knownLimit, knownTable } from './batch.ts'
import { makeFolder } from './folder.ts'
import { GroupCommit, type Pending } from './group-commit.ts'
import { type ByteRange, decodeKey, encodeKey, encodeRange, keyBytes } from './key.ts'
import { LastWrites, type RowWrite } from './last-writes.ts'
import { SCHEMA_VERSION, TABLES, TABLES_BY_VERSION } from './schema.ts'
import { lookAt, versionOf } from './sqlite-look.ts'
import type { Batch, Key, KeyRange, RangeOptions, Row, StorageState, Store } from './store.ts'

/**
 * From how many pages on the log is written into the file, after each commit, and how much room it keeps then. SQLite's
 * own 1,000 pages, 4 MB, would fill a small disk with what takes a few KB; with 16 small commits cost nearly twice as much.
 */
const LOG_PAGES = 64
const LOG_BYTES = 256 * 1024

/** Options of {@link sqliteStore}. */
export interface SqliteStoreOptions {
  /** The largest that the file may grow, in bytes, rounded down to pages; beyond it commits fail with STORE_FULL. Default: the disk. */
  readonly maxBytes?: number | undefined
}

/**
 * Opens the store in the file at `path`, creating it and its folder if need be, and making it readable by its owner only:
 * it may hold who the agent is. A path, such as `./bob.db`: addresses that begin with `file:` are refused. The file belongs
 * to the store alone until it is closed or the process ends, however it ends. A file that is no store is looked at and left
 * as it is. Write-ahead log, synced at each commit (`synchronous=FULL`, on macOS with F_FULLFSYNC). The log keeps up to
 * 256 KiB of the disk, more only while larger commits or a full disk keep it from being written into the file; what was
 * refused with STORE_FULL can be tried again as soon as there is room, and a log that has filled the disk is emptied then.
 * What is deleted is overwritten (`secure_delete`), and the log emptied with each prekey that is.
 *
 * @throws AfpDataStoreError STORE_IN_USE when another process or another store holds the file; STORE_TOO_NEW when a
 * newer version of this package wrote it; STORE_FAILED when it cannot be opened or is not a store; AfpError
 * INVALID_OPTION
 */
export async function sqliteStore(path: string, options: SqliteStoreOptions = {}): Promise<Store> {
  checkOption('the path of sqliteStore()', path, STRING)
  checkOptions('sqliteStore()', options, { maxBytes: COUNT })
  // To SQLite these are names of databases that are gone when they are closed.
  if (path === '' || path === ':memory:') {
    throw new AfpError(
      'INVALID_OPTION',
      `${JSON.stringify(path)} is no file; what a process keeps to itself has memoryStore()`,
    )
  }
  // It would open another file than the one that is made readable by its owner only, and without its lock if told so.
  if (path.startsWith('file:')) {
    throw new AfpError(
      'INVALID_OPTION',
      `${JSON.stringify(path.slice(0, 80))} is an address; sqliteStore() takes a path, such as './bob.db' or fileURLToPath(address)`,
    )
  }
  try {
    makeFolder(dirname(path))
    createPrivate(path)
  } catch (cause) {
    throw mapError(cause, path)
  }
  let db: DatabaseSync | undefined
  try {
    lookAt(path)
    db = new DatabaseSync(path)
    prepareFile(db, options, path)
    for (const file of [path, `${path}-wal`]) makePrivate(file)
    // What lookAt() made to read the log: the lock says that nobody else uses it, and this store has its own in memory.
    rmSync(`${path}-shm`, { force: true })
    return new SqliteStore(db, path)
  } catch (cause) {
    if (db?.isOpen) db.close()
    throw mapError(cause, path)
  }
}

/**
 * Creates the file if it is missing. An existing one must not be opened here: closing any descriptor of a file drops
 * all POSIX locks that this process holds on it, also those of a store that has it open.
 */
function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** Who an agent is may be in it. Only once it is known for a store: what else lies at a path is not ours to change. */
function makePrivate(path: string): void {
  try {
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600)
  } catch {
    // A file system without modes, or a file of another user, who has said who reads it.
  }
}

function prepareFile(db: DatabaseSync, options: SqliteStoreOptions, path: string): void {
  // Exclusive before the first access to the log: then its index lives in memory and the lock is held until the end.
  db.exec('PRAGMA locking_mode = EXCLUSIVE')
  // Asked again: lookAt() saw what was there a moment ago, and only where it could be read.
  db.exec('BEGIN EXCLUSIVE')
  const version = versionOf(db, path)
  db.exec('ROLLBACK')
  const mode = pragma(db, 'journal_mode = WAL')
  if (mode !== 'wal') throw failed(`${path} cannot have a write-ahead log (journal mode ${mode})`, path)
  db.exec('PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON')
  // What is deleted is overwritten, in the file with the next checkpoint: SQLite would leave it in the room that it frees.
  db.exec('PRAGMA secure_delete = ON')
  db.exec(`PRAGMA wal_autocheckpoint = ${LOG_PAGES}; PRAGMA journal_size_limit = ${LOG_BYTES}`)
  // Written anew it would need room in the log, which a full disk does not have.
  if (version !== SCHEMA_VERSION) {
    db.exec('BEGIN EXCLUSIVE')
    for (const table of TABLES_BY_VERSION.slice(version).flat()) {
      db.exec(`CREATE TABLE "${table}" (k BLOB NOT NULL PRIMARY KEY, v BLOB NOT NULL) STRICT, WITHOUT ROWID`)
    }
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`)
    db.exec('COMMIT')
  }
  if (options.maxBytes !== undefined) {
    db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(options.maxBytes / Number(pragma(db, 'page_size'))))}`)
  }
}

const pragma = (db: DatabaseSync, text: string): unknown => Object.values(db.prepare(`PRAGMA ${text}`).get() ?? {})[0]

interface Statements {
  readonly get: StatementSync
  readonly put: StatementSync
  readonly delete: StatementSync
  readonly deleteRange: StatementSync
  readonly count: StatementSync
  readonly ascending: StatementSync
  readonly descending: StatementSync
}

/** Bytes that are given to a statement. Node 22 hands over those of no length as nothing at all. */
const GIVEN = "ifnull(?, x'')"

function prepareStatements(db: DatabaseSync, table: string): Statements {
  const inRange = `FROM "${table}" WHERE k >= ${GIVEN} AND k < ${GIVEN}`
  return {
    get: db.prepare(`SELECT v FROM "${table}" WHERE k = ${GIVEN}`),
    put: db.prepare(
      `INSERT INTO "${table}" (k, v) VALUES (${GIVEN}, ${GIVEN}) ON CONFLICT (k) DO UPDATE SET v = excluded.v`,
    ),
    delete: db.prepare(`DELETE FROM "${table}" WHERE k = ${GIVEN}`),
    deleteRange: db.prepare(`DELETE ${inRange}`),
    count: db.prepare(`SELECT count(*) AS n ${inRange}`),
    ascending: db.prepare(`SELECT k, v ${inRange} ORDER BY k LIMIT ?`),
    descending: db.prepare(`SELECT k, v ${inRange} ORDER BY k DESC LIMIT ?`),
  }
}

class SqliteStore implements Store {
  readonly durability = 'strict'
  readonly #db: DatabaseSync
  readonly #path: string
  readonly #statements: ReadonlyMap<string, Statements>
  readonly #commits = new GroupCommit(keyBytes, group => this.#write(group), nextTurn)
  /** Whether there was no room for what was tried last. */
  #full = false
  #closing: Promise<void> | undefined

  constructor(db: DatabaseSync, path: string) {
    this.#db = db
    this.#path = path
    this.#statements = new Map(TABLES.map(table => [table, prepareStatements(db, table)]))
  }

  async get(table: string, key: Key): Promise<Uint8Array | undefined> {
    const { get } = this.#open(table)
    const bytes = encodeKey(key)
    return this.#read(() => get.get(bytes)?.v as Bytes | undefined)
  }

  async range(table: string, options: RangeOptions = {}): Promise<Row[]> {
    const { ascending, descending } = this.#open(table)
    const { from, to } = encodeRange(options)
    const limit = knownLimit(options) ?? -1
    const rows = this.#read(() => (options.reverse ? descending : ascending).all(from, to, limit))
    return rows.map(row => ({ key: decodeKey(row.k as Bytes), value: row.v as Bytes }))
  }

  async count(table: string, range?: KeyRange): Promise<number> {
    const { count } = this.#open(table)
    const { from, to } = encodeRange(range)
    return this.#read(() => Number(count.get(from, to)?.n))
  }

  commit(batch: Batch, options: AbortOptions = {}): Promise<void> {
    return this.#commits.add(batch, options.signal)
  }

  async state(): Promise<StorageState> {
    if (this.#closing !== undefined) throw closedError()
    const { bavail, bsize } = await statfs(dirname(this.#path))
    const [pages, free, most, size] = ['page_count', 'freelist_count', 'max_page_count', 'page_size'].map(name =>
      Number(pragma(this.#db, name)),
    ) as [number, number, number, number]
    const usage = (pages - free) * size
    // Pages that were freed are used again before the file grows.
    return { persistent: true, usage, quota: Math.min(most * size, pages * size + bavail * bsize) }
  }

  close(): Promise<void> {
    this.#closing ??= this.#commits.close().then(() => this.#read(() => this.#db.close()))
    return this.#closing
  }

  #open(table: string): Statements {
    if (this.#commits.closed) throw closedError()
    return this.#statements.get(knownTable(table)) as Statements
  }

  #read<T>(query: () => T): T {
    try {
      return query()
    } catch (cause) {
      throw mapError(cause, this.#path)
    }
  }

  /** Writes a group in one transaction, or each of its batches in one of its own where that fails. */
  #write(group: readonly Pending<Bytes, ByteRange>[]): void {
    // Room that was made since is the file's first: what the log takes of it, it keeps until the file has grown.
    const stuck = this.#full && !this.#emptyLog()
    const error = this.#transact(group)
    if (error === undefined) return
    const emptied = this.#full && !stuck && this.#emptyLog()
    // Nothing of the group was written, and one batch may be to blame.
    if (group.length === 1 && !emptied) group[0]?.reject(error)
    else
      for (const pending of group) {
        const own = this.#transact([pending])
        if (own !== undefined) pending.reject(own)
      }
  }

  /** Writes batches in one transaction and settles them; or writes and settles nothing, and says why. */
  #transact(group: readonly Pending<Bytes, ByteRange>[]): AfpDataStoreError | undefined {
    const last = new LastWrites<ByteRange>(nameOf)
    const conflicts = new Map<Pending<Bytes, ByteRange>, AfpDataStoreError>()
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      for (const pending of group) {
        // Before anything of it is written: there is nothing to take back.
        const conflict = this.#conflictOf(pending.batch, last)
        if (conflict === undefined) this.#apply(pending.batch, last)
        else conflicts.set(pending, conflict)
      }
      this.#flush(last)
      this.#db.exec('COMMIT')
      // Seldom, and what it ends is to be over: where the log has no room for it, the next checkpoint does it.
      if (group.some(({ batch }) => batch.writes.some(deletesKey))) this.#emptyLog()
    } catch (cause) {
      this.#rollback()
      const error = mapError(cause, this.#path)
      this.#full = error.code === 'STORE_FULL'
      return error
    }
    this.#full = false
    for (const pending of group) {
      const conflict = conflicts.get(pending)
      if (conflict === undefined) pending.resolve()
      else pending.reject(conflict)
    }
    return undefined
  }

  /** Writes the log into the file and gives its room back; whether that could be done. */
  #emptyLog(): boolean {
    try {
      return pragma(this.#db, 'wal_checkpoint(TRUNCATE)') === 0
    } catch {
      // There is no room for the file to grow either. What was to be written says so.
      return false
    }
  }

  #conflictOf({ checks }: EncodedBatch<Bytes, ByteRange>, last: LastWrites<ByteRange>): AfpDataStoreError | undefined {
    for (const { table, key, value } of checks) {
      const written = last.get(table, key)
      const held =
        written === undefined ? (this.#of(table).get.get(key)?.v as Bytes | undefined) : writtenValue(written)
      if (!holds(held, value)) return conflictError(table)
    }
    return undefined
  }

  #apply({ writes }: EncodedBatch<Bytes, ByteRange>, last: LastWrites<ByteRange>): void {
    for (const write of writes) {
      if (write.op !== 'deleteRange') last.set(write)
      else {
        this.#flush(last)
        this.#of(write.table).deleteRange.run(write.range.from, write.range.to)
      }
    }
  }

  #flush(last: LastWrites<ByteRange>): void {
    for (const write of last.take()) {
      const statements = this.#of(write.table)
      if (write.op === 'put') statements.put.run(write.key, write.value)
      else statements.delete.run(write.key)
    }
  }

  #of(table: string): Statements {
    return this.#statements.get(table) as Statements
  }

  #rollback(): void {
    try {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
    } catch {
      // SQLite has rolled back on its own; the error that led here is the one to report.
    }
  }
}

/** Whether what a write takes away is what others seal to: it is to be gone from the log as well. */
const deletesKey = ({ op, table }: EncodedBatch<Bytes, ByteRange>['writes'][number]): boolean =>
  op !== 'put' && table === 'prekeys'

/** A row's name, each byte of its key a character. Node's own way to it is many times faster than any other. */
const nameOf = (table: string, key: Bytes): string =>
  `${table} ${Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')}`

const writtenValue = (write: RowWrite<ByteRange>): Bytes | undefined => (write.op === 'put' ? write.value : undefined)

/** SQLite's primary result codes, https://sqlite.org/rescode.html. The low byte of an extended code is the primary one. */
const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6
const SQLITE_FULL = 13

function mapError(cause: unknown, path: string): AfpDataStoreError {
  if (cause instanceof AfpDataStoreError) return cause
  const { code, errcode } = cause as { code?: string; errcode?: number }
  const primary = (errcode ?? 0) & 0xff
  if (primary === SQLITE_BUSY || primary === SQLITE_LOCKED) {
    return new AfpDataStoreError('STORE_IN_USE', `${path} is in use by another store`, { reference: path, cause })
  }
  if (primary === SQLITE_FULL || code === 'ENOSPC' || code === 'EDQUOT') {
    return new AfpDataStoreError('STORE_FULL', `there is no room for ${path} to grow`, { reference: path, cause })
  }
  return failed(`${path} failed: ${(cause as Error).message}`, path, cause)
}

const failed = (message: string, path: string, cause?: unknown): AfpDataStoreError =>
  new AfpDataStoreError('STORE_FAILED', message, { reference: path, cause })
