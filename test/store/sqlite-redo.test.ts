/** The redo log of a store in a SQLite file: what is in it is kept, whenever the process ends, and comes into the tables. */

import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, statSync } from 'node:fs'
import { DatabaseSync, StatementSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { compare } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { TABLES } from '../../src/store/schema.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import type { Batch, RangeOptions, Row, Store, Write } from '../../src/store/store.ts'
import { put } from '../contracts/store.ts'
import { SEED } from '../seed.ts'
import { newPath } from './files.ts'

const MIB = 1 << 20

/** What a process that is killed leaves of a store. */
function killed(path: string): string {
  const copy = newPath()
  for (const end of ['', '-wal']) if (existsSync(path + end)) copyFileSync(path + end, copy + end)
  return copy
}

/** How many rows the redo log of a file has; nobody has it open. */
function redoRows(path: string): number {
  const db = new DatabaseSync(killed(path))
  const { n } = db.prepare('SELECT count(*) AS n FROM redo').get() as { n: number }
  db.close()
  return n
}

/** What rows say, in few words. */
const said = (rows: readonly Row[]): string[] =>
  rows.map(({ key, value }) => `${JSON.stringify(key)} ${createHash('sha1').update(value).digest('hex')}`)

/** All that a store has. */
const rowsOf = (store: Store): Promise<string[][]> =>
  Promise.all(TABLES.map(async table => said(await store.range(table))))

/** What a store that was killed has, opened again. */
async function rowsAfter(path: string): Promise<string[][]> {
  const store = await sqliteStore(path)
  const rows = await rowsOf(store)
  await store.close()
  return rows
}

/** What becomes of each batch of a group. */
const fates = async (store: Store, group: readonly Batch[]): Promise<string[]> =>
  (await Promise.allSettled(group.map(batch => store.commit(batch)))).map(result =>
    result.status === 'fulfilled' ? 'ok' : result.reason.code,
  )

const del = (key: readonly (string | number)[], table = 'meta'): Write => ({ op: 'delete', table, key })

/** Groups as a sender makes them: a row comes, is written again and goes, another stays; 200 KB each. */
const sent = (group: number): Batch[] =>
  Array.from({ length: 10 }, (_, i) => {
    const [value, word] = [new Uint8Array(20_000).fill(group), new Uint8Array(100).fill(i)]
    const writes = [put(['out', group, i], value, 'outbox'), put(['receipt', group, i], word, 'receipts')]
    if (group < 2) return { writes }
    return {
      writes: [...writes, del(['out', group - 2, i], 'outbox'), put(['receipt', group - 2, i], word, 'receipts')],
    }
  })

afterEach(() => {
  vi.restoreAllMocks()
})

describe('a store with a redo log', () => {
  it('has every batch that resolved and no half of one, at whatever step the process ends', async () => {
    const path = newPath()
    const store = await sqliteStore(path)
    const model = memoryStore()
    const copies: { path: string; resolved: string[][] }[] = []
    let resolved = await rowsOf(model)
    const { exec } = DatabaseSync.prototype
    // Each third step, beginning with any: by chance alone a run now and then has hardly one.
    const first = Math.floor(seededRandom(SEED).float() * 3)
    let steps = 0
    vi.spyOn(DatabaseSync.prototype, 'exec').mockImplementation(function (this: DatabaseSync, sql) {
      const before = sql === 'COMMIT' && steps % 3 === first
      if (before) copies.push({ path: killed(path), resolved })
      exec.call(this, sql)
      if (sql !== 'COMMIT') return
      steps++
      if (before) copies.push({ path: killed(path), resolved })
    })
    let applied = false
    const expected = [resolved]
    for (let group = 0; group < 24; group++) {
      const batches = sent(group)
      // Written at once, by way of the whole log.
      if (group === 20)
        batches.push({ writes: [{ op: 'deleteRange', table: 'outbox', range: { prefix: ['out', 1] } }] })
      await fates(model, batches)
      const after = await rowsOf(model)
      expected.push(after)
      expect(new Set(await fates(store, batches))).toEqual(new Set(['ok']))
      resolved = after
      copies.push({ path: killed(path), resolved })
      applied ||= group < 20 && steps === group + 1 && redoRows(path) < 4 * group
    }
    await store.close()
    vi.restoreAllMocks()
    expect(applied, 'rows went into the tables beside new ones').toBe(true)
    expect(copies.length).toBeGreaterThan(30)
    for (const copy of copies) {
      const at = expected.indexOf(copy.resolved)
      // What was under way is there as a whole, or not at all.
      expect([expected[at], expected[at + 1]]).toContainEqual(await rowsAfter(copy.path))
    }
    expect(await rowsAfter(path)).toEqual(resolved)
    expect(redoRows(path)).toBe(0)
  }, 60_000)

  it('does what a store in memory does, with reads at any time, closed or killed anywhere', async () => {
    const table = fc.constantFrom('meta', 'app', 'outbox', 'prekeys')
    const key = fc.nat(5).map(n => [`${n}`])
    // The last are more than a row of the log should be, and a part of what it may be.
    const value = fc.tuple(fc.constantFrom(0, 1, 100, 100, 70_000, 400_000), fc.nat(3))
    const bytes = value.map(([length, fill]) => new Uint8Array(length).fill(fill))
    const write: fc.Arbitrary<Write> = fc.oneof(
      { weight: 12, arbitrary: fc.tuple(key, bytes, table).map(([k, v, t]) => put(k, v, t)) },
      { weight: 6, arbitrary: fc.tuple(key, table).map(([k, t]) => del(k, t)) },
      {
        weight: 1,
        arbitrary: fc.tuple(key, table).map(([k, t]): Write => ({ op: 'deleteRange', table: t, range: { gte: k } })),
      },
    )
    const check = fc.record({ table, key, value: fc.constantFrom(undefined, new Uint8Array(0), Uint8Array.of(1)) })
    const batch = fc.record({ checks: fc.array(check, { maxLength: 1 }), writes: fc.array(write, { maxLength: 4 }) })
    const step = fc.record({
      group: fc.array(batch, { maxLength: 4 }),
      afterwards: fc.constantFrom('goes on', 'goes on', 'goes on', 'is closed', 'is killed'),
      read: fc.record({ table, gt: key, reverse: fc.boolean(), limit: fc.nat(4) }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 20 }), async steps => {
        const model = memoryStore()
        let path = newPath()
        let store = await sqliteStore(path)
        for (const { group, afterwards, read } of steps) {
          expect(await fates(store, group)).toEqual(await fates(model, group))
          const { table, ...range } = read
          expect(said(await store.range(table, range))).toEqual(said(await model.range(table, range)))
          expect(await store.count(table, range)).toBe(await model.count(table, range))
          const [got, kept] = [await store.get(table, range.gt), await model.get(table, range.gt)]
          expect(got && compare(got, kept ?? new Uint8Array(1))).toBe(kept && 0)
          const copy = afterwards === 'is killed' ? killed(path) : path
          if (afterwards !== 'goes on') {
            await store.close()
            store = await sqliteStore(copy)
            path = copy
          }
          expect(await rowsOf(store)).toEqual(await rowsOf(model))
        }
        await store.close()
        expect(redoRows(path)).toBe(0)
      }),
      { numRuns: 25 },
    )
  }, 120_000)

  it('keeps what is overwritten or deleted soon out of the tables, and brings the rest there', async () => {
    const path = newPath()
    const store = await sqliteStore(path)
    const run = vi.spyOn(StatementSync.prototype, 'run')
    for (let group = 0; group < 60; group++) await fates(store, sent(group))
    // 40 writes a group: 4 rows of the log and their deletion, 10 receipts that last, 10 deletions of rows that are not there.
    expect(run.mock.calls.length / 60).toBeLessThan(30)
    expect(await store.count('outbox')).toBe(20)
    expect(await store.count('receipts')).toBe(600)
    const db = new DatabaseSync(killed(path))
    const inTable = (table: string): unknown => db.prepare(`SELECT count(*) AS n FROM "${table}"`).get()?.n
    expect(inTable('outbox')).toBe(0)
    expect(inTable('receipts')).toBeGreaterThan(300)
    db.close()
    await store.close()
  })

  it('takes no group of many writes or of long keys, and never has many writes in all', async () => {
    const path = newPath()
    const store = await sqliteStore(path)
    const some = (count: number, from: number, length = 1): Write[] =>
      Array.from({ length: count }, (_, i) => put(['x'.repeat(length), from + i]))
    await store.commit({ writes: some(4_097, 0) })
    expect(redoRows(path)).toBe(0)
    await store.commit({ writes: Array.from({ length: 3_000 }, (_, i) => del(['x'.repeat(900), i])) })
    expect(redoRows(path)).toBe(0)
    for (let n = 0; n < 5; n++) await store.commit({ writes: some(1_000, n * 1_000) })
    expect(redoRows(path)).toBe(5)
    await store.commit({ writes: some(1, 0) })
    expect(redoRows(path)).toBe(1)
    await store.close()
  })

  it('is opened with what is in its log as it is, writes nothing then, and goes on', async () => {
    const path = newPath()
    const store = await sqliteStore(path)
    await store.commit({ writes: [put(['a'], 'first'), put(['b'])] })
    await store.commit({ writes: [put(['a'], 'second'), del(['b'])] })
    const left = killed(path)
    await store.close()
    const before = ['', '-wal'].map(end => readFileSync(left + end))
    const again = await sqliteStore(left)
    expect((await again.range('meta')).map(({ key, value }) => [key, `${Buffer.from(value)}`])).toEqual([
      [['a'], 'second'],
    ])
    expect(['', '-wal'].map(end => readFileSync(left + end))).toEqual(before)
    await again.commit({ checks: [{ table: 'meta', key: ['b'], value: undefined }], writes: [put(['b'], 'third')] })
    expect(redoRows(left)).toBe(3)
    await again.close()
    expect(redoRows(left)).toBe(0)
    expect((await rowsAfter(left)).flat()).toHaveLength(2)
  })

  it('reads what is in its log and what is in its tables as one, forwards and backwards, with and without a limit', async () => {
    const path = newPath()
    const before = await sqliteStore(path)
    await before.commit({ writes: [1, 3, 5, 7, 9].map(n => put([n])) })
    await before.close()
    expect(redoRows(path)).toBe(0)
    const store = await sqliteStore(path)
    await store.commit({ writes: [del([1]), del([3]), put([4]), put([5]), put([8]), del([2])] })
    expect(redoRows(path)).toBe(1)
    const keys = async (range: RangeOptions): Promise<unknown[]> =>
      (await store.range('meta', range)).map(({ key }) => key[0])
    expect(await keys({})).toEqual([4, 5, 7, 8, 9])
    expect(await keys({ limit: 3 })).toEqual([4, 5, 7])
    expect(await keys({ lt: [8], reverse: true, limit: 2 })).toEqual([7, 5])
    expect(await keys({ lt: [4], reverse: true, limit: 2 })).toEqual([])
    expect(await Promise.all([store.count('meta'), store.count('meta', { lte: [7] })])).toEqual([5, 3])
    await store.close()
  })

  it.each([
    ['is cut off', 'UPDATE redo SET v = substr(v, 1, length(v) - 1) WHERE seq = 2', 2],
    ['is no longer there', 'DELETE FROM redo WHERE seq = 2', 2],
    ['is of another format', "UPDATE redo SET v = x'ff' WHERE seq = 3", 3],
  ])('is refused with STORE_FAILED and left as it is where a row of the log %s', async (_, sql, seq) => {
    const path = newPath()
    const store = await sqliteStore(path)
    for (let n = 0; n < 3; n++) await store.commit({ writes: [put([n])] })
    const left = killed(path)
    await store.close()
    const db = new DatabaseSync(left)
    db.exec(sql)
    db.close()
    const before = readFileSync(left)
    for (let i = 0; i < 2; i++) {
      await expect(sqliteStore(left)).rejects.toMatchObject({
        code: 'STORE_FAILED',
        message: expect.stringContaining(`row ${seq} of the redo log of ${left} is damaged`),
      })
    }
    expect(readFileSync(left)).toEqual(before)
  })

  it('is not used where there may soon be no room, and is empty before there is none', async () => {
    const path = newPath()
    const store = await sqliteStore(path, { maxBytes: 20 * MIB })
    const value = seededRandom(1).bytes(500_000)
    const logged: boolean[] = []
    for (let n = 0; ; n++) {
      const [fate] = await fates(store, [{ writes: [put([n], value)] }])
      if (fate !== 'ok') {
        expect(fate).toBe('STORE_FULL')
        break
      }
      if (n % 5 === 0) logged.push(redoRows(path) > 0)
    }
    expect(logged.slice(0, 4)).toEqual([true, true, true, true])
    expect(logged.slice(-2)).toEqual([false, false])
    expect(await store.count('meta')).toBeGreaterThan(38)
    // And it can be emptied.
    expect(await fates(store, [{ writes: [{ op: 'deleteRange', table: 'meta', range: {} }] }])).toEqual(['ok'])
    await store.close()
    expect(statSync(path).size).toBeLessThanOrEqual(20 * MIB)
  })
})

describe('a redo log when the disk is full all of a sudden', () => {
  /** From the next statement that writes on, but for some, there is no room, until the mock is restored. */
  function full(first: number): void {
    const { run } = StatementSync.prototype
    let left = first
    vi.spyOn(StatementSync.prototype, 'run').mockImplementation(function (this: StatementSync, ...values) {
      if (left-- > 0) return run.apply(this, values)
      throw Object.assign(new Error('database or disk is full'), { code: 'ERR_SQLITE_ERROR', errcode: 13 })
    })
  }

  it.each([0, 1, 2, 3, 5, 8, 13, 21, 34])(
    'keeps all that resolved and refuses the rest, after %i statements more, and goes on with room',
    async statements => {
      const path = newPath()
      const store = await sqliteStore(path)
      const model = memoryStore()
      // The next one is to bring the oldest of them into the tables.
      for (let group = 0; group < 11; group++) {
        await fates(store, sent(group))
        await fates(model, sent(group))
      }
      full(statements)
      const fallback = { writes: [{ op: 'deleteRange', table: 'outbox', range: { prefix: ['out', 10] } } as const] }
      for (const group of [sent(11), [fallback], sent(11), [fallback], sent(12)]) {
        const told = await fates(store, group)
        await fates(
          model,
          group.filter((_, i) => told[i] === 'ok'),
        )
        for (const fate of told) if (fate !== 'ok') expect(fate).toBe('STORE_FULL')
        const rows = await rowsOf(model)
        expect(await rowsOf(store)).toEqual(rows)
        const copy = killed(path)
        vi.restoreAllMocks()
        expect(await rowsAfter(copy)).toEqual(rows)
        full(statements)
      }
      vi.restoreAllMocks()
      for (const group of [sent(13), [fallback]]) {
        expect(new Set(await fates(store, group))).toEqual(new Set(['ok']))
        await fates(model, group)
      }
      const rows = await rowsOf(model)
      expect(await rowsOf(store)).toEqual(rows)
      await store.close()
      expect(await rowsAfter(path)).toEqual(rows)
    },
  )

  it('holds nothing of a group whose transaction does not come to its end, and is what it was', async () => {
    const path = newPath()
    const store = await sqliteStore(path)
    for (let group = 0; group < 11; group++) await fates(store, sent(group))
    const rows = await rowsOf(store)
    const { exec } = DatabaseSync.prototype
    vi.spyOn(DatabaseSync.prototype, 'exec').mockImplementation(function (this: DatabaseSync, sql) {
      if (sql === 'COMMIT') throw Object.assign(new Error('disk I/O error'), { code: 'ERR_SQLITE_ERROR', errcode: 10 })
      exec.call(this, sql)
    })
    expect(new Set(await fates(store, sent(11)))).toEqual(new Set(['STORE_FAILED']))
    expect(await rowsOf(store)).toEqual(rows)
    vi.restoreAllMocks()
    expect(new Set(await fates(store, sent(11)))).toEqual(new Set(['ok']))
    const after = await rowsOf(store)
    await store.close()
    expect(await rowsAfter(path)).toEqual(after)
  })

  it('closes, and has everything when it is opened again', async () => {
    const path = newPath()
    const store = await sqliteStore(path)
    for (let group = 0; group < 4; group++) await fates(store, sent(group))
    const rows = await rowsOf(store)
    full(30)
    await store.close()
    vi.restoreAllMocks()
    expect(redoRows(path)).toBeGreaterThan(0)
    expect(await rowsAfter(path)).toEqual(rows)
    expect(redoRows(path)).toBe(0)
  })
})
