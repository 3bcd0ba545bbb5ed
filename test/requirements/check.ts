/** Holds claims.ts and docs/claims.md against what ran: a claim whose test did not run and pass is a failure. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { claims } from './claims.ts'
import { readTests, runnersOf } from './contracts.ts'
import { isContract, type Place, type Promised, readPromises } from './promises.ts'
import { type Requirement, requirements } from './requirements.ts'

/** One test as its runner reported it. */
export interface TestRun {
  readonly file: string
  readonly title: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** What it ran in. */
  readonly where: Place
}

/** What {@link checkClaims} found. */
export interface Finding {
  /** What is claimed and does not hold. Empty when the claims are true. */
  readonly problems: readonly string[]
  readonly proved: readonly Requirement[]
  readonly open: readonly Requirement[]
}

/** Compares claims with test runs. A title that ran several times, as contract suites do, has to pass every time. */
export function checkClaims(
  rows: readonly Requirement[],
  claimed: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>,
  runs: readonly TestRun[],
): Finding {
  const known = new Set(rows.map(row => row.id))
  const proved = new Set<string>()
  const problems: string[] = []
  for (const [file, tests] of Object.entries(claimed)) {
    if (!runs.some(run => run.file === file)) {
      problems.push(`did not run at all: ${file}`)
      continue
    }
    for (const [title, ids] of Object.entries(tests)) {
      for (const id of ids) if (!known.has(id)) problems.push(`${file}: ${title}: there is no row ${id}`)
      const ran = runs.filter(run => run.file === file && run.title === title)
      if (ran.length === 0) problems.push(`${ids.join(', ')}: did not run: ${file}: ${title}`)
      else if (ran.some(run => run.outcome !== 'passed'))
        problems.push(`${ids.join(', ')}: did not pass: ${file}: ${title}`)
      else for (const id of ids) proved.add(id)
    }
  }
  return {
    problems,
    proved: rows.filter(row => proved.has(row.id)),
    open: rows.filter(row => !proved.has(row.id)),
  }
}

/**
 * Compares promises with test runs: what is quoted has to have run and passed, and of a file that is named whole
 * everything, in each of the places that are named beside it. What a contract is to prove has to have run in each file
 * that runs the contract, and the same title in another file proves nothing.
 */
export function checkPromises(
  promises: readonly Promised[],
  runs: readonly TestRun[],
  runners: (contract: string) => ReadonlySet<string>,
): string[] {
  return promises.flatMap(({ promise, proofs }) =>
    proofs.flatMap(({ path, title, where }) => {
      const bound = isContract(path) ? runners(path) : undefined
      if (bound !== undefined && title === undefined) return [`"${promise}": no title is quoted: ${path}`]
      const ran = runs.filter(
        run =>
          (bound?.has(run.file) ?? run.file.startsWith(path)) && (title === undefined || run.title.includes(title)),
      )
      const named = title === undefined ? path : `${path}: ${title}`
      if (ran.length === 0) return [`"${promise}": did not run: ${named}`]
      const without = [...(bound ?? [])].filter(file => !ran.some(run => run.file === file))
      if (without.length > 0) return without.map(file => `"${promise}": did not run in ${file}: ${named}`)
      if (ran.some(({ outcome }) => outcome !== 'passed')) return [`"${promise}": did not pass: ${named}`]
      const missing = where.filter(place => !ran.some(run => run.where === place))
      return missing.map(place => `"${promise}": did not run in ${place}: ${named}`)
    }),
  )
}

if (import.meta.main) {
  const runs = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as TestRun[]
  const { problems, proved, open } = checkClaims(requirements, claims, runs)
  const promises = readPromises(readFileSync(join(import.meta.dirname, '../../docs/claims.md'), 'utf8'))
  const sources = readTests(join(import.meta.dirname, '../..'))
  const broken = [...problems, ...checkPromises(promises, runs, contract => runnersOf(contract, sources))]
  const lines = broken.map(problem => `✗ ${problem}`)
  lines.push(`${proved.length} of ${requirements.length} rows proved, not yet: ${open.map(row => row.id).join(' ')}`)
  process.stdout.write(`${lines.join('\n')}\n`)
  process.exitCode = broken.length > 0 ? 1 : 0
}
