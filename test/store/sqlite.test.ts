import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, StatementSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { fromHex, toHex } from '../../src/common/bytes.ts'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { seededRandom } from '../../src/common/random.ts'
import { type OwnPrekey, PrekeyRing } from '../../src/security/prekeys.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { put, storeContract } from '../contracts/store.ts'
import { folder, newPath } from './files.ts'

storeContract('sqlite', async () => {
  const path = newPath()
  return { store: await sqliteStore(path), reopen: () => sqliteStore(path) }
})

/** Transactions in a write-ahead log: frames whose header names a size of the database, https://sqlite.org/fileformat.html#the_write_ahead_log */
function transactions(wal: Buffer): number {
  const frame = 24 + wal.readUInt32BE(8)
  let count = 0
  for (let at = 32; at + frame <= wal.length; at += frame) if (wal.readUInt32BE(at + 4) !== 0) count++
  return count
}

/** Another process that opens the store and writes rows without end. */
const forkWriter = (path: string): ChildProcess =>
  fork(join(import.meta.dirname, 'sqlite-writer.ts'), [path], { execArgv: [], silent: true })

describe('a store in a SQLite file', () => {
  let path: string
  let store: Store
  beforeEach(async () => {
    path = newPath()
    store = await sqliteStore(path)
  })
  afterEach(() => store.close())

  it('tells how much room there is: of the disk, or of what it may take', async () => {
    const before = await store.state?.()
    expect(before?.persistent).toBe(true)
    await store.commit({ writes: [put(['big'], new Uint8Array(100_000))] })
    const after = await store.state?.()
    // In pages, the first of which may have been there.
    expect(after?.usage).toBeGreaterThanOrEqual((before?.usage ?? 0) + 96_000)
    expect(after?.quota).toBeGreaterThan(after?.usage as number)
    await store.commit({ writes: [{ op: 'delete', table: 'meta', key: ['big'] }] })
    expect((await store.state?.())?.usage).toBeLessThan((before?.usage ?? 0) + 10_000)
    const small = await sqliteStore(newPath(), { maxBytes: 200_000 })
    const { quota } = (await small.state?.()) ?? {}
    expect(quota).toBeLessThanOrEqual(200_000)
    expect(quota).toBeGreaterThan(190_000)
    await small.close()
    await expect(small.state?.()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('writes the batches of one turn in one transaction, also those behind promises', async () => {
    const before = transactions(readFileSync(`${path}-wal`))
    const commits = Array.from({ length: 50 }, (_, i) => store.commit({ writes: [put([i])] }))
    const later = (async () => {
      for (let i = 0; i < 20; i++) await undefined
      await store.commit({ writes: [put(['later'])] })
    })()
    await Promise.all([...commits, later])
    expect(transactions(readFileSync(`${path}-wal`)) - before).toBe(1)
    await store.commit({ writes: [put(['next turn'])] })
    expect(transactions(readFileSync(`${path}-wal`)) - before).toBe(2)
  })

  it('is synced to the disk at each commit, and nobody else has it', async () => {
    // These are of a connection and not of the file: the store's own has to be asked.
    const exec = vi.spyOn(DatabaseSync.prototype, 'exec')
    const asked = await sqliteStore(newPath())
    const own = exec.mock.contexts[0] as DatabaseSync
    exec.mockRestore()
    const pragma = (name: string): unknown => Object.values(own.prepare(`PRAGMA ${name}`).get() ?? {})[0]
    const names = ['synchronous', 'fullfsync', 'checkpoint_fullfsync', 'journal_mode', 'locking_mode']
    // Two is FULL.
    expect(names.map(pragma)).toEqual([2, 1, 1, 'wal', 'exclusive'])
    await asked.close()
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

  it('is readable by its owner only, log included', async () => {
    await store.commit({ writes: [put(['a'])] })
    expect(statSync(path).mode & 0o077).toBe(0)
    expect(statSync(`${path}-wal`).mode & 0o077).toBe(0)
  })

  it('is made so where it was not, and what it keeps has been moved into place by somebody', async () => {
    await store.commit({ writes: [put(['a'])] })
    // A copy of what a process that was killed leaves, as a restored backup has it: the log is still there.
    const restored = newPath()
    for (const end of ['', '-wal']) {
      copyFileSync(`${path}${end}`, `${restored}${end}`)
      chmodSync(`${restored}${end}`, 0o644)
    }
    const again = await sqliteStore(restored)
    const modes = ['', '-wal'].map(end => statSync(`${restored}${end}`).mode & 0o777)
    expect(await again.count('meta')).toBe(1)
    await again.close()
    expect(modes).toEqual([0o600, 0o600])
  })

  it('is refused where the path is none, and nothing is made', async () => {
    for (const none of ['', ':memory:']) {
      await expect(sqliteStore(none)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
      expect(existsSync(none)).toBe(false)
    }
  })

  it('is refused where the path is an address, which SQLite takes for another file, and nothing is made', async () => {
    const before = readdirSync(folder)
    for (const address of ['file:bob.db', 'file::memory:', 'file:bob.db?nolock=1', pathToFileURL(newPath()).href]) {
      await expect(sqliteStore(address)).rejects.toMatchObject({
        code: 'INVALID_OPTION',
        message: expect.stringContaining('a path'),
      })
    }
    expect([existsSync('bob.db'), existsSync('file:bob.db'), readdirSync(folder)]).toEqual([false, false, before])
    // One that only has it in its name is a path.
    const named = await sqliteStore(join(folder, 'file:bob.db'))
    await named.commit({ writes: [put(['a'])] })
    expect(statSync(join(folder, 'file:bob.db')).mode & 0o077).toBe(0)
    await named.close()
  })

  it('writes nothing when it is opened: there may be no room', async () => {
    await store.commit({ writes: [put(['a'])] })
    await store.close()
    const before = readFileSync(path)
    store = await sqliteStore(path)
    expect(await store.count('meta')).toBe(1)
    expect(statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0).toBe(0)
    expect(readFileSync(path)).toEqual(before)
  })

  it('creates the folder that it is in', async () => {
    const deep = await sqliteStore(join(folder, 'a', 'b', 'store.db'))
    await deep.commit({ writes: [put(['a'])] })
    await deep.close()
  })

  it('refuses a second store on the file with STORE_IN_USE, and the first goes on', async () => {
    for (let i = 0; i < 2; i++) {
      await expect(sqliteStore(path)).rejects.toMatchObject({ name: 'AfpDataStoreError', code: 'STORE_IN_USE' })
      await store.commit({ writes: [put(['a', i])] })
    }
    await store.close()
    store = await sqliteStore(path)
    expect(await store.count('meta')).toBe(2)
  })

  it('stays closed to other processes after a second store was refused in this one', async () => {
    await expect(sqliteStore(path)).rejects.toMatchObject({ code: 'STORE_IN_USE' })
    const child = forkWriter(path)
    let said = ''
    child.stderr?.on('data', text => {
      said += text
    })
    const [code] = await Promise.race([once(child, 'close'), once(child, 'message').then(() => ['it wrote'])])
    child.kill('SIGKILL')
    expect(code).toBe(1)
    expect(said).toContain('STORE_IN_USE')
  })

  it('takes back what a batch wrote before it failed, and writes the others of its turn', async () => {
    // Without room for the redo log each write is a statement of its own.
    const store = await sqliteStore(newPath(), { maxBytes: 1 << 20 })
    const original = StatementSync.prototype.run
    const run = vi.spyOn(StatementSync.prototype, 'run').mockImplementation(function (this: StatementSync, ...values) {
      // What SQLite does with values beyond its limit of 1,000,000,000 bytes.
      if ((values[1] as unknown as Uint8Array | undefined)?.length === 3) {
        throw Object.assign(new Error('string or blob too big'), { code: 'ERR_SQLITE_ERROR', errcode: 18 })
      }
      return original.apply(this, values)
    })
    const results = await Promise.allSettled([
      store.commit({ writes: [put(['a'])] }),
      store.commit({ writes: [put(['b']), put(['c'], 'xxx')] }),
      store.commit({ writes: [put(['d'])] }),
    ])
    run.mockRestore()
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((results[1] as PromiseRejectedResult).reason.code).toBe('STORE_FAILED')
    expect((await store.range('meta')).map(({ key }) => key)).toEqual([['a'], ['d']])
    await store.close()
  })
})

describe('a store in a SQLite file of another process', () => {
  it('is in use while that lives; after kill -9 every acknowledged row is there, each batch whole', async () => {
    const path = newPath()
    const child = forkWriter(path)
    const acked = new Set<number>()
    const enough = new Promise<void>((resolve, reject) => {
      child.on('message', n => {
        acked.add(n as number)
        if (acked.size === 200) resolve()
      })
      child.once('exit', code => reject(new Error(`the writer ended early with ${code}`)))
    })
    await enough
    await expect(sqliteStore(path)).rejects.toMatchObject({ code: 'STORE_IN_USE' })
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    expect((await exit)[1]).toBe('SIGKILL')

    const store = await sqliteStore(path)
    const rows = await store.range('meta', { prefix: ['row'] })
    const there = new Set(rows.map(({ key }) => key[1]))
    expect([...acked].filter(n => !there.has(n))).toEqual([])
    for (const { key, value } of rows) expect(value).toEqual(new Uint8Array(500).fill(key[1] as number))
    expect(await store.range('agents', { prefix: ['row'] })).toEqual(rows)
    await store.close()
  })
})

describe('a SQLite file that has no more room', () => {
  it('refuses the batch that does not fit with STORE_FULL, whole, and writes the others of its turn', async () => {
    const store = await sqliteStore(newPath(), { maxBytes: 256 * 1024 })
    const results = await Promise.allSettled([
      store.commit({ writes: [put(['small', 1])] }),
      store.commit({ writes: [put(['part']), put(['large'], new Uint8Array(1 << 20)), put(['part', 2])] }),
      store.commit({ writes: [put(['small', 2])] }),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((results[1] as PromiseRejectedResult).reason).toMatchObject({ code: 'STORE_FULL' })
    expect((results[1] as PromiseRejectedResult).reason).toBeInstanceOf(AfpDataStoreError)
    expect((await store.range('meta')).map(({ key }) => key)).toEqual([
      ['small', 1],
      ['small', 2],
    ])
    await store.close()
  })

  it('can be filled row by row, read, emptied and filled again', async () => {
    const path = newPath()
    const store = await sqliteStore(path, { maxBytes: 256 * 1024 })
    const fill = async (): Promise<number> => {
      for (let n = 0; ; n++) {
        const error = await store.commit({ writes: [put(['n', n], new Uint8Array(8_000))] }).then(
          () => undefined,
          (reason: unknown) => reason,
        )
        if (error === undefined) continue
        expect(error).toMatchObject({ code: 'STORE_FULL' })
        return n
      }
    }
    const first = await fill()
    expect(first).toBeGreaterThan(20)
    expect(await store.count('meta')).toBe(first)
    await store.commit({ writes: [{ op: 'deleteRange', table: 'meta', range: {} }] })
    expect(await fill()).toBe(first)
    await store.close()
    expect(statSync(path).size).toBeLessThanOrEqual(256 * 1024)
  })
})

describe('the log of a SQLite file', () => {
  it.each([
    ['where there is little room', { maxBytes: 1 << 20 }, 1_000, 300_000, 100_000],
    ['where there is much, beside a redo log that stays so too', {}, 100_000, 5_000_000, 3_000_000],
  ])('stays small, however often a row is written, %s', async (_, options, size, most, mostInFile) => {
    const path = newPath()
    const store = await sqliteStore(path, options)
    // Each is two pages at least.
    for (let n = 0; n < 300; n++) {
      await store.commit({ writes: [put(['again'], new Uint8Array(size).fill(n))] })
      expect(statSync(`${path}-wal`).size).toBeLessThan(most)
    }
    expect(statSync(path).size).toBeLessThan(mostInFile)
    await store.close()
  })

  it('gives its room back where there is none', async () => {
    const path = newPath()
    const store = await sqliteStore(path, { maxBytes: 256 * 1024 })
    await store.commit({ writes: [put(['small'], new Uint8Array(8_000))] })
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(8_000)
    const large = store.commit({ writes: [put(['large'], new Uint8Array(1 << 20))] })
    await expect(large).rejects.toMatchObject({ code: 'STORE_FULL' })
    expect(statSync(`${path}-wal`).size).toBe(0)
    expect(await store.count('meta')).toBe(1)
    await store.close()
  })
})

describe('what is deleted from a SQLite file', () => {
  const has = (path: string, bytes: Uint8Array): boolean =>
    [path, `${path}-wal`].some(file => existsSync(file) && readFileSync(file).includes(bytes))

  it('is overwritten there, whether it was in a page of others or in some of its own', async () => {
    const path = newPath()
    const store = await sqliteStore(path)
    const values = Array.from({ length: 12 }, (_, i) => seededRandom(i).bytes(i % 2 === 0 ? 200 : 6_000))
    await store.commit({ writes: values.map((value, i) => put([i], value)) })
    await store.commit({ writes: [3, 4, 7, 8].map(i => ({ op: 'delete', table: 'meta', key: [i] }) as const) })
    await store.commit({ writes: [put([0], new Uint8Array(200)), put([1], new Uint8Array(6_000))] })
    await store.close()
    // Of what filled a page, the end: its first bytes are in the page of the others.
    const left = values.map(value => has(path, value.subarray(-64)))
    expect(left).toEqual(values.map((_, i) => ![0, 1, 3, 4, 7, 8].includes(i)))
  })

  it('and was a private key is in its log no longer either, while it is open', async () => {
    const path = newPath()
    const store = await sqliteStore(path)
    const ring = new PrekeyRing({ store, random: seededRandom(1) })
    const made = new Map<string, Uint8Array>()
    for (let day = 0; day < 100; day++) {
      await ring.rotate(day * 86_400_000)
      const { id, privateKey } = ring.current() as OwnPrekey
      if (!made.has(toHex(id))) made.set(toHex(id), privateKey.slice())
      // Few enough that SQLite would not write them into the file yet.
      if (day % 10 === 0) await store.commit({ writes: [put([day], new Uint8Array(100))] })
      for (const [id, key] of made) expect(has(path, key)).toBe(ring.find(fromHex(id)) !== undefined)
    }
    expect(made.size).toBe(15)
    await store.close()
  })
})
