/** Rows of a SQLite store's table under its redo log: the same as if all had been in one place, and no more of them read. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RowWrite } from '../../src/store/last-writes.ts'
import { merged } from '../../src/store/sqlite-merge.ts'
import { bytesOf, type NameRange, nameOfBytes } from '../../src/store/sqlite-rows.ts'
import { SEED } from '../seed.ts'

const ALL: NameRange = { from: '', to: '\xff' }
const name = (n: number): string => `k${String(n).padStart(6, '0')}`

/** A table with these rows, which counts how many are read. */
function tableOf(names: readonly string[]) {
  const sorted = [...names].sort()
  const table = {
    read: 0,
    range: ({ from, to }: NameRange, reverse: boolean, limit: number) => {
      const inside = sorted.filter(name => name >= from && name < to)
      const found = (reverse ? inside.reverse() : inside).slice(0, limit < 0 ? undefined : limit)
      table.read += found.length
      return found.map(name => ({ k: bytesOf(name), v: Uint8Array.of(1) }))
    },
  }
  return table
}

const word = (name: string, value: number | undefined): RowWrite =>
  new RowWrite('app', name, value === undefined ? undefined : Uint8Array.of(value))

const said = (rows: ReturnType<typeof merged>): [string, number][] =>
  rows.map(({ k, v }) => [nameOfBytes(k), v[0] as number])

describe('rows under a redo log', () => {
  it('are those of a map with both, at any limit and in either direction', () => {
    const names = fc.array(fc.integer({ min: 0, max: 30 }).map(name))
    const words = fc.dictionary(
      fc.integer({ min: 0, max: 30 }).map(name),
      fc.option(fc.integer({ min: 2, max: 9 }), { nil: undefined }),
    )
    const limits = fc.oneof(fc.nat(12), fc.constant(Number.POSITIVE_INFINITY))
    fc.assert(
      fc.property(names, words, limits, fc.boolean(), (names, words, limit, reverse) => {
        const model = new Map<string, number | undefined>(names.map(name => [name, 1]))
        for (const [name, value] of Object.entries(words)) model.set(name, value)
        const all = [...model].filter(([, value]) => value !== undefined).sort(([a], [b]) => (a < b ? -1 : 1))
        const wanted = (reverse ? all.reverse() : all).slice(0, limit)
        const written = Object.entries(words)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, value]) => word(name, value))
        expect(said(merged(tableOf([...new Set(names)]), ALL, written, { reverse, limit }))).toEqual(wanted)
      }),
      { seed: SEED },
    )
  })

  it('that are read page by page are read once, however long the log is', () => {
    const table = tableOf(Array.from({ length: 2_000 }, (_, n) => name(2 * n)))
    const written = Array.from({ length: 2_000 }, (_, n) => word(name(2 * n + 1), n % 2 === 0 ? 7 : undefined))
    let from = ''
    let count = 0
    for (;;) {
      const ahead = written.filter(({ name }) => name >= from)
      const page = said(merged(table, { ...ALL, from }, ahead, { reverse: false, limit: 64 }))
      count += page.length
      if (page.length < 64) break
      from = `${page.at(-1)?.[0]}\0`
    }
    expect(count).toBe(3_000)
    expect(table.read).toBeLessThan(2 * 2_000)
  })
})
