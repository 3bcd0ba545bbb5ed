import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkClaims, checkPromises as checkWith, type TestRun } from './check.ts'
import { readTests, runnersOf } from './contracts.ts'
import { isContract, type Promised, readPromises } from './promises.ts'
import { requirements } from './requirements.ts'

const root = join(import.meta.dirname, '../..')

const rows = [
  { id: '1', text: 'one' },
  { id: '2', text: 'two' },
]
const claimed = { 'test/a.test.ts': { 'does one': ['1'] } }
/** Where only whole files and titles of files are named. */
const checkPromises = (promises: readonly Promised[], runs: readonly TestRun[]): string[] =>
  checkWith(promises, runs, () => new Set())
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

  test('a promise that names a contract quotes titles of it, which have to run in each file that runs it', () => {
    const sources = new Map([
      [
        'test/contracts/store.ts',
        "export function storeContract(name: string, open: () => X): void {\n  it('keeps rows'",
      ],
      ['test/x.test.ts', "import { put, storeContract } from './contracts/store.ts'"],
      ['test/y.test.ts', "import {\n  storeContract,\n} from './contracts/store.ts'"],
      ['test/z.test.ts', "import { put } from './contracts/store.ts'"],
    ])
    const ran = (file: string, outcome: TestRun['outcome'] = 'passed', title = 'x > keeps rows'): TestRun => {
      return { file: `test/${file}.test.ts`, title, outcome, where: 'Node' }
    }
    const check = (cell: string, ...runs: TestRun[]) =>
      checkWith(readPromises(`| it keeps | ${cell} |`), runs, contract => runnersOf(contract, sources))
    const rows = '`test/contracts/store.ts` "keeps rows"'
    expect(check(rows, ran('x'), ran('y'))).toEqual([])
    // The same words in a file that only has tools of the contract.
    expect(check(rows, ran('x'), ran('y'), ran('z', 'failed'))).toEqual([])
    expect(check(rows, ran('z'))).toEqual(['"it keeps": did not run: test/contracts/store.ts: keeps rows'])
    expect(check(rows, ran('x'), ran('z'))).toEqual([
      '"it keeps": did not run in test/y.test.ts: test/contracts/store.ts: keeps rows',
    ])
    expect(check(rows, ran('x'), ran('y', 'skipped'))).toHaveLength(1)
    expect(check('`test/contracts/store.ts` "keeps more"', ran('x'), ran('y'))).toHaveLength(1)
    expect(check('`test/contracts/store.ts`, rows', ran('x'), ran('y'))).toEqual([
      '"it keeps": no title is quoted: test/contracts/store.ts',
    ])
    expect(check('`test/security/hpke-contract.ts`', ran('x'))).toHaveLength(1)
  })

  test('the files that run a contract are found by what they import, through other contracts and files too', () => {
    const sources = readTests(root)
    const named = readPromises(readFileSync(join(root, 'docs/claims.md'), 'utf8'))
      .flatMap(({ proofs }) => proofs.map(({ path }) => path))
      .filter(isContract)
    expect(named.length).toBeGreaterThan(10)
    expect(named.filter(path => runnersOf(path, sources).size === 0)).toEqual([])
    const agents = ['test/agent/loopback.test.ts', 'test/agent/memory.test.ts']
    expect([...runnersOf('test/contracts/agent-messages.ts', sources)].toSorted()).toEqual(agents)
    expect([...runnersOf('test/contracts/dead-letters.ts', sources)].toSorted()).toEqual([
      'test/delivery/dead-letters.browser.test.ts',
      'test/delivery/dead-letters.test.ts',
    ])
    expect(runnersOf('test/security/hpke-contract.ts', sources)).toContain('test/security/plain-http.browser.test.ts')
    expect(runnersOf('test/contracts/waiting.ts', sources).size).toBe(0)
  })

  test('every row has an id of its own and a text', () => {
    expect(new Set(requirements.map(row => row.id)).size).toBe(requirements.length)
    expect(requirements.filter(row => !/^(F?\d+)$/.test(row.id) || row.text.length < 4)).toEqual([])
    expect(requirements.filter(row => row.id.startsWith('F'))).toHaveLength(23)
    expect(requirements.at(-24)?.id).toBe('134')
  })
})
