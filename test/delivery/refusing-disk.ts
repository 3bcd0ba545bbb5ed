import { AfpDataStoreError } from '../../src/common/errors.ts'
import type { Batch, Store } from '../../src/store/store.ts'

/** From here on a disk has no room for what becomes of the messages that wait on it now, until it is mended. */
export interface Refusing {
  readonly error: AfpDataStoreError
  /** How often it was asked. */
  readonly refused: number
  /** What is refused waits for it. */
  gate: Promise<void>
  mend(): void
}

/** See {@link Refusing}; everything else is written. */
export async function refuseEnds(store: Store): Promise<Refusing> {
  const rows = new Set((await store.range('outbox')).map(({ key }) => JSON.stringify(key)))
  const isEnd = ({ writes }: Batch): boolean =>
    writes.some(write => 'key' in write && write.table === 'outbox' && rows.has(JSON.stringify(write.key)))
  const commit = store.commit.bind(store)
  const error = new AfpDataStoreError('STORE_FULL', 'no room for this')
  const disk = { error, refused: 0, gate: Promise.resolve(), mend: () => void rows.clear() }
  store.commit = (batch, options) => {
    if (!isEnd(batch)) return commit(batch, options)
    disk.refused++
    return disk.gate.then(() => Promise.reject(error))
  }
  return disk
}
