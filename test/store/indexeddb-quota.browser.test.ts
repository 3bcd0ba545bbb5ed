import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cdp } from 'vitest/browser'
import { indexedDbStore } from '../../src/store/indexeddb.ts'
import { put } from '../contracts/store.ts'

/** Protocol methods that the driver's types do not list. */
const devtools = cdp() as unknown as { send(method: string, params: object): Promise<unknown> }
const { origin } = location

// In a file, and so an origin's storage, of its own: Chromium remembers for many seconds how much room it found.
beforeAll(() => devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 3_000_000 }))
afterAll(() => devtools.send('Storage.overrideQuotaForOrigin', { origin }))

describe('an IndexedDB without room', () => {
  it('refuses the batch that does not fit with STORE_FULL, whole, and writes the others of its turn', async () => {
    const store = await indexedDbStore('full')
    // Random, because engines compress what they store.
    const large = new Uint8Array(8_000_000)
    for (let at = 0; at < large.length; at += 50_000) crypto.getRandomValues(large.subarray(at, at + 50_000))
    const results = await Promise.allSettled([
      store.commit({ writes: [put(['small', 1])] }),
      store.commit({ writes: [put(['part']), put(['large'], large), put(['part', 2])] }),
      store.commit({ writes: [put(['small', 2])] }),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((results[1] as PromiseRejectedResult).reason).toMatchObject({
      name: 'AfpDataStoreError',
      code: 'STORE_FULL',
    })
    expect((await store.range('meta')).map(({ key }) => key)).toEqual([
      ['small', 1],
      ['small', 2],
    ])
    await store.close()
  })
})
