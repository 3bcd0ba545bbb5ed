/**
 * `npm test`: types, lint, build, and every test there is, then whether the table of requirements tells the truth. Quiet
 * while things pass; the last line is the sum. Nothing is tried twice, and in CI a skipped test is a failed one.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { judge, playwrightResults, vitestResults } from './results.mjs'

const root = join(fileURLToPath(import.meta.url), '../..')
const results = join(root, 'node_modules/.cache/agent-flow-protocol/results')
const everyTest = join(results, 'every-test.json')
const ci = Boolean(process.env.CI)
const MINUTE = 60_000

const vitest = (project, ...more) => ({
  where: { browser: 'Chromium', firefox: 'Firefox' }[project] ?? 'Node',
  args: json => [
    'node_modules/vitest/vitest.mjs',
    'run',
    `--project=${project}`,
    '--retry=0',
    '--allowOnly=false',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${json}`,
    ...more,
  ],
  read: vitestResults,
})

/** Vitest leaves a processor to itself, which on two is half of them. */
const EVERY_PROCESSOR = '--maxWorkers=100%'

/** What stands on what Node itself gives: its SQLite, its cryptography, its sockets, its files, and how it starts. */
const OF_NODE = ['store', 'security', 'identity', 'network', 'relay', 'cli', 'demo', 'readme.test.ts']

/** What is run, in order. A step without `read` is one test: it passes when it exits with 0. `where` is what its tests run in, `node` what runs it. */
const steps = [
  { name: 'types', args: () => ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json'] },
  { name: 'lint', args: () => ['node_modules/@biomejs/biome/bin/biome', 'check', '.'] },
  { name: 'build', args: () => ['.tools/build.mjs'], show: true },
  { name: 'in Node', minutes: 5, ...vitest('node', EVERY_PROCESSOR) },
  {
    name: 'in oldest Node',
    minutes: 4,
    node: process.env.OLDEST_NODE_PATH,
    ...vitest('node', EVERY_PROCESSOR, ...OF_NODE.map(name => `test/${name}`)),
  },
  { name: 'in a browser', minutes: 3, ...vitest('browser') },
  { name: 'in Firefox', minutes: 3, ...vitest('firefox') },
  {
    name: 'end to end',
    minutes: 10,
    args: () => [
      'node_modules/@playwright/test/cli.js',
      'test',
      '-c',
      'e2e/playwright.config.ts',
      '--retries=0',
      '--forbid-only',
      '--reporter=line,json',
    ],
    where: 'Chromium',
    read: playwrightResults,
  },
  { name: 'simulation', minutes: 6, ...vitest('simulation') },
  { name: 'faults', minutes: 8, ...vitest('faults', EVERY_PROCESSOR) },
  { name: 'as a package', minutes: 4, show: true, ...vitest('package') },
  {
    name: 'requirements',
    args: () => ['test/requirements/check.ts', everyTest],
    show: true,
  },
]

/** How long a step may take; then it is stopped, and has failed. */
const minutesOf = step => step.minutes ?? 2

/** Every test that ran so far, for the table of requirements. */
const ran = []
let running
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.once(signal, () => {
    running?.kill('SIGKILL')
    console.log(`\nstopped by ${signal}`)
    process.exit(130)
  })

/** Runs a step's command to its end; `code` is its exit code, or in words what ended it. */
function execute(step, json) {
  return new Promise(resolve => {
    const output = []
    const child = spawn(step.node ?? process.execPath, step.args(json), {
      cwd: root,
      env: { ...process.env, PLAYWRIGHT_JSON_OUTPUT_FILE: json, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running = child
    child.stdout.on('data', chunk => output.push(chunk))
    child.stderr.on('data', chunk => output.push(chunk))
    const minutes = minutesOf(step)
    let why
    let killing
    const late = setTimeout(() => {
      why = `its time limit, ${minutes} minutes`
      child.kill('SIGTERM')
      killing = setTimeout(() => child.kill('SIGKILL'), 5_000)
    }, minutes * MINUTE)
    const end = code => {
      clearTimeout(late)
      clearTimeout(killing)
      // What a runner that crashed left running may hold its output open: it holds up nothing here.
      child.stdout.destroy()
      child.stderr.destroy()
      resolve({ code: why ?? code, output: Buffer.concat(output).toString() })
    }
    child.once('error', error => end(error.message))
    child.once('close', (code, signal) => end(code ?? signal))
    child.once('exit', (code, signal) => setTimeout(() => end(code ?? signal), 5_000).unref())
  })
}

/** Says what runs: on a terminal in one line that counts the seconds, elsewhere once. Returns what ends it. */
function announce(step, number) {
  const text = `· ${step.name.padEnd(15)} ${number} of ${steps.length}, at most ${minutesOf(step)} min`
  if (!process.stdout.isTTY) {
    console.log(text)
    return () => {}
  }
  const started = performance.now()
  const show = () =>
    process.stdout.write(`\r${text} ${((performance.now() - started) / 1000).toFixed(0).padStart(6)} s`)
  show()
  const ticking = setInterval(show, 1_000)
  return () => {
    clearInterval(ticking)
    process.stdout.write('\r\x1b[K')
  }
}

/** Runs every step, each whatever became of those before it. */
async function main() {
  rmSync(results, { recursive: true, force: true })
  mkdirSync(results, { recursive: true })
  writeFileSync(everyTest, '[]')
  const sum = { passed: 0, failed: 0 }
  const began = performance.now()
  for (const [index, step] of steps.entries()) {
    const started = performance.now()
    const json = join(results, `${step.name.replaceAll(' ', '-')}.json`)
    const announced = announce(step, index + 1)
    const { code, output } = await execute(step, json)
    announced()
    const tests = step.read?.(root, json) ?? null
    ran.push(...(tests ?? []).map(test => ({ ...test, where: step.where })))
    writeFileSync(everyTest, JSON.stringify(ran))
    const { passed, failed, notes } = judge(tests, code, ci)
    sum.passed += passed
    sum.failed += failed
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    const told = step.read ? `${passed} passed${failed > 0 ? `, ${failed} failed` : ''}` : failed > 0 ? 'failed' : 'ok'
    console.log(`${failed > 0 ? '✗' : '✓'} ${step.name.padEnd(15)} ${told.padEnd(24)} ${seconds.padStart(6)} s`)
    for (const note of notes) console.log(`    ${note}`)
    if (failed > 0 || step.show) console.log(output.trimEnd().replace(/^/gm, '    '))
  }
  console.log(`\nall of it took ${((performance.now() - began) / 1000).toFixed(0)} s`)
  console.log(`${sum.passed} passed, ${sum.failed} failed`)
  process.exitCode = sum.failed > 0 ? 1 : 0
}

await main()
