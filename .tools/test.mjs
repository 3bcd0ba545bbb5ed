/**
 * `npm test`: types, lint, build, and every test there is, then whether the table of requirements tells the truth. Quiet
 * while things pass; the last line is the sum. Nothing is tried twice, and in CI a skipped test is a failed one.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { playwrightResults, vitestResults } from './results.mjs'

const root = join(fileURLToPath(import.meta.url), '../..')
const results = join(root, 'node_modules/.cache/agent-flow-protocol/results')
const everyTest = join(results, 'every-test.json')
const ci = Boolean(process.env.CI)
const MINUTE = 60_000

const vitest = project => ({
  args: json => [
    'node_modules/vitest/vitest.mjs',
    'run',
    `--project=${project}`,
    '--retry=0',
    '--allowOnly=false',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${json}`,
  ],
  read: vitestResults,
})

/** What is run, in order. A step without `read` is one test: it passes when it exits with 0. */
const steps = [
  { name: 'types', args: () => ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json'] },
  { name: 'lint', args: () => ['node_modules/@biomejs/biome/bin/biome', 'check', '.'] },
  { name: 'build', args: () => ['.tools/build.mjs'], show: true },
  { name: 'in Node', minutes: 5, ...vitest('node') },
  { name: 'in a browser', minutes: 3, ...vitest('browser') },
  {
    name: 'end to end',
    minutes: 8,
    args: () => [
      'node_modules/@playwright/test/cli.js',
      'test',
      '-c',
      'e2e/playwright.config.ts',
      '--retries=0',
      '--forbid-only',
      '--reporter=line,json',
    ],
    read: playwrightResults,
  },
  { name: 'as a package', minutes: 4, show: true, ...vitest('package') },
  {
    name: 'requirements',
    args: () => ['test/requirements/check.ts', everyTest],
    show: true,
  },
]

/** Every test that ran so far, for the table of requirements. */
const ran = []
let running
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.once(signal, () => {
    running?.kill('SIGKILL')
    console.log(`\nstopped by ${signal}`)
    process.exit(130)
  })

/** Runs a step's command to its end. */
function execute(step, json) {
  return new Promise(resolve => {
    const output = []
    const child = spawn(process.execPath, step.args(json), {
      cwd: root,
      env: { ...process.env, PLAYWRIGHT_JSON_OUTPUT_FILE: json, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running = child
    child.stdout.on('data', chunk => output.push(chunk))
    child.stderr.on('data', chunk => output.push(chunk))
    const minutes = step.minutes ?? 2
    let killing
    const late = setTimeout(() => {
      output.push(Buffer.from(`\nstopped after ${minutes} minutes\n`))
      child.kill('SIGTERM')
      killing = setTimeout(() => child.kill('SIGKILL'), 5_000)
    }, minutes * MINUTE)
    child.once('close', (code, signal) => {
      clearTimeout(late)
      clearTimeout(killing)
      resolve({ code: code ?? signal, output: Buffer.concat(output).toString() })
    })
  })
}

/** Counts a step: what its own report says, and one more failure where the report cannot be the whole truth. */
function count(step, code, json) {
  const fail = reason => ({ passed: 0, failed: 1, notes: [reason] })
  if (step.read === undefined) return code === 0 ? { passed: 1, failed: 0, notes: [] } : fail(`exited with ${code}`)
  const tests = step.read(root, json)
  ran.push(...tests)
  writeFileSync(everyTest, JSON.stringify(ran))
  if (tests.length === 0) return fail(`ran no test; exited with ${code}`)
  const of = outcome => tests.filter(test => test.outcome === outcome)
  const skipped = of('skipped')
  const notes = skipped.map(test => `not run: ${test.file}: ${test.title}`)
  const passed = of('passed').length
  const failed = of('failed').length + (ci ? skipped.length : 0)
  if (code === 0 || of('failed').length > 0) return { passed, failed, notes }
  return { passed, failed: failed + 1, notes: [...notes, `exited with ${code} though its tests passed`] }
}

/** Runs every step, each whatever became of those before it. */
async function main() {
  rmSync(results, { recursive: true, force: true })
  mkdirSync(results, { recursive: true })
  writeFileSync(everyTest, '[]')
  const sum = { passed: 0, failed: 0 }
  const began = performance.now()
  for (const step of steps) {
    const started = performance.now()
    const json = join(results, `${step.name.replaceAll(' ', '-')}.json`)
    const { code, output } = await execute(step, json)
    const { passed, failed, notes } = count(step, code, json)
    sum.passed += passed
    sum.failed += failed
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    const told = step.read ? `${passed} passed${failed > 0 ? `, ${failed} failed` : ''}` : failed > 0 ? 'failed' : 'ok'
    console.log(`${failed > 0 ? '✗' : '✓'} ${step.name.padEnd(14)} ${told.padEnd(24)} ${seconds.padStart(6)} s`)
    for (const note of notes) console.log(`    ${note}`)
    if (failed > 0 || step.show) console.log(output.trimEnd().replace(/^/gm, '    '))
  }
  console.log(`\nall of it took ${((performance.now() - began) / 1000).toFixed(0)} s`)
  console.log(`${sum.passed} passed, ${sum.failed} failed`)
  process.exitCode = sum.failed > 0 ? 1 : 0
}

await main()
