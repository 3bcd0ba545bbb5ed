/** Reading a row that a start cannot do without: where it is damaged, whoever cannot start has to know which one it is. */

import { AfpDataStoreError } from '../common/errors.ts'
import type { Key } from './store.ts'

/** What a row says. @throws AfpDataStoreError STORE_FAILED, which names the row, when it is damaged: `read` throws */
export function wholeRow<T>(table: string, key: Key, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    const why = `the row ${JSON.stringify(key)} of ${JSON.stringify(table)} in the store is damaged; it was left as it is`
    throw new AfpDataStoreError('STORE_FAILED', why, { reference: `${table}/${key.join('/')}`, cause })
  }
}
