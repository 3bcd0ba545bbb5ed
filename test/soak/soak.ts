/**
 * Runs a simulation for seed after seed until a time or a range is over, and leaves a file that says what was run, what
 * happened in it and what should not have.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { projectFile } from '../../e2e/fixtures/process.ts'
import { origin } from '../bench/figures.ts'

/** What a simulation says of one seed: what should not have happened, and how often all else did. */
export interface Outcome {
  readonly faults: readonly string[]
  readonly counters: Readonly<Record<string, number>>
}

/** How often progress is told, ms. */
const TELL_EVERY = 10_000
/** How long it goes on where nothing is asked for, minutes. */
const MINUTES = 10

interface Range {
  readonly from: number
  readonly to: number
  readonly minutes: number
  readonly out: string
}

/**
 * The code to exit with: 0, 1 where there was a fault, 2 for options that are none.
 * @param scarce what happened too seldom in so many runs to prove anything: a fault of all of them
 */
export async function soak(
  name: string,
  simulate: (seed: number) => Promise<Outcome>,
  args: readonly string[],
  scarce: (sums: Readonly<Record<string, number>>, runs: number) => string[] = () => [],
): Promise<number> {
  let range: Range
  try {
    range = readRange(name, args)
  } catch (error) {
    console.error(`${(error as Error).message}; options: [--from N] [--to N] [--minutes M] [--out FILE]`)
    return 2
  }
  const { from, to, minutes, out } = range
  let stopped = false
  const stop = (): void => {
    stopped = true
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, stop)
  const where = origin()
  const start = performance.now()
  const elapsed = (): number => performance.now() - start
  const counters: Record<string, number> = {}
  const faults: { readonly seed: number; readonly faults: readonly string[] }[] = []
  let told = 0
  let seed = from
  for (; seed <= to && elapsed() < minutes * 60_000 && !stopped; seed++) {
    const outcome = await simulate(seed).catch(
      (error): Outcome => ({ faults: [`it threw: ${error instanceof Error ? error.stack : error}`], counters: {} }),
    )
    for (const [what, count] of Object.entries(outcome.counters)) counters[what] = (counters[what] ?? 0) + count
    if (outcome.faults.length > 0) {
      faults.push({ seed, faults: outcome.faults })
      console.log(`seed ${seed}:\n  ${outcome.faults.join('\n  ')}`)
    }
    if (elapsed() - told < TELL_EVERY) continue
    told = elapsed()
    console.log(`seed ${seed}, ${Math.round(told / 1_000)} s, ${faults.length} seeds with faults`)
  }
  for (const signal of signals) process.off(signal, stop)
  const seeds = { from, to: seed - 1, count: seed - from }
  const seconds = Math.round(elapsed() / 1_000)
  const missing = scarce(counters, seeds.count)
  for (const fault of missing) console.log(fault)
  if (missing.length > 0) faults.push({ seed: from, faults: missing })
  await writeReport(out, { name, ...where, seeds, seconds, faults, counters })
  console.log(`${seeds.count} seeds in ${seconds} s, ${faults.length} with faults: ${out}`)
  return faults.length > 0 ? 1 : 0
}

/** Writes what a soak has to say into its file. */
export async function writeReport(out: string, report: object): Promise<void> {
  await mkdir(dirname(out), { recursive: true })
  await writeFile(out, `${JSON.stringify(report, undefined, 2)}\n`)
}

/** Where a soak's report goes: the file that is asked for, or one of its own for each run. */
export function reportFile(name: string, asked: string | undefined): string {
  if (asked !== undefined) return resolve(asked)
  const folder = projectFile('node_modules/.cache/agent-flow-protocol/soak')
  return join(folder, `${name}-${new Date().toISOString().replaceAll(':', '-')}.json`)
}

/** @throws TypeError, RangeError */
function readRange(name: string, args: readonly string[]): Range {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ args: [...args], options: { from: text, to: text, minutes: text, out: text } })
  const number = (what: 'from' | 'to' | 'minutes', missing: number): number => {
    const value = Number(values[what] ?? missing)
    if (value > 0 && (what === 'minutes' || value === Number.POSITIVE_INFINITY || Number.isSafeInteger(value)))
      return value
    throw new RangeError(`--${what} ${values[what]} is no number of that kind`)
  }
  const from = number('from', 1)
  const to = number('to', Number.POSITIVE_INFINITY)
  if (to < from) throw new RangeError('--to is below --from')
  const minutes = number('minutes', values.to === undefined ? MINUTES : Number.POSITIVE_INFINITY)
  return { from, to, minutes, out: reportFile(name, values.out) }
}
