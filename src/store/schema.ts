/** One schema for every implementation. A table added or changed is a new version with a migration. */

/** Tables by the version that brought them in. */
export const TABLES_BY_VERSION: readonly (readonly string[])[] = [['meta', 'agents']]

/** The version this code writes. */
export const SCHEMA_VERSION = TABLES_BY_VERSION.length

/** Every table of the current version. `meta`: this agent's own facts; `agents`: cards and pinned names of others. */
export const TABLES: readonly string[] = TABLES_BY_VERSION.flat()
