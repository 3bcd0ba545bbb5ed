/** All that is on a disk, to be put on another one or held against what is there. */

import { TABLES } from '../../../src/store/schema.ts'
import type { Store } from '../../../src/store/store.ts'

/** All rows of a disk. */
export type Snapshot = readonly { readonly table: string; readonly rows: Awaited<ReturnType<Store['range']>> }[]

export async function snapshotOf(disk: Store): Promise<Snapshot> {
  return Promise.all(TABLES.map(async table => ({ table, rows: await disk.range(table) })))
}

/** Puts rows on a disk. */
export async function putAll(disk: Store, rows: Snapshot): Promise<void> {
  for (const { table, rows: all } of rows) {
    if (all.length > 0) await disk.commit({ writes: all.map(row => ({ op: 'put', table, ...row })) })
  }
}
