/** What benchmarks leave: a table and the targets on the screen, a file with everything. */

import { mkdir, writeFile } from 'node:fs/promises'
import { projectFile } from '../../e2e/fixtures/process.ts'
import type { Judged, Report } from './report.ts'
import { short } from './short.ts'

/** Where a benchmark writes what it found. */
export const resultFile = (bench: string): string => projectFile(`test-results/bench-${bench}.json`)

/** Prints rows of cells under heads; the first column is as wide as it has to be. */
export function printTable(heads: readonly string[], rows: readonly (readonly string[])[]): void {
  // A row that has fewer cells says why, at any length.
  const widths = heads.map((head, i) => {
    const cells = i === 0 ? rows : rows.filter(row => row.length === heads.length)
    return Math.max(head.length, ...cells.map(row => row[i]?.length ?? 0))
  })
  for (const row of [heads, ...rows]) {
    console.log(
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
    )
  }
}

/** Prints what a reader needs to judge the figures. */
export function printAbout({ bench, rows: _, targets: __, notes, load, ...about }: Report): void {
  console.log(`\n${bench}: ${Object.values(about).filter(Boolean).join(', ')}`)
  console.log(`load: ${load.map(value => value.toFixed(1)).join(' ')}`)
  for (const [what, note] of Object.entries(notes)) console.log(`- ${what}: ${note}`)
}

/** Prints what was wanted, and what there is. */
export function printTargets(targets: readonly Judged[]): void {
  console.log('')
  for (const { text, measured, wanted, verdict } of targets.filter(({ measured }) => measured !== null)) {
    console.log(`${verdict.padEnd(6)} ${short(measured).padStart(6)}, wanted ${wanted.padEnd(7)} ${text}`)
  }
  const missing = targets.filter(({ measured }) => measured === null)
  if (missing.length > 0) console.log(`not measured: ${missing.length} targets of ${targets.length}`)
}

/** Five digits are more than any clock here has. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value

/** Writes it where `npm run bench -- adopt` looks for it. */
export async function writeReport(report: Report): Promise<void> {
  await mkdir(projectFile('test-results'), { recursive: true })
  const path = resultFile(report.bench)
  await writeFile(path, `${JSON.stringify(report, rounded, 2)}\n`)
  console.log(`\nwritten to ${path}`)
}
