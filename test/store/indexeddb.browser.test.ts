import { deleteDB, openDB } from 'idb'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { cdp } from 'vitest/browser'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import type { AfpDataStoreError } from '../../src/common/errors.ts'
import { indexedDbStore } from '../../src/store/indexeddb.ts'
import { SCHEMA_VERSION, TABLES, TABLES_BY_VERSION } from '../../src/store/schema.ts'
import type { Store } from '../../src/store/store.ts'
import { put, storeContract } from '../contracts/store.ts'

let databases = 0
const newName = (): string => `store-${databases++}-${crypto.randomUUID()}`

storeContract('indexeddb', async () => {
  const name = newName()
  return { store: await indexedDbStore(name), reopen: () => indexedDbStore(name) }
})

/** Protocol methods that the driver's types do not list. */
const devtools = cdp() as unknown as { send(method: string, params: object): Promise<{ usage: number }> }

describe('a store in IndexedDB', () => {
  let name: string
  let store: Store
  beforeEach(async () => {
    name = newName()
    store = await indexedDbStore(name)
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    await store.close()
    await deleteDB(name)
  })

  it('tells how much room there is', async () => {
    await store.commit({ writes: [put(['big'], new Uint8Array(100_000))] })
    const { persistent, usage, quota } = (await store.state?.()) ?? {}
    expect(persistent).toBe(await navigator.storage.persisted())
    expect(usage).toBeGreaterThan(0)
    expect(quota).toBeGreaterThan(usage as number)
  })

  it.each([true, false])('asks the browser that it may stay, and tells its answer: %s', async answer => {
    const asked = vi.spyOn(navigator.storage, 'persist').mockResolvedValue(answer)
    expect(await store.persist?.()).toBe(answer)
    expect(asked).toHaveBeenCalledTimes(1)
  })

  it('writes the batches of one turn in one strict transaction, also those behind promises', async () => {
    const made = vi.spyOn(IDBDatabase.prototype, 'transaction')
    const commits = Array.from({ length: 50 }, (_, i) => store.commit({ writes: [put([i])] }))
    const later = (async () => {
      for (let i = 0; i < 20; i++) await undefined
      await store.commit({ writes: [put(['later'])] })
    })()
    await Promise.all([...commits, later])
    expect(made).toHaveBeenCalledTimes(1)
    expect(made.mock.results.map(({ value }) => (value as IDBTransaction).durability)).toEqual(['strict'])
  })

  it('gathers what is committed while a transaction runs into the next one', async () => {
    const begun = Promise.withResolvers<void>()
    const original = IDBDatabase.prototype.transaction
    const made = vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (
      this: IDBDatabase,
      ...args
    ) {
      begun.resolve()
      return original.apply(this, args)
    })
    const first = store.commit({ writes: [put(['first'], new Uint8Array(100_000))] })
    await begun.promise
    await Promise.all([first, ...Array.from({ length: 20 }, (_, i) => store.commit({ writes: [put([i])] }))])
    expect(made).toHaveBeenCalledTimes(2)
  })

  it('drops a batch whose signal fires before its transaction begins, and only that one', async () => {
    const controller = new AbortController()
    const off = store.commit({ writes: [put(['off'])] }, { signal: controller.signal })
    const on = store.commit({ writes: [put(['on'])] })
    const reason = new Error('called off')
    controller.abort(reason)
    await expect(off).rejects.toBe(reason)
    await on
    expect((await store.range('meta')).map(({ key }) => key)).toEqual([['on']])
  })

  it('writes the others of a turn when one batch holds what the engine cannot take', async () => {
    const original = IDBObjectStore.prototype.put
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, value, key) {
      // What Chromium does with values beyond its limit of about 128 MiB.
      if (value.length === 3) throw new DOMException('The serialized value is too large', 'DataError')
      return original.call(this, value, key)
    })
    const results = await Promise.allSettled([
      store.commit({ writes: [put(['a'])] }),
      store.commit({ writes: [put(['b']), put(['c'], 'xxx')] }),
      store.commit({ writes: [put(['d'])] }),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((results[1] as PromiseRejectedResult).reason.code).toBe('STORE_FAILED')
    expect((await store.range('meta')).map(({ key }) => key)).toEqual([['a'], ['d']])
  })

  it('is shared by two that open it', async () => {
    const other = await indexedDbStore(name)
    await store.commit({ writes: [put(['a'])] })
    const take = { checks: [{ table: 'meta', key: ['lock'], value: undefined }], writes: [put(['lock'])] }
    const results = await Promise.allSettled([store.commit(take), other.commit(take)])
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(await other.count('meta')).toBe(2)
    await other.close()
  })
})

describe('opening an IndexedDB', () => {
  it('of a newer version is refused with STORE_TOO_NEW', async () => {
    const name = newName()
    ;(await openDB(name, SCHEMA_VERSION + 1)).close()
    await expect(indexedDbStore(name)).rejects.toMatchObject({ code: 'STORE_TOO_NEW', reference: name })
  })

  it('of every older version migrates it, and its rows stay', async () => {
    for (let version = 1; version <= SCHEMA_VERSION; version++) {
      const name = newName()
      const tables = TABLES_BY_VERSION.slice(0, version).flat()
      const old = await openDB(name, version, {
        upgrade: db => {
          for (const table of tables) db.createObjectStore(table).put(Uint8Array.of(42), ['a'])
        },
      })
      old.close()
      const store = await indexedDbStore(name)
      for (const table of TABLES) {
        expect(await store.range(table)).toEqual(
          tables.includes(table) ? [{ key: ['a'], value: Uint8Array.of(42) }] : [],
        )
      }
      await store.close()
    }
  })

  describe('that the browser ends, as while it clears site data', () => {
    afterEach(() => vi.restoreAllMocks())

    /** Ends the first `times` opens with the AbortError that Chromium ends them with. */
    function endOpens(times: number): void {
      const { open } = IDBFactory.prototype
      vi.spyOn(IDBFactory.prototype, 'open').mockImplementation(function (this: IDBFactory, ...args) {
        if (times-- <= 0) return open.apply(this, args)
        // Only what is made anew has an upgrade to be ended in.
        this.deleteDatabase(args[0])
        const request = open.apply(this, args)
        request.addEventListener('upgradeneeded', () => request.result.close())
        return request
      })
    }

    it('tries once more, and has a new database', async () => {
      const name = newName()
      endOpens(1)
      const store = await indexedDbStore(name)
      await store.commit({ writes: [put(['a'])] })
      expect(await store.count('meta')).toBe(1)
      await store.close()
      await deleteDB(name)
    })

    it('fails with STORE_FAILED when that is ended too', async () => {
      const name = newName()
      endOpens(2)
      await expect(indexedDbStore(name)).rejects.toMatchObject({ code: 'STORE_FAILED', reference: name })
      await deleteDB(name)
    })
  })

  it('that is something else is refused with STORE_FAILED, and it is let go', async () => {
    const name = newName()
    ;(await openDB(name, SCHEMA_VERSION, { upgrade: db => void db.createObjectStore('photos') })).close()
    await expect(indexedDbStore(name)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    const blocked = vi.fn()
    await deleteDB(name, { blocked })
    expect(blocked).not.toHaveBeenCalled()
  })

  it('rejects with the reason of a signal that has fired', async () => {
    const reason = new Error('not any more')
    await expect(indexedDbStore(newName(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  describe('that another connection holds up', () => {
    afterEach(() => vi.restoreAllMocks())

    /** A connection that, unlike a store, does not make way for the deletion that waits behind it, nor for us. */
    async function holdUp(name: string): Promise<() => Promise<void>> {
      const asked = Promise.withResolvers<void>()
      const db = await openDB(name, 1, { blocking: () => asked.resolve() })
      const deleted = deleteDB(name)
      await asked.promise
      return async () => {
        db.close()
        await deleted
      }
    }

    async function expectFree(name: string): Promise<void> {
      const blocked = vi.fn()
      await deleteDB(name, { blocked })
      expect(blocked).not.toHaveBeenCalled()
    }

    it('succeeds once that lets go', async () => {
      const name = newName()
      const letGo = await holdUp(name)
      const opening = indexedDbStore(name)
      await letGo()
      const store = await opening
      await store.commit({ writes: [put(['a'])] })
      await store.close()
      await expectFree(name)
    })

    it('fails with STORE_IN_USE after the time it was given; what still opens later is closed', async () => {
      const name = newName()
      const letGo = await holdUp(name)
      const clock = new DrivenClock()
      const opening = indexedDbStore(name, { clock, openTimeout: 3_000 })
      const settled = vi.fn()
      opening.then(settled, settled)
      await clock.advance(2_999)
      expect(settled).not.toHaveBeenCalled()
      await clock.advance(1)
      // What it was that took so long is not told.
      const message = `${name} did not open in 3000 ms`
      await expect(opening).rejects.toMatchObject({ code: 'STORE_IN_USE', reference: name, message })
      await letGo()
      await expectFree(name)
    })

    it('with an older version fails and says so', async () => {
      const name = newName()
      const older = await openDB(name, SCHEMA_VERSION - 1)
      const opened = vi.spyOn(IDBFactory.prototype, 'open')
      const clock = new DrivenClock()
      const opening = indexedDbStore(name, { clock, openTimeout: 3_000 })
      const request = opened.mock.results[0]?.value as IDBOpenDBRequest
      await new Promise(resolve => request.addEventListener('blocked', resolve))
      const message = `another tab has an older version of ${name} open`
      const failing = expect(opening).rejects.toMatchObject({ code: 'STORE_IN_USE', reference: name, message })
      await clock.advance(3_000)
      await failing
      older.close()
      await expectFree(name)
    })

    it('can be called off with a signal; what still opens later is closed', async () => {
      const name = newName()
      const letGo = await holdUp(name)
      const clock = new DrivenClock()
      const controller = new AbortController()
      const opening = indexedDbStore(name, { signal: controller.signal, clock })
      const reason = new Error('called off')
      controller.abort(reason)
      await expect(opening).rejects.toBe(reason)
      expect(clock.pending).toBe(0)
      await letGo()
      await expectFree(name)
    })
  })
})

describe('an IndexedDB that others want', () => {
  it('finishes what was committed and makes way for a newer version; then everything rejects with CLOSED', async () => {
    const name = newName()
    const lost = Promise.withResolvers<AfpDataStoreError>()
    const store = await indexedDbStore(name, { onLost: lost.resolve })
    const commits = Array.from({ length: 10 }, (_, i) => store.commit({ writes: [put([i])] }))
    const newer = await openDB(name, SCHEMA_VERSION + 1)
    await Promise.all(commits)
    expect(await newer.count('meta')).toBe(10)
    expect((await lost.promise).code).toBe('CLOSED')
    for (const call of [
      store.get('meta', ['a']),
      store.range('meta'),
      store.count('meta'),
      store.commit({ writes: [] }),
    ]) {
      await expect(call).rejects.toBe(await lost.promise)
    }
    await store.close()
    newer.close()
    await deleteDB(name)
  })

  it('tells when the browser takes it away, and rejects with CLOSED from then on', async () => {
    const name = newName()
    const lost = Promise.withResolvers<AfpDataStoreError>()
    const store = await indexedDbStore(name, { onLost: lost.resolve })
    await store.commit({ writes: [put(['a'])] })
    await devtools.send('Storage.clearDataForOrigin', { origin: location.origin, storageTypes: 'indexeddb' })
    expect(await lost.promise).toMatchObject({ code: 'CLOSED', reference: name })
    await expect(store.commit({ writes: [put(['b'])] })).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(store.get('meta', ['a'])).rejects.toMatchObject({ code: 'CLOSED' })
    await store.close()
  })

  it('does not tell of a close that was asked for', async () => {
    const onLost = vi.fn()
    const name = newName()
    const store = await indexedDbStore(name, { onLost })
    await store.close()
    await deleteDB(name)
    expect(onLost).not.toHaveBeenCalled()
  })
})

describe('an IndexedDB without room', () => {
  const { origin } = location

  beforeEach(async () => {
    // Chromium goes on for many seconds with the room it found earlier, unless the origin starts anew.
    await devtools.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' })
    await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 3_000_000 })
  })
  afterEach(() => devtools.send('Storage.overrideQuotaForOrigin', { origin }))

  it('refuses the batch that does not fit with STORE_FULL, whole, and writes what came with it as far as there is room', async () => {
    const store = await indexedDbStore('full')
    // Random, because engines compress what they store.
    const large = new Uint8Array(8_000_000)
    for (let at = 0; at < large.length; at += 50_000) crypto.getRandomValues(large.subarray(at, at + 50_000))
    const results = await Promise.allSettled([
      store.commit({ writes: [put(['small', 1])] }),
      store.commit({ writes: [put(['part']), put(['large'], large), put(['part', 2])] }),
      store.commit({ writes: [put(['small', 2])] }),
    ])
    const [first, second, third] = results.map(result => (result.status === 'rejected' ? result.reason : 'written'))
    const full = { name: 'AfpDataStoreError', code: 'STORE_FULL' }
    expect(first).toBe('written')
    expect(second).toMatchObject(full)
    // The engine may count what it has just taken back for a moment longer.
    if (third !== 'written') expect(third).toMatchObject(full)
    expect((await store.range('meta')).map(({ key }) => key)).toEqual([
      ['small', 1],
      ...(third === 'written' ? [['small', 2]] : []),
    ])
    await store.close()
  })
})
