/**
 * `npm run soak -- chromium-kills [--cycles 50] [--seed N] [--out FILE]`: the end-to-end test that kills a browser on one
 * profile, with more kills.
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { projectFile } from '../../e2e/fixtures/process.ts'
import { origin, spread } from '../bench/figures.ts'
import { reportFile, writeReport } from './soak.ts'

/** What of Playwright's report is read. */
interface Report {
  readonly errors: readonly { readonly message?: string }[]
  readonly suites: readonly {
    readonly specs: readonly { readonly tests: readonly { readonly results: readonly Result[] }[] }[]
  }[]
}
interface Result {
  readonly status: string
  readonly errors: readonly { readonly message?: string }[]
  readonly annotations: readonly { readonly type: string; readonly description?: string }[]
}

const text = { type: 'string' } as const
let values: { cycles?: string; seed?: string; out?: string }
try {
  values = parseArgs({ options: { cycles: text, seed: text, out: text } }).values
  for (const value of [values.cycles ?? '50', values.seed ?? '1'])
    if (!(Number.isSafeInteger(Number(value)) && Number(value) > 0)) throw new RangeError(`${value} is no such number`)
} catch (error) {
  console.error(`${(error as Error).message}; options: [--cycles N] [--seed N] [--out FILE]`)
  process.exit(2)
}
const { cycles = '50', seed = '1' } = values
const out = reportFile('chromium-kills', values.out)
const where = origin()
const folder = mkdtempSync(join(tmpdir(), 'chromium-kills-'))
const json = join(folder, 'report.json')
const start = performance.now()
spawnSync(
  process.execPath,
  [
    projectFile('node_modules/@playwright/test/cli.js'),
    ...['test', '-c', projectFile('e2e/playwright.config.ts'), '--reporter=line,json', 'kills.spec.ts'],
  ],
  { stdio: 'inherit', env: { ...process.env, AFP_KILLS: cycles, AFP_SEED: seed, PLAYWRIGHT_JSON_OUTPUT_FILE: json } },
)
const report = JSON.parse(readFileSync(json, 'utf8')) as Report
rmSync(folder, { recursive: true })
const results = report.suites.flatMap(({ specs }) => specs.flatMap(({ tests }) => tests.flatMap(test => test.results)))
const faults = [...report.errors, ...results.flatMap(({ errors }) => errors)].map(({ message = 'failed' }) => message)
if (results.length !== 1 || results[0]?.status !== 'passed') faults.push(`it ${results[0]?.status ?? 'did not run'}`)
const told = results.flatMap(result => result.annotations).find(({ type }) => type === 'kills')?.description ?? '{}'
const { inFlight = [], counters = {} } = JSON.parse(told) as { inFlight?: number[]; counters?: Record<string, number> }
await writeReport(out, {
  name: 'chromium-kills',
  ...where,
  seed: Number(seed),
  kills: inFlight.length,
  'in flight at each kill': spread(inFlight),
  seconds: Math.round((performance.now() - start) / 1_000),
  faults,
  counters,
})
console.log(`${inFlight.length} kills, ${faults.length} faults: ${out}`)
process.exit(faults.length > 0 ? 1 : 0)
