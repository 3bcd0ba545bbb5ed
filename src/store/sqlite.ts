/** A store in one SQLite file, over Node's own `node:sqlite`. */

import { chmodSync, closeSync, openSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { COUNT, checkOption, checkOptions, STRING } from '../common/check-options.ts'
import { AfpError } from '../common/errors.ts'
import { makeFolder } from './folder.ts'
import { SCHEMA_VERSION, TABLES_BY_VERSION } from './schema.ts'
import { failed, mapError } from './sqlite-errors.ts'
import { lookAt, versionOf } from './sqlite-look.ts'
import { CREATE_REDO, createTable, limitWal, pragma, REDO_SINCE, WAL_PAGES } from './sqlite-rows.ts'
import { SqliteStore } from './sqlite-store.ts'
import type { Store } from './store.ts'

/** Options of {@link sqliteStore}. */
export interface SqliteStoreOptions {
  /** The largest that the file may grow, in bytes, rounded down to pages; beyond it commits fail with STORE_FULL. Default: the disk. */
  readonly maxBytes?: number | undefined
}

/**
 * Opens the store in the file at `path`, creating it and its folder if need be, and making it readable by its owner only:
 * it may hold who the agent is. A path, such as `./bob.db`: addresses that begin with `file:` are refused. The file belongs
 * to the store alone until it is closed or the process ends, however it ends. A file that is no store is looked at and left
 * as it is. Write-ahead log, synced at each commit (`synchronous=FULL`, on macOS with F_FULLFSYNC).
 *
 * What is committed is kept in a redo log in the file first, and goes into the tables after 128 commits or 2 MiB more, at
 * `close`, or with a range that is deleted or a prekey: what is overwritten or deleted before that never has to. The
 * write-ahead log keeps up to 4 MiB of the disk. Where less than 16 MiB are left, of the disk or of `maxBytes`, there is
 * no redo log, commits take longer, and the write-ahead log keeps up to 256 KiB. It has more only while larger commits or
 * a full disk keep it from being written into the file; what was refused with STORE_FULL can be tried again as soon as
 * there is room, and a log that has filled the disk is emptied then. What is deleted is overwritten (`secure_delete`), in
 * the file once both logs have brought that there, and they are emptied with each prekey that is.
 *
 * @throws AfpDataStoreError STORE_IN_USE when another process or another store holds the file; STORE_TOO_NEW when a
 * newer version of this package wrote it; STORE_FAILED when it cannot be opened, is not a store, or its redo log is damaged; AfpError
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
  limitWal(db, WAL_PAGES)
  // Written anew it would need room in the log, which a full disk does not have.
  if (version !== SCHEMA_VERSION) {
    db.exec('BEGIN EXCLUSIVE')
    for (const table of TABLES_BY_VERSION.slice(version).flat()) db.exec(createTable(table))
    if (version < REDO_SINCE) db.exec(CREATE_REDO)
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`)
    db.exec('COMMIT')
  }
  if (options.maxBytes !== undefined) {
    db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(options.maxBytes / Number(pragma(db, 'page_size'))))}`)
  }
}
