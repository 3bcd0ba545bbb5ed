/** Whether `npm test` can be told that all is well when it is not. */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'afp-results-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What a function of the runner's tools returns. They are scripts without types, hence a process. */
async function call(name: string, ...given: unknown[]): Promise<unknown> {
  const script = `
    const tools = await import('./.tools/results.mjs')
    console.log(JSON.stringify(tools[process.argv[1]](...JSON.parse(process.argv[2]))))`
  const root = join(import.meta.dirname, '../..')
  const args = ['--input-type=module', '-e', script, name, JSON.stringify(given)]
  return JSON.parse((await run(process.execPath, args, { cwd: root })).stdout)
}

function report(content: string): string {
  const path = join(folder, 'report.json')
  writeFileSync(path, content)
  return path
}

const one = (outcome: string) => ({ file: 'a.test.ts', title: 'x', outcome })

describe('a step of npm test', () => {
  test.each([
    ['exits with 0 and its tests passed', [one('passed'), one('passed')], 0, false, [2, 0]],
    ['skips a test', [one('passed'), one('skipped')], 0, false, [1, 0]],
    ['skips a test in CI', [one('passed'), one('skipped')], 0, true, [1, 1]],
    ['has a failed test', [one('passed'), one('failed')], 1, false, [1, 1]],
    ['crashes though its tests passed', [one('passed')], 1, false, [1, 1]],
    ['crashes beside a failed test', [one('failed')], 'SIGSEGV', false, [0, 2]],
    ['is stopped after its tests passed', [one('passed')], 'its time limit, 5 minutes', false, [1, 1]],
    ['tells of no test and exits with 0', [], 0, false, [0, 1]],
    ['is no runner and exits with 0', null, 0, false, [1, 0]],
    ['is no runner and fails', null, 2, false, [0, 1]],
    ['is no runner and is killed', null, 'SIGKILL', false, [0, 1]],
  ])('that %s counts as what it is', async (_what, tests, code, ci, [passed, failed]) => {
    expect(await call('judge', tests, code, ci)).toMatchObject({ passed, failed })
  })
})

describe('the report of a runner', () => {
  test.each(['vitestResults', 'playwrightResults'])(
    'that is not there, or is only half there, tells of no test: %s',
    async name => {
      expect(await call(name, '/', join(folder, 'nothing.json'))).toEqual([])
      expect(await call(name, '/', report('{"testResults": [{"na'))).toEqual([])
    },
  )

  test('of vitest counts a file that could not be loaded, or failed beside its tests, as failed', async () => {
    const passed = { ancestorTitles: ['a'], title: 'b', status: 'passed' }
    const testResults = [
      { name: '/t/good.ts', status: 'passed', assertionResults: [passed] },
      { name: '/t/empty.ts', status: 'failed', assertionResults: [] },
      { name: '/t/hook.ts', status: 'failed', assertionResults: [passed] },
    ]
    const outcomes = (await call('vitestResults', '/t', report(JSON.stringify({ testResults })))) as object[]
    expect(outcomes).toEqual([
      { file: 'good.ts', title: 'a > b', outcome: 'passed' },
      { file: 'empty.ts', title: 'the file loads and has tests', outcome: 'failed' },
      { file: 'hook.ts', title: 'a > b', outcome: 'passed' },
      { file: 'hook.ts', title: 'the file loads and has tests', outcome: 'failed' },
    ])
  })

  test('of Playwright counts a test that passed only at a second try as failed', async () => {
    const spec = (title: string, status: string) => ({ title, file: 'x.spec.ts', tests: [{ status }] })
    const suites = [{ specs: [spec('good', 'expected'), spec('flaky', 'flaky'), spec('left out', 'skipped')] }]
    const json = JSON.stringify({ config: { rootDir: '/t/e2e' }, suites })
    expect(await call('playwrightResults', '/t', report(json))).toEqual([
      { file: 'e2e/x.spec.ts', title: 'good', outcome: 'passed' },
      { file: 'e2e/x.spec.ts', title: 'flaky', outcome: 'failed' },
      { file: 'e2e/x.spec.ts', title: 'left out', outcome: 'skipped' },
    ])
  })
})
