/**
 * `npm run soak -- planted`: plants one bug after the other and tells by which simulation, and after how many seeds, each
 * is caught; then runs as many seeds without any.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { projectFile } from '../../e2e/fixtures/process.ts'
import { origin } from '../bench/figures.ts'
import { BUGS } from '../simulation/bugs/bugs.ts'
import { type Catch, hunt, isHonest } from '../simulation/bugs/hunt.ts'
import type { Bug } from '../simulation/bugs/plant.ts'

/** Which part of them has to be caught. */
const ENOUGH = 0.95
/** Seeds that each simulation has for a bug, unless more or fewer are asked for. */
const SEEDS = 200

interface Options {
  readonly bugs: readonly Bug[]
  readonly seeds: number
  readonly jobs: number
  readonly out: string
}

/** What became of a bug. One that something but a checker has seen is not caught: nothing says that a checker would. */
export interface Found extends Partial<Catch> {
  readonly name: string
  readonly breaks: string
  readonly caught: boolean
}

/**
 * The code to exit with: 0, 1 where too few are caught or something is found where nothing is planted, 2 for options that
 * are none.
 * @param all the bugs there are
 * @param hunts resolves with what the seeds from 1 to the given one find of a bug, or of none
 */
export async function planted(
  args: readonly string[],
  all: readonly Bug[] = BUGS,
  hunts = (bug: Bug | undefined, to: number): Promise<Catch | undefined> => hunt(bug, { from: 1, to }),
): Promise<number> {
  let options: Options
  try {
    options = readOptions(args, all)
  } catch (error) {
    console.error(`${(error as Error).message}; options: [--only NAME]... [--seeds N] [--jobs N] [--out FILE]`)
    return 2
  }
  const { bugs, seeds, jobs, out } = options
  const where = origin()
  const start = performance.now()
  const width = Math.max(...bugs.map(({ name }) => name.length))
  console.log(`${'bug'.padEnd(width)}  caught by  seeds  how    first fault`)
  const found = new Map<Bug, Found>()
  const left = bugs.values()
  const work = async (): Promise<void> => {
    for (const bug of left) {
      const { name, breaks } = bug
      const seen = await hunts(bug, seeds)
      const caught = seen !== undefined && isHonest(seen)
      found.set(bug, { name, breaks, caught, ...seen })
      const by = (caught ? seen.simulation : 'nobody').padEnd(9)
      const after = `${caught ? seen.seed : seeds}`.padStart(5)
      const how = (seen?.kind ?? '').padEnd(5)
      console.log(`${name.padEnd(width)}  ${by}  ${after}  ${how}  ${seen === undefined ? '' : inShort(seen.fault)}`)
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  const results = bugs.flatMap(bug => found.get(bug) ?? [])
  const missed = results.filter(({ caught }) => !caught).length
  // What simulations find where there is nothing to be found would count for every bug.
  const most = missed > 0 ? seeds : Math.max(...results.map(({ seed = seeds }) => seed))
  const control = await hunts(undefined, most)
  if (control !== undefined)
    console.log(`with none planted ${control.simulation} fails at seed ${control.seed}: ${control.fault}`)
  const part = (results.length - missed) / results.length
  const seconds = Math.round((performance.now() - start) / 1_000)
  await mkdir(dirname(out), { recursive: true })
  const report = { name: 'planted', ...where, seeds, seconds, part, results, control: { seeds: most, ...control } }
  await writeFile(out, `${JSON.stringify(report, undefined, 2)}\n`)
  console.log(
    `${results.length - missed} of ${results.length} caught, ${(100 * part).toFixed(1)} %, in ${seconds} s; ` +
      `${control === undefined ? 'nothing found' : 'a fault'} in ${most} seeds without any: ${out}`,
  )
  return part >= ENOUGH && control === undefined ? 0 : 1
}

/** The first line of a fault; ids by their ends. */
const inShort = (fault: string): string =>
  (fault.split('\n')[0] as string).replaceAll(/\b(12D3KooW\w{40}|[0-9a-f]{28})(?=\w{4}\b)/g, '..').slice(0, 160)

/** @throws TypeError, RangeError */
function readOptions(args: readonly string[], all: readonly Bug[]): Options {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: { only: { ...text, multiple: true }, seeds: text, jobs: text, out: text },
  })
  const number = (what: 'seeds' | 'jobs', missing: number): number => {
    const value = Number(values[what] ?? missing)
    if (value > 0 && Number.isSafeInteger(value)) return value
    throw new RangeError(`--${what} ${values[what]} is no number of that kind`)
  }
  const unknown = values.only?.filter(name => !all.some(bug => bug.name === name)) ?? []
  if (unknown.length > 0) throw new RangeError(`there is no bug with the name ${unknown}`)
  const bugs = all.filter(({ name }) => values.only?.includes(name) ?? true)
  const file = `planted-${new Date().toISOString().replaceAll(':', '-')}.json`
  const folder = projectFile('node_modules/.cache/agent-flow-protocol/soak')
  const out = values.out === undefined ? join(folder, file) : resolve(values.out)
  return { bugs, seeds: number('seeds', SEEDS), jobs: number('jobs', 1), out }
}

if (import.meta.main) process.exitCode = await planted(process.argv.slice(2))
