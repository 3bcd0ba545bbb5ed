import { deleteDB } from 'idb'
import { afterEach } from 'vitest'
import { indexedDbStore } from '../../src/store/indexeddb.ts'
import { sentByHandlersContract } from '../contracts/sent-by-handlers.ts'

let name = ''
afterEach(() => deleteDB(name))

sentByHandlersContract('IndexedDB', () => {
  name = `sent-${crypto.randomUUID()}`
  return indexedDbStore(name)
})
