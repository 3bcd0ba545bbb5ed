import { describe, expect, test } from 'vitest'
import { checkClaims, checkPromises, type TestRun } from './check.ts'
import { readPromises } from './promises.ts'
import { requirements } from './requirements.ts'

const rows = [
  { id: '1', text: 'one' },
  { id: '2', text: 'two' },
]
const claimed = { 'test/a.test.ts': { 'does one': ['1'] } }
const run = (outcome: TestRun['outcome'], title = 'does one'): TestRun => ({
  file: 'test/a.test.ts',
  title,
  outcome,
  where: 'Node',
})

describe('the check of the requirements table', () => {
  test('a row counts as proved when its test ran and passed', () => {
    const found = checkClaims(rows, claimed, [run('passed')])
    expect(found.problems).toEqual([])
    expect(found.proved.map(row => row.id)).toEqual(['1'])
    expect(found.open.map(row => row.id)).toEqual(['2'])
  })

  test.each([
    ['failed', [run('failed')]],
    ['was skipped', [run('skipped')]],
    ['did not run', [run('passed', 'does something else')]],
    ['stands in a file that did not run', []],
    ['passed only once of twice', [run('passed'), run('failed')]],
  ])('a claim whose test %s is a problem and proves nothing', (_, runs) => {
    const found = checkClaims(rows, claimed, runs)
    expect(found.problems).toHaveLength(1)
    expect(found.proved).toEqual([])
  })

  test('a claim for a row that does not exist is a problem', () => {
    expect(checkClaims(rows, { 'test/a.test.ts': { 'does one': ['99'] } }, [run('passed')]).problems).toHaveLength(1)
  })

  test('a promise is broken when a title that it quotes, or anything in a file that it names whole, did not run or pass', () => {
    const promises = readPromises(
      ['| promise | proved by |', '|---|---|', '| it does | `test/a.test.ts` "does one"; `test/b.test.ts` |'].join(
        '\n',
      ),
    )
    expect(promises).toEqual([
      {
        promise: 'it does',
        proofs: [
          { path: 'test/a.test.ts', title: 'does one', where: [] },
          { path: 'test/b.test.ts', title: undefined, where: [] },
        ],
      },
    ])
    const one = run('passed')
    const whole: TestRun = { file: 'test/b.test.ts', title: 'any', outcome: 'passed', where: 'Node' }
    expect(checkPromises(promises, [one, whole])).toEqual([])
    expect(checkPromises(promises, [one])).toEqual(['"it does": did not run: test/b.test.ts'])
    expect(checkPromises(promises, [run('skipped'), whole])).toEqual([
      '"it does": did not pass: test/a.test.ts: does one',
    ])
    expect(checkPromises(promises, [one, whole, { ...whole, outcome: 'failed' }])).toHaveLength(1)
  })

  test('a promise for browsers is broken when what proves it did not run in each of them, or failed in one', () => {
    const promises = readPromises('| it does | `test/a.test.ts` "does one" in Node, Chromium and Firefox |')
    expect(promises[0]?.proofs).toEqual([
      { path: 'test/a.test.ts', title: 'does one', where: ['Node', 'Chromium', 'Firefox'] },
    ])
    const node = run('passed')
    const chromium: TestRun = { ...node, where: 'Chromium' }
    const firefox: TestRun = { ...node, where: 'Firefox' }
    expect(checkPromises(promises, [node, chromium, firefox])).toEqual([])
    expect(checkPromises(promises, [node, chromium])).toEqual([
      '"it does": did not run in Firefox: test/a.test.ts: does one',
    ])
    expect(checkPromises(promises, [node, chromium, { ...firefox, outcome: 'failed' }])).toHaveLength(1)
  })

  test('a promise that names a contract quotes titles of it, which may run in any file', () => {
    const run: TestRun = { file: 'test/x.test.ts', title: 'x > keeps rows', outcome: 'passed', where: 'Node' }
    const check = (cell: string) => checkPromises(readPromises(`| it keeps | ${cell} |`), [run])
    expect(check('`test/contracts/store.ts` "keeps rows"')).toEqual([])
    expect(check('`test/contracts/store.ts` "keeps more"')).toHaveLength(1)
    expect(check('`test/contracts/store.ts`, rows')).toEqual([
      '"it keeps": no title is quoted: test/contracts/store.ts',
    ])
    expect(check('`test/security/hpke-contract.ts`')).toHaveLength(1)
  })

  test('every row has an id of its own and a text', () => {
    expect(new Set(requirements.map(row => row.id)).size).toBe(requirements.length)
    expect(requirements.filter(row => !/^(F?\d+)$/.test(row.id) || row.text.length < 4)).toEqual([])
    expect(requirements.filter(row => row.id.startsWith('F'))).toHaveLength(23)
    expect(requirements.at(-24)?.id).toBe('134')
  })
})
