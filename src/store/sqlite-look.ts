/** What a SQLite file is, asked before anything of it is changed: it may be another application's. */

import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { AfpDataStoreError } from '../common/errors.ts'
import { SCHEMA_VERSION, TABLES_BY_VERSION } from './schema.ts'
import { REDO_SINCE } from './sqlite-rows.ts'

/** Of a table: undefined where there is none, 1 where it has such columns, else 0. */
const ours = (table: string, columns: string): string => `SELECT strict AND '${columns}' = (
  SELECT wr || ' ' || group_concat(name || ' ' || type || ' ' || pk) FROM pragma_table_xinfo('${table}')
) AS ours FROM pragma_table_list('${table}') WHERE schema = 'main'`

/**
 * Looks at a file over a connection that cannot write.
 *
 * @throws AfpDataStoreError STORE_FAILED, STORE_TOO_NEW as {@link versionOf}. What cannot be read in this way, as a file
 * that another store has, is left to whoever opens it to write.
 */
export function lookAt(path: string): void {
  const url = pathToFileURL(path)
  // Of a file with a log only both say what is in it. Beside one without, SQLite would leave an empty log, but not where
  // the file is said never to change. It is SQLite that has to read it, for the sake of its locks: see createPrivate().
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false })
  url.search = log !== undefined && log.size > 0 ? 'mode=ro' : 'immutable=1'
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(url, { readOnly: true })
    versionOf(db, path)
  } catch (error) {
    if (error instanceof AfpDataStoreError) throw error
  } finally {
    if (db?.isOpen) db.close()
  }
}

/**
 * The version of the store in a database, 0 for an empty one. A store has the tables of its version and not yet those of
 * later ones. It may have tables of others as well, as tools that copy databases leave.
 *
 * @throws AfpDataStoreError STORE_FAILED for what is no store, STORE_TOO_NEW for one of a newer version
 */
export function versionOf(db: DatabaseSync, path: string): number {
  const version = Number(db.prepare('PRAGMA user_version').get()?.user_version)
  // Of whoever's making: told by its columns.
  const is = (table: string, columns: string): unknown => db.prepare(ours(table, columns)).get()?.ours
  const has = (table: string): unknown => is(table, '1 k BLOB 1,v BLOB 0')
  // Of what is to come only this is known: whose store it is will have to be somewhere.
  if (version > SCHEMA_VERSION && has('meta') !== undefined) {
    throw new AfpDataStoreError('STORE_TOO_NEW', `${path} is of a newer version of this package`, {
      reference: path,
      details: { version, supported: SCHEMA_VERSION },
    })
  }
  const known =
    version === 0
      ? db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n === 0
      : version > 0 &&
        version <= SCHEMA_VERSION &&
        is('redo', '0 seq INTEGER 1,v BLOB 0') === (version < REDO_SINCE ? undefined : 1) &&
        TABLES_BY_VERSION.every((tables, at) => tables.every(table => has(table) === (at < version ? 1 : undefined)))
  if (known) return version
  throw new AfpDataStoreError('STORE_FAILED', `${path} is a database, but not a store`, {
    reference: path,
  })
}
