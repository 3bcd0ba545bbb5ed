import { deleteDB, openDB } from 'idb'
import { afterEach, expect, it } from 'vitest'
import { seededRandom } from '../../src/common/random.ts'
import { indexedDbStore } from '../../src/store/indexeddb.ts'
import { fetchAndWait, waitingHandlersContract } from '../contracts/waiting-handlers.ts'
import { failure } from './waiting.ts'

/** This file, from the server that the page came from. */
const url = (): string => import.meta.url
let name = ''
const newName = (): string => {
  name = `waiting-${crypto.randomUUID()}`
  return name
}
afterEach(() => deleteDB(name))

waitingHandlersContract('IndexedDB', () => indexedDbStore(newName()), url)

it('a transaction of IndexedDB that is held open over such a wait is over after it: no handler is given one', async () => {
  const db = await openDB(newName(), 1, { upgrade: made => void made.createObjectStore('sums') })
  try {
    const { store: sums } = db.transaction('sums', 'readwrite')
    const before = Number((await sums.get('sum')) ?? 0)
    await fetchAndWait(url(), seededRandom(1))
    const late = failure((async () => sums.put(before + 1, 'sum'))())
    expect(await late).toMatchObject({ name: 'TransactionInactiveError' })
  } finally {
    db.close()
  }
})
