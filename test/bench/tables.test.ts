/** The tables of the README are those of the runs that are kept beside this. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isWhole } from './extent.ts'
import { CASE, PEERS } from './peers/peers.ts'
import type { Report } from './report.ts'
import { PARTS, partOf, withPart } from './tables.ts'
import { PEER_TARGETS } from './targets.ts'

const read = (path: string): string => readFileSync(join(import.meta.dirname, path), 'utf8')
const readme = read('../../README.md')
const kept = (bench: string): Report => JSON.parse(read(`results/${bench}.json`))

const report = (given: Partial<Report>): Report => ({
  bench: 'peers',
  date: '2026-11-22T10:00:00.000Z',
  commit: 'abc',
  node: 'v24.0.0',
  machine: 'a machine',
  rounds: 2,
  load: [0.5, 1],
  notes: { tcp: 'nothing is kept' },
  rows: [],
  targets: [],
  ...given,
})

describe('the tables of the README', () => {
  test.each(PARTS)('of %s are made of the run that is kept', bench => {
    expect(withPart(readme, kept(bench))).toBe(readme)
  })

  test.each(PARTS)('of %s are of a whole run, with its date, commit, machine and load', bench => {
    const { command = '', date, commit, machine, load } = kept(bench)
    expect(isWhole(command)).toBe(true)
    for (const value of [date.slice(0, 10), commit, machine]) expect(partOf(kept(bench))).toContain(value)
    expect(load.length).toBeGreaterThan(1)
  })

  test('name every case and say what each survives', () => {
    const part = partOf(kept('peers'))
    for (const { cases, durability } of Object.values(PEERS)) {
      for (const name of Object.keys(cases)) expect(part).toContain(`| ${name} |`)
      expect(part).toContain(durability)
    }
    for (const { text } of PEER_TARGETS) expect(part).toContain(text)
  })

  test('have figures, ratios, what was not run, and targets', () => {
    const figures = (rate: number) => ({
      rate: [rate, rate],
      p50: [1, 1],
      p99: [2, 2],
      senderCpu: [3, 3],
      recipientCpu: [4, 4],
    })
    const part = partOf(
      report({
        rows: [
          { name: CASE.stream, bytes: 1_024, figures: figures(100) },
          { name: 'own', bytes: 1_024, figures: figures(250) },
          { name: 'absent', bytes: 1_024, figures: {}, notRun: 'not installed' },
        ],
        targets: [{ text: 'own is fast', measured: 2.5, wanted: '>= 2', verdict: 'met' }],
      }),
    )
    expect(part).toContain('| own | 250 | 2.50 | 1.00, 2.00 | 1.00 | 7.00, - |')
    expect(part).toContain('| absent | not run | - | not run, not run | - | -, not run |')
    expect(part).toContain('| own is fast | 2.50 | `>= 2` | met |')
    expect(part).toContain('- tcp: nothing is kept')
    expect(part).toContain('medians of 2 rounds, at abc, Node 24.0.0; a machine; load 0.50 to 1.00.')
  })

  test('stand between their marks, and nowhere else', () => {
    const text = 'a\n<!-- bench: peers -->\nold\n<!-- end of bench: peers -->\nb\n'
    const made = withPart(text, report({}))
    expect(made.startsWith('a\n<!-- bench: peers -->\n\nMeasured by')).toBe(true)
    expect(made.endsWith('<!-- end of bench: peers -->\nb\n')).toBe(true)
    expect(made).not.toContain('old')
    expect(withPart(made, report({}))).toBe(made)
    expect(() => withPart('a', report({}))).toThrow('no place for peers')
  })
})
