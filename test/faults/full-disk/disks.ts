/** The small disks that a store is put on, and how to come to one where nothing may be mounted. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { encodeKey } from '../../../src/store/key.ts'
import { TABLES } from '../../../src/store/schema.ts'
import { sqliteStore } from '../../../src/store/sqlite.ts'
import type { Store } from '../../../src/store/store.ts'

const SMALL = 1 << 20

/** A disk of 1 MiB, or more. */
export interface Disk {
  open(): Promise<Store>
  /** The store has just been filled: from now on there is no room for anything at all. */
  filled(): void
  grow(bytes: number): void
  /** Somebody else takes what is left, but for some bytes. */
  eat(left: number): void
  spare(): void
  /**
   * Fills what is left with the log of the store, which is closed meanwhile: first with so many rows of 4 KB, for which
   * the file has to grow, then with one that is written again and again. Only for a disk: of a file that may not grow the log is no part.
   */
  clog(rows: number): void
}

const SQLITE_FULL = 13
const isFull = (error: unknown): boolean => (error as { errcode?: number }).errcode === SQLITE_FULL

/** A file system in memory, mounted for the namespace of this process. */
export function mountedDisk(folder: string, size = SMALL): Disk {
  const disk = join(folder, 'disk')
  const ballast = join(disk, 'ballast')
  const file = join(disk, 'agent.db')
  mkdirSync(disk)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk])
  return {
    open: () => sqliteStore(file),
    filled: () => {},
    grow: bytes => {
      size += bytes
      execFileSync('mount', ['-o', `remount,size=${size}`, disk])
    },
    eat: left => {
      const { bavail, bsize } = statfsSync(disk)
      writeFileSync(ballast, Buffer.alloc(bavail * bsize - left))
    },
    spare: () => rmSync(ballast),
    clog: rows => {
      const db = new DatabaseSync(file)
      db.exec('PRAGMA wal_autocheckpoint = 0')
      const put = db.prepare(
        'INSERT INTO app (k, v) VALUES (?, randomblob(?)) ON CONFLICT DO UPDATE SET v = excluded.v',
      )
      put.run(encodeKey(['clog']), 1_000)
      db.exec('PRAGMA wal_checkpoint; BEGIN')
      for (let n = 0; n < rows; n++) put.run(encodeKey(['clog', n]), 4_000)
      db.exec('COMMIT')
      try {
        for (;;) put.run(encodeKey(['clog']), 1_000)
      } catch (error) {
        if (!isFull(error)) throw error
      }
      // What is left of the log once it is closed is what did not fit into the file.
      db.close()
    },
  }
}

/**
 * A file of SQLite that may not grow beyond a number of pages: what does not fit is refused with the same SQLITE_FULL.
 * On a disk each write, a deletion too, takes room for the log; here a trigger has it take a page, which stands for that.
 */
export function limitedFile(folder: string): Disk {
  let limit = SMALL
  let db: DatabaseSync
  // How large a file may grow is a matter of the connection that writes: the store's own, which nobody else sees.
  const { exec } = DatabaseSync.prototype
  DatabaseSync.prototype.exec = function (sql) {
    db = this
    return exec.call(this, sql)
  }
  /** Whether there was room for so many bytes. */
  const take = (bytes: number): boolean => {
    try {
      db.prepare('INSERT INTO ballast (bytes) VALUES (zeroblob(?))').run(bytes)
      return true
    } catch (error) {
      if (!isFull(error)) throw error
      return false
    }
  }
  const eat = (left: number): void => {
    if (left > 0 && !take(left)) throw new Error(`there is no room for the ${left} bytes that are to be left`)
    const spared = db.prepare('SELECT max(rowid) AS row FROM ballast').get()?.row ?? 0
    for (let bytes = 65_536; bytes >= 1; bytes = Math.floor(bytes / 4)) while (take(bytes));
    if (left > 0) db.prepare('DELETE FROM ballast WHERE rowid = ?').run(spared)
    for (const table of TABLES) {
      for (const change of ['INSERT', 'UPDATE', 'DELETE']) {
        db.exec(`CREATE TEMP TRIGGER "${table} ${change}" BEFORE ${change} ON main."${table}"
          BEGIN INSERT INTO ballast (bytes) VALUES (zeroblob(4000)); END`)
      }
    }
  }
  const spare = (): void => {
    for (const table of TABLES) {
      for (const change of ['INSERT', 'UPDATE', 'DELETE']) db.exec(`DROP TRIGGER IF EXISTS temp."${table} ${change}"`)
    }
    db.exec('DELETE FROM ballast')
  }
  return {
    open: async () => {
      const store = await sqliteStore(join(folder, 'agent.db'), { maxBytes: limit })
      db.exec('CREATE TABLE IF NOT EXISTS ballast (bytes BLOB)')
      return store
    },
    filled: () => eat(0),
    grow: bytes => {
      limit += bytes
      const { page_size } = db.prepare('PRAGMA page_size').get() as { page_size: number }
      db.exec(`PRAGMA max_page_count = ${Math.floor(limit / page_size)}`)
      spare()
    },
    eat,
    spare,
    clog: () => {},
  }
}
