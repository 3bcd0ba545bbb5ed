/** One schema for every implementation. A table added or changed is a new version with a migration. */

/**
 * Tables by the version that brought them in. The third brought none: from it on a SQLite file has a redo log, which
 * names tables by their place here. Nor did the fourth: from it on a message that waits for one recipient, and of which
 * nothing else is to be said, has a row in `outbox` and none in `receipts`, where earlier versions would miss it.
 */
export const TABLES_BY_VERSION: readonly (readonly string[])[] = [
  ['meta', 'agents'],
  ['prekeys', 'dead-letters', 'outbox', 'inbox', 'epochs', 'receipts', 'app'],
  [],
  [],
]

/** The version this code writes. */
export const SCHEMA_VERSION = TABLES_BY_VERSION.length

/**
 * Every table of the current version. `meta`: this agent's own facts, whose store it is first of all; `agents`: cards and
 * pinned names of others; `prekeys`: private halves of this agent's key agreement; `outbox`: messages on their way;
 * `inbox`: messages that came and are not processed; `epochs`: feeds, by author and destination; `receipts`: what became
 * of sent messages; `dead-letters`: messages that could not be delivered or handled; `app`: what handlers keep through
 * their transactions.
 */
export const TABLES: readonly string[] = TABLES_BY_VERSION.flat()
