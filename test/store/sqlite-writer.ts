/** A process that writes rows without end and tells each one once its commit has resolved. It is there to be killed. */

import { sqliteStore } from '../../src/store/sqlite.ts'

const store = await sqliteStore(process.argv[2] as string)
for (let n = 0; ; n += 4) {
  // Groups of four, so that a kill may also fall into a transaction of several batches.
  await Promise.all(
    [n, n + 1, n + 2, n + 3].map(async i => {
      await store.commit({
        writes: [
          { op: 'put', table: 'meta', key: ['row', i], value: new Uint8Array(500).fill(i) },
          { op: 'put', table: 'agents', key: ['row', i], value: new Uint8Array(500).fill(i) },
        ],
      })
      process.send?.(i)
    }),
  )
}
