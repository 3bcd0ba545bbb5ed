import { indexedDbStore } from '../../src/store/indexeddb.ts'
import { deadLettersContract } from '../contracts/dead-letters.ts'

deadLettersContract('IndexedDB', async () => {
  const name = `dead-letters-${crypto.randomUUID()}`
  let store = await indexedDbStore(name)
  return {
    store,
    reopen: async () => {
      await store.close()
      store = await indexedDbStore(name)
      return store
    },
  }
})
