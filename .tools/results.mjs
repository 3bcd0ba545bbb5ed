/**
 * Reads what the runners themselves wrote about their tests, in one form: file, title with its groups, outcome. And
 * judges it: a runner may crash before it wrote a report, while it wrote one, or after.
 */
import { existsSync, readFileSync } from 'node:fs'
import { relative, sep } from 'node:path'

/** @typedef {{ file: string, title: string, outcome: 'passed' | 'failed' | 'skipped' }} Test */

const inRoot = (root, file) => relative(root, file).split(sep).join('/')

/** A report; undefined where there is none, or only part of one. */
function read(path) {
  try {
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
  } catch {
    return undefined
  }
}

/** The tests of a vitest JSON report; a file that could not be loaded is one failed test. @returns {Test[]} */
export function vitestResults(root, path) {
  return (read(path)?.testResults ?? []).flatMap(result => {
    const file = inRoot(root, result.name)
    const tests = result.assertionResults.map(test => ({
      file,
      title: [...test.ancestorTitles, test.title].join(' > '),
      outcome: test.status === 'passed' || test.status === 'failed' ? test.status : 'skipped',
    }))
    const silent = tests.length === 0 || (result.status === 'failed' && !tests.some(test => test.outcome === 'failed'))
    return silent ? [...tests, { file, title: 'the file loads and has tests', outcome: 'failed' }] : tests
  })
}

/** The tests of a Playwright JSON report; a test that passed only at a second try is a failed one. @returns {Test[]} */
export function playwrightResults(root, path) {
  const report = read(path)
  const outcomes = { expected: 'passed', skipped: 'skipped' }
  const walk = (suite, groups) => [
    ...(suite.specs ?? []).flatMap(spec =>
      spec.tests.map(test => ({
        file: inRoot(root, `${report.config.rootDir}/${spec.file}`),
        title: [...groups, spec.title].join(' > '),
        outcome: outcomes[test.status] ?? 'failed',
      })),
    ),
    ...(suite.suites ?? []).flatMap(inner => walk(inner, [...groups, inner.title])),
  ]
  return (report?.suites ?? []).flatMap(suite => walk(suite, []))
}

/**
 * Counts a step: what its own report says, and one more failure where the report cannot be the whole truth.
 * @param {Test[] | null} tests - null for a step that is one test: it passes when it exits with 0
 * @param {number | string} code - how it ended: its exit code, the signal that ended it, or why it did not start or end
 * @param {boolean} ci - whether a skipped test is a failed one
 * @returns {{ passed: number, failed: number, notes: string[] }}
 */
export function judge(tests, code, ci) {
  const ended = typeof code === 'number' ? `exited with ${code}` : `ended by ${code}`
  if (tests === null) {
    return code === 0 ? { passed: 1, failed: 0, notes: [] } : { passed: 0, failed: 1, notes: [ended] }
  }
  if (tests.length === 0) return { passed: 0, failed: 1, notes: [`told of no test; ${ended}`] }
  const of = outcome => tests.filter(test => test.outcome === outcome)
  const skipped = of('skipped')
  const notes = skipped.map(test => `not run: ${test.file}: ${test.title}`)
  const passed = of('passed').length
  const failed = of('failed').length + (ci ? skipped.length : 0)
  // A runner exits with 1 for failed tests; whatever else it does is a failure of its own.
  if (code === 0 || (code === 1 && of('failed').length > 0)) return { passed, failed, notes }
  return { passed, failed: failed + 1, notes: [...notes, `${ended}, whatever its tests said`] }
}
