/** Reads what the runners themselves wrote about their tests, in one form: file, title with its groups, outcome. */
import { existsSync, readFileSync } from 'node:fs'
import { relative, sep } from 'node:path'

/** @typedef {{ file: string, title: string, outcome: 'passed' | 'failed' | 'skipped' }} Test */

const inRoot = (root, file) => relative(root, file).split(sep).join('/')
const read = path => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined)

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
