/** Rows of a table one after the other, read some at a time: neither memory nor the event loop has to hold them all. */

import { type NextTask, SLICE_ITEMS, Slices } from '../common/slices.ts'
import type { Key, Row, Store } from './store.ts'

/**
 * The rows whose keys start with `prefix`, in their order. Not of one moment: what is written meanwhile may be among
 * them. After each slice everybody else has a turn; `next` is how.
 */
export async function* paged(store: Store, table: string, prefix: Key = [], next?: NextTask): AsyncGenerator<Row> {
  const slices = new Slices(next)
  let after: { readonly gt?: Key } = {}
  for (;;) {
    const rows = await store.range(table, { prefix, ...after, limit: SLICE_ITEMS })
    for (const row of rows) {
      yield row
      if (slices.did(row.value.length)) await slices.pause()
      after = { gt: row.key }
    }
    if (rows.length < SLICE_ITEMS) return
  }
}
