/**
 * What only Node has: an identity in a file, a store in SQLite.
 *
 * @packageDocumentation
 */

export { fileIdentity } from './identity/file.ts'
export { type SqliteStoreOptions, sqliteStore } from './store/sqlite.ts'
