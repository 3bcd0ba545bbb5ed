/** What every store has to do. Each implementation runs the whole suite. */

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { compare, utf8 } from '../../src/common/bytes.ts'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import type { Batch, Key, KeyPart, Row, Store, Write } from '../../src/store/store.ts'
import { keysOf, OTHER, put, rangeContract, TABLE } from './store-ranges.ts'

export { put } from './store-ranges.ts'

/** A store under test. */
export interface OpenStore {
  readonly store: Store
  /** Opens the same store again after a close. Absent when it does not survive one. */
  readonly reopen?: () => Promise<Store>
}

async function rejection(promise: Promise<unknown>): Promise<AfpDataStoreError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(AfpDataStoreError)
  return error as AfpDataStoreError
}

/** Registers the suite. `open` gives an empty store each time. */
export function storeContract(name: string, open: () => Promise<OpenStore>): void {
  describe(`${name} as a store`, () => {
    let store: Store
    let reopen: OpenStore['reopen']

    beforeEach(async () => {
      ;({ store, reopen } = await open())
    })
    afterEach(() => store.close())

    const write = (...writes: Write[]): Promise<void> => store.commit({ writes })
    const text = async (key: Key, table = TABLE): Promise<string | undefined> => {
      const value = await store.get(table, key)
      return value && new TextDecoder().decode(value)
    }

    describe('rows', () => {
      it('gives back what was put, byte for byte, and undefined for what was not', async () => {
        const value = Uint8Array.from({ length: 256 }, (_, i) => i)
        await write(put(['a'], value))
        const got = await store.get(TABLE, ['a'])
        expect(got).toEqual(value)
        expect(got?.constructor).toBe(Uint8Array)
        expect(await store.get(TABLE, ['b'])).toBeUndefined()
      })

      it('tells an empty value from no value', async () => {
        await write(put(['a'], new Uint8Array(0)))
        expect(await store.get(TABLE, ['a'])).toEqual(new Uint8Array(0))
        expect(await store.range(TABLE)).toEqual([{ key: ['a'], value: new Uint8Array(0) }])
      })

      it('holds a value of a megabyte', async () => {
        const value = new Uint8Array(1 << 20).fill(7)
        await write(put(['large'], value))
        const got = await store.get(TABLE, ['large'])
        expect(got?.length).toBe(value.length)
        expect(got && compare(got, value)).toBe(0)
      })

      it('replaces a row that is put again and removes one that is deleted', async () => {
        await write(put(['a'], 'one'), put(['b'], 'two'))
        await write(put(['a'], 'three'), { op: 'delete', table: TABLE, key: ['b'] })
        expect(await text(['a'])).toBe('three')
        expect(await text(['b'])).toBeUndefined()
        expect(await store.count(TABLE)).toBe(1)
      })

      it('applies the writes of a batch in their order', async () => {
        await write(put(['a'], '1'), { op: 'delete', table: TABLE, key: ['a'] }, put(['a'], '2'), put(['a'], '3'))
        expect(await text(['a'])).toBe('3')
      })

      it('keeps tables apart', async () => {
        await write(put(['a'], 'here'), put(['a'], 'there', OTHER))
        await write({ op: 'delete', table: TABLE, key: ['a'] })
        expect(await text(['a'], OTHER)).toBe('there')
        expect(await store.count(TABLE)).toBe(0)
      })

      it('deletes what is not there without complaint', async () => {
        await write({ op: 'delete', table: TABLE, key: ['none'] })
        await write({ op: 'deleteRange', table: TABLE, range: { prefix: ['none'] } })
        expect(await store.count(TABLE)).toBe(0)
      })

      it('tells a number, a string and bytes that look alike apart, and takes -0 for 0', async () => {
        await write(put([1], 'number'), put(['1'], 'string'), put([utf8('1')], 'bytes'), put([-0], 'zero'))
        expect(await Promise.all([text([1]), text(['1']), text([utf8('1')]), text([0])])).toEqual([
          'number',
          'string',
          'bytes',
          'zero',
        ])
      })
    })

    describe('copies', () => {
      it('is not changed by what a caller does to a value or key after commit was called', async () => {
        const buffer = utf8('xxvaluexx')
        const part = utf8('k')
        const key: KeyPart[] = [part, 1]
        const done = write(put(key, buffer.subarray(2, 7)))
        buffer.fill(0)
        part.fill(0)
        key[1] = 2
        await done
        expect(await text([utf8('k'), 1])).toBe('value')
        expect(await store.count(TABLE)).toBe(1)
      })

      it('compares a check with the value at the call, not with what the caller made of it', async () => {
        await write(put(['a'], 'old'))
        const expected = utf8('old')
        const done = store.commit({
          checks: [{ table: TABLE, key: ['a'], value: expected }],
          writes: [put(['a'], 'new')],
        })
        expected.fill(0)
        await done
        expect(await text(['a'])).toBe('new')
      })

      it('is not changed by what a reader does to what it got', async () => {
        await write(put(['a', utf8('b')], 'value'))
        ;(await store.get(TABLE, ['a', utf8('b')]))?.fill(0)
        const row = (await store.range(TABLE))[0] as Row
        row.value.fill(0)
        ;(row.key[1] as Uint8Array).fill(0)
        expect(await text(['a', utf8('b')])).toBe('value')
        expect((await store.range(TABLE))[0]?.key).toEqual(['a', utf8('b')])
      })
    })

    describe('checks', () => {
      beforeEach(() => write(put(['a'], 'one')))

      it('writes the batch when every check holds', async () => {
        await store.commit({
          checks: [
            { table: TABLE, key: ['a'], value: utf8('one') },
            { table: OTHER, key: ['a'], value: undefined },
          ],
          writes: [put(['a'], 'two'), put(['b'], 'three')],
        })
        expect(await text(['a'])).toBe('two')
        expect(await text(['b'])).toBe('three')
      })

      for (const [what, value, key] of [
        ['other bytes', utf8('two'), ['a']],
        ['bytes that only begin alike', utf8('one!'), ['a']],
        ['no row where one is', undefined, ['a']],
        ['a row where none is', utf8('one'), ['z']],
        ['an empty row where none is', new Uint8Array(0), ['z']],
      ] as const) {
        it(`refuses the whole batch with STORE_CONFLICT when a check expects ${what}`, async () => {
          const error = await rejection(
            store.commit({
              checks: [
                { table: TABLE, key: ['a'], value: utf8('one') },
                { table: TABLE, key, value },
              ],
              writes: [
                put(['a'], 'two'),
                put(['b'], 'x', OTHER),
                { op: 'deleteRange', table: TABLE, range: { prefix: [] } },
              ],
            }),
          )
          expect(error.code).toBe('STORE_CONFLICT')
          expect(await text(['a'])).toBe('one')
          expect(await store.count(OTHER)).toBe(0)
        })
      }

      it('looks at the rows as they were before the batch', async () => {
        const batch: Batch = {
          checks: [{ table: TABLE, key: ['new'], value: undefined }],
          writes: [put(['new'], 'x')],
        }
        await store.commit(batch)
        expect((await rejection(store.commit(batch))).code).toBe('STORE_CONFLICT')
      })

      it('resolves for a batch of checks alone, and for an empty one', async () => {
        await store.commit({ checks: [{ table: TABLE, key: ['a'], value: utf8('one') }], writes: [] })
        await store.commit({ writes: [] })
        expect(await store.count(TABLE)).toBe(1)
      })
    })

    describe('batches of one turn', () => {
      it('keep their own fates', async () => {
        const take = (value: string): Promise<void> =>
          store.commit({ checks: [{ table: TABLE, key: ['lock'], value: undefined }], writes: [put(['lock'], value)] })
        const results = await Promise.allSettled([
          write(put(['a'])),
          take('first'),
          take('second'),
          store.commit({ writes: [put(['b']), put(['b2'], 'x', 'no such table')] }),
          write(put(['c'])),
        ])
        expect(results.map(result => (result.status === 'fulfilled' ? 'ok' : result.reason.code))).toEqual([
          'ok',
          'ok',
          'STORE_CONFLICT',
          'INVALID_OPTION',
          'ok',
        ])
        expect(keysOf(await store.range(TABLE))).toEqual([['a'], ['c'], ['lock']])
        expect(await text(['lock'])).toBe('first')
      })

      it('are written in the order of their commits', async () => {
        await Promise.all(Array.from({ length: 50 }, (_, i) => write(put(['last'], String(i)))))
        expect(await text(['last'])).toBe('49')
      })

      it('leave behind and answer what they would one after the other', async () => {
        const row = fc.record({ table: fc.constantFrom(TABLE, OTHER), n: fc.nat(2) })
        const one = fc.tuple(row, fc.constantFrom('put', 'delete', 'deleteRange'), fc.constantFrom('x', 'y'))
        const batch = fc.record({
          checks: fc.array(fc.tuple(row, fc.constantFrom('x', 'y', undefined)), { maxLength: 1 }),
          writes: fc.array(one, { maxLength: 4 }),
        })
        await fc.assert(
          fc.asyncProperty(fc.array(batch, { maxLength: 8 }), async batches => {
            const all = [TABLE, OTHER].flatMap(table => [0, 1, 2].map(n => ({ table, n })))
            await write(...[TABLE, OTHER].map(table => ({ op: 'deleteRange', table, range: {} }) as const))
            const model = new Map<string, string>()
            const nameOf = ({ table, n }: { table: string; n: number }): string => `${table} ${n}`
            const expected = batches.map(({ checks, writes }) => {
              if (checks.some(([at, value]) => model.get(nameOf(at)) !== value)) return 'STORE_CONFLICT'
              for (const [at, op, value] of writes) {
                if (op === 'put') model.set(nameOf(at), value)
                else if (op === 'delete') model.delete(nameOf(at))
                else for (const n of [0, 1, 2]) if (n >= at.n) model.delete(nameOf({ ...at, n }))
              }
              return 'ok'
            })
            const commits = batches.map(({ checks, writes }) =>
              store.commit({
                checks: checks.map(([{ table, n }, value]) => ({ table, key: [n], value: value && utf8(value) })),
                writes: writes.map(([{ table, n }, op, value]): Write => {
                  if (op === 'put') return put([n], value, table)
                  return op === 'delete' ? { op, table, key: [n] } : { op: 'deleteRange', table, range: { gte: [n] } }
                }),
              }),
            )
            const answers = (await Promise.allSettled(commits)).map(result =>
              result.status === 'fulfilled' ? 'ok' : result.reason.code,
            )
            expect(answers).toEqual(expected)
            const left = await Promise.all(all.map(({ table, n }) => text([n], table)))
            expect(left).toEqual(all.map(at => model.get(nameOf(at))))
          }),
          { numRuns: 60 },
        )
      })

      it('count up without a loss when each checks what it replaces', async () => {
        await write(put(['n'], '0'))
        const add = async (): Promise<void> => {
          for (;;) {
            const value = (await store.get(TABLE, ['n'])) as Uint8Array
            const next = String(Number(new TextDecoder().decode(value)) + 1)
            const done = store.commit({ checks: [{ table: TABLE, key: ['n'], value }], writes: [put(['n'], next)] })
            if (
              await done.then(
                () => true,
                () => false,
              )
            )
              return
          }
        }
        await Promise.all(Array.from({ length: 12 }, add))
        expect(await text(['n'])).toBe('12')
      })

      it('survive a failed one among a hundred', async () => {
        const results = await Promise.allSettled(
          Array.from({ length: 100 }, (_, i) =>
            store.commit({
              checks: i % 10 === 3 ? [{ table: OTHER, key: [i], value: utf8('absent') }] : [],
              writes: [put([i])],
            }),
          ),
        )
        expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(10)
        expect(await store.count(TABLE)).toBe(90)
      })
    })

    rangeContract(() => store)

    describe('what it refuses', () => {
      it('names a table that it does not have', async () => {
        for (const call of [
          store.get('nowhere', ['a']),
          store.range('nowhere'),
          store.count('nowhere'),
          write(put(['a'], 'v', 'nowhere')),
          store.commit({ checks: [{ table: 'nowhere', key: ['a'], value: undefined }], writes: [] }),
          store.get('__proto__', ['a']),
        ]) {
          const error = await rejection(call)
          expect(error.code).toBe('INVALID_OPTION')
          expect(error.message).toMatch(/no table "(nowhere|__proto__)"/)
        }
      })

      it('is a key that has no place in the order or no end, and then it writes nothing', async () => {
        for (const part of [
          Number.NaN,
          '\ud800',
          'x'.repeat(5_000),
          true as unknown as string,
          null as unknown as string,
        ]) {
          expect((await rejection(write(put(['good']), put([part])))).code).toBe('INVALID_OPTION')
          expect((await rejection(store.get(TABLE, [part]))).code).toBe('INVALID_OPTION')
          expect((await rejection(store.range(TABLE, { gte: [part] }))).code).toBe('INVALID_OPTION')
        }
        expect(await store.count(TABLE)).toBe(0)
      })

      it('is what is no array, or has a hole, for a key', async () => {
        for (const key of ['a', 5, null, Array(1)] as unknown as Key[]) {
          expect((await rejection(write({ op: 'delete', table: TABLE, key }))).code).toBe('INVALID_OPTION')
          expect((await rejection(store.range(TABLE, { prefix: key }))).code).toBe('INVALID_OPTION')
        }
      })

      it('is a limit that is no whole number from 0', async () => {
        for (const limit of [-1, 1.5, Number.NaN]) {
          expect((await rejection(store.range(TABLE, { limit }))).code).toBe('INVALID_OPTION')
        }
      })

      it('is a batch whose signal has fired, with the reason of the signal', async () => {
        const reason = new Error('not any more')
        await expect(store.commit({ writes: [put(['a'])] }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
        expect(await store.count(TABLE)).toBe(0)
      })
    })

    describe('close', () => {
      it('finishes what was committed before it', async () => {
        const commits = Promise.allSettled(Array.from({ length: 20 }, (_, i) => write(put([i]))))
        await store.close()
        expect(new Set((await commits).map(({ status }) => status))).toEqual(new Set(['fulfilled']))
        if (reopen === undefined) return
        store = await reopen()
        expect(await store.count(TABLE)).toBe(20)
      })

      it('can be called again, also at once', async () => {
        await Promise.all([store.close(), store.close()])
        await store.close()
        expect((await rejection(store.get(TABLE, ['a']))).code).toBe('CLOSED')
      })

      it('makes every method reject with CLOSED, at once', async () => {
        const closing = store.close()
        const calls = [store.get(TABLE, ['a']), store.range(TABLE), store.count(TABLE), write(put(['a']))]
        for (const call of calls) expect((await rejection(call)).code).toBe('CLOSED')
        await closing
        expect((await rejection(write(put(['a'])))).code).toBe('CLOSED')
      })
    })

    describe('durability', () => {
      it('is what it says: rows are there, or not, after it was opened again', async () => {
        await write(put(['a', 1], 'one'), put([utf8('b'), -2], 'two', OTHER))
        await write({ op: 'delete', table: TABLE, key: ['x'] })
        await store.close()
        expect(store.durability).toBe(reopen === undefined ? 'memory' : 'strict')
        store = reopen === undefined ? (await open()).store : await reopen()
        expect(await text(['a', 1])).toBe(reopen === undefined ? undefined : 'one')
        expect(await text([utf8('b'), -2], OTHER)).toBe(reopen === undefined ? undefined : 'two')
        await write(put(['a', 2]))
        expect(await store.count(TABLE)).toBe(reopen === undefined ? 1 : 2)
      })
    })
  })
}
