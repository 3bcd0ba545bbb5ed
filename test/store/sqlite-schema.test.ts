import { chmodSync, copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { SCHEMA_VERSION, TABLES, TABLES_BY_VERSION } from '../../src/store/schema.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import { put } from '../contracts/store.ts'
import { folder, newPath } from './files.ts'

/** The statement that makes a table of a store. */
const create = (table: string): string =>
  `CREATE TABLE "${table}" (k BLOB NOT NULL PRIMARY KEY, v BLOB NOT NULL) STRICT, WITHOUT ROWID;`

/** The statement that makes the redo log of a store. */
const REDO = 'CREATE TABLE redo (seq INTEGER PRIMARY KEY, v BLOB NOT NULL) STRICT;'

describe('the schema of a SQLite file', () => {
  it('of a newer version is refused with STORE_TOO_NEW and left as it is', async () => {
    const path = newPath()
    await (await sqliteStore(path)).close()
    const newer = new DatabaseSync(path)
    newer.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`)
    newer.close()
    await expect(sqliteStore(path)).rejects.toMatchObject({
      code: 'STORE_TOO_NEW',
      details: { version: SCHEMA_VERSION + 1, supported: SCHEMA_VERSION },
    })
    const after = new DatabaseSync(path)
    expect(after.prepare('PRAGMA user_version').get()).toEqual({ user_version: SCHEMA_VERSION + 1 })
    after.close()
  })

  it('of every older version is migrated, and its rows stay', async () => {
    for (let version = 1; version <= SCHEMA_VERSION; version++) {
      const path = newPath()
      const old = new DatabaseSync(path)
      const tables = TABLES_BY_VERSION.slice(0, version).flat()
      for (const table of tables) {
        old.exec(create(table))
        // The key ['a'] as it has been encoded since version 1.
        old.exec(`INSERT INTO "${table}" VALUES (x'026100', x'2a')`)
      }
      if (version >= 3) old.exec(REDO)
      old.exec(`PRAGMA user_version = ${version}`)
      old.close()
      const store = await sqliteStore(path)
      for (const table of TABLES) {
        expect(await store.range(table)).toEqual(
          tables.includes(table) ? [{ key: ['a'], value: Uint8Array.of(42) }] : [],
        )
      }
      await store.close()
    }
  })

  it('of something else is refused with STORE_FAILED', async () => {
    const foreign = newPath()
    const db = new DatabaseSync(foreign)
    db.exec('CREATE TABLE photos (id INTEGER)')
    db.close()
    await expect(sqliteStore(foreign)).rejects.toMatchObject({ code: 'STORE_FAILED' })

    const text = newPath()
    writeFileSync(text, 'not a database at all, but long enough to look like one '.repeat(100))
    await expect(sqliteStore(text)).rejects.toMatchObject({ code: 'STORE_FAILED', reference: text })
    await expect(sqliteStore(folder)).rejects.toMatchObject({ code: 'STORE_FAILED' })
  })
})

describe("a SQLite file that is another application's", () => {
  const CUSTOMERS = "CREATE TABLE customers (name); INSERT INTO customers VALUES ('x');"
  const cases: [what: string, sql: string][] = [
    ...[-3, 0, 1, 2, 9].map((version): [string, string] => [
      `with a table of its own and version ${version}`,
      `${CUSTOMERS} PRAGMA user_version = ${version}`,
    ]),
    ['without a table, with a version below zero', 'PRAGMA user_version = -3'],
    ['without a table, with the version of a store', 'PRAGMA user_version = 2'],
    ['with tables like those of a store, and no version', `${create('meta')} ${create('agents')}`],
    [
      'with tables of the names that a store has, and other columns',
      'CREATE TABLE meta (k, v); CREATE TABLE agents (k, v); PRAGMA user_version = 1',
    ],
    [
      'with a table in the place of one that a store of its version gets later',
      `${create('meta')} ${create('agents')} CREATE TABLE app (x); PRAGMA user_version = 1`,
    ],
    ['with all the tables of a store and no redo log', `${TABLES.map(create).join('')} PRAGMA user_version = 3`],
    [
      'with a redo log of other columns',
      `${TABLES.map(create).join('')} ${create('redo')} PRAGMA user_version = ${SCHEMA_VERSION}`,
    ],
    ['with a log of its own', `PRAGMA journal_mode = WAL; ${CUSTOMERS} PRAGMA user_version = 2`],
  ]
  const bytes = (path: string): unknown[] =>
    ['', '-wal', '-journal'].map(end =>
      existsSync(path + end) ? [statSync(path + end).mode & 0o777, readFileSync(path + end)] : 'none',
    )
  const refused = async (path: string): Promise<void> => {
    const before = bytes(path)
    await expect(sqliteStore(path)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      reference: path,
      message: expect.stringContaining('not a store'),
    })
    expect(bytes(path)).toEqual(before)
  }

  it.each(cases)('%s, is refused with STORE_FAILED and left byte for byte as it was', async (_, sql) => {
    const path = newPath()
    const db = new DatabaseSync(path)
    db.exec(sql)
    db.close()
    chmodSync(path, 0o644)
    await refused(path)
    expect(existsSync(`${path}-shm`)).toBe(false)
  })

  it('and all of whose tables are in its log yet, is refused and left byte for byte as it was, in use or not', async () => {
    const path = newPath()
    const db = new DatabaseSync(path)
    db.exec(`PRAGMA journal_mode = WAL; ${CUSTOMERS} PRAGMA user_version = 1`)
    await refused(path)
    // What it leaves where it is killed.
    const killed = newPath()
    for (const end of ['', '-wal']) copyFileSync(`${path}${end}`, `${killed}${end}`)
    db.close()
    await refused(killed)
  })

  it('and was cut off in a change, is refused, and its journal left to it unless the file cannot be read without', async () => {
    const path = newPath()
    const db = new DatabaseSync(path)
    db.exec(`${CUSTOMERS} CREATE TABLE pictures (bytes); PRAGMA user_version = 1; PRAGMA cache_size = 1`)
    const before = readFileSync(path)
    db.exec('BEGIN; CREATE TABLE more (x)')
    const insert = db.prepare('INSERT INTO pictures VALUES (zeroblob(3000))')
    for (let i = 0; i < 50; i++) insert.run()
    const cut = newPath()
    for (const end of ['', '-journal']) copyFileSync(`${path}${end}`, `${cut}${end}`)
    db.exec('ROLLBACK')
    db.close()
    await refused(cut)
    // A page that was only half written: without the journal it is no database. With it, it is as it was before.
    const torn = readFileSync(cut).fill(0, 0, 100)
    expect(torn.length).toBeGreaterThan(before.length)
    writeFileSync(cut, torn)
    chmodSync(cut, 0o644)
    await expect(sqliteStore(cut)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining('not a store'),
    })
    expect([statSync(cut).mode & 0o777, readFileSync(cut)]).toEqual([0o644, before])
  })
})

describe('a SQLite file that is to be a store', () => {
  const opens = async (path: string): Promise<void> => {
    const store = await sqliteStore(path)
    await store.commit({ writes: [put(['a'])] })
    expect(await store.count('meta')).toBe(1)
    await store.close()
    expect(['-wal', '-shm', '-journal'].filter(end => existsSync(path + end))).toEqual([])
  }

  it('is taken empty, and wherever its creation was cut off', async () => {
    const empty = newPath()
    writeFileSync(empty, '')
    await opens(empty)

    const journalled = newPath()
    const db = new DatabaseSync(journalled)
    db.exec('PRAGMA journal_mode = WAL')
    db.close()
    await opens(journalled)

    // Before and after the tables were committed: in the file there is nothing of them yet.
    for (const commit of [false, true]) {
      const path = newPath()
      const cut = new DatabaseSync(path)
      cut.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA cache_size = 1; BEGIN EXCLUSIVE')
      for (const table of TABLES) cut.exec(create(table))
      cut.exec(REDO)
      cut.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`)
      if (commit) cut.exec('COMMIT')
      const killed = newPath()
      for (const end of ['', '-wal']) copyFileSync(`${path}${end}`, `${killed}${end}`)
      cut.close()
      await opens(killed)
    }
  })

  it('may have tables beside those of a store, as tools that copy databases make', async () => {
    const path = newPath()
    await (await sqliteStore(path)).close()
    const db = new DatabaseSync(path)
    db.exec('CREATE TABLE _copied (seq INTEGER); ANALYZE')
    db.close()
    await opens(path)
  })
})
