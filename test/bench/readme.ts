/**
 * Puts the figures of the runs in `results/` into the README: `npm run bench -- table`. `npm run bench -- adopt <name>`
 * takes the last run of a benchmark for the one that is shown, if it was a whole one.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { projectFile } from '../../e2e/fixtures/process.ts'
import { isWhole } from './extent.ts'
import { resultFile } from './output.ts'
import type { Report } from './report.ts'
import { PARTS, withPart } from './tables.ts'

const adopted = process.argv[2]
const kept = (bench: string): string => projectFile(`test/bench/results/${bench}.json`)

if (adopted !== undefined) {
  const text = readFileSync(resultFile(adopted), 'utf8')
  const { command = '', commit } = JSON.parse(text) as Report
  if (!isWhole(command)) throw new Error(`the last run of ${adopted} was not a whole one: ${command}`)
  if (/changed/.test(commit)) throw new Error(`the last run of ${adopted} is of what is in no commit: ${commit}`)
  writeFileSync(kept(adopted), text)
}
const path = projectFile('README.md')
const reports = PARTS.map(bench => JSON.parse(readFileSync(kept(bench), 'utf8')) as Report)
writeFileSync(path, reports.reduce(withPart, readFileSync(path, 'utf8')))
console.log(`${PARTS.join(', ')}: in ${path}`)
