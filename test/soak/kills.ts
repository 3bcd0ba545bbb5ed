/**
 * `npm run soak -- kills [--cycles 500] [--party sender|recipient|relay|all|each] [--seed N] [--minutes M] [--out FILE]`: real
 * processes are killed, cycle after cycle, with 200 messages on their way at each kill. After every 50 kills everything is
 * waited for and judged by what is on the disks; the next ones are on new disks, with a seed of their own.
 */

import { parseArgs } from 'node:util'
import { seededRandom } from '../../src/common/random.ts'
import { origin, spread } from '../bench/figures.ts'
import { type KillRun, killRun, VICTIMS, type Victim } from '../faults/kill-run.ts'
import { Stage } from '../faults/parties.ts'
import { reportFile, writeReport } from './soak.ts'

const IN_FLIGHT = 200
/** How many kills there are between two judgements. */
const ROUND = 50
/** How long a round may take, ms: what never comes is a fault. */
const ROUND_LIMIT = 30 * 60_000
const TELL_EVERY = 10

interface Asked {
  readonly cycles: number
  readonly victims: readonly Victim[]
  readonly seed: number
  readonly minutes: number
  readonly out: string
}

function read(): Asked {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { cycles: text, party: text, seed: text, minutes: text, out: text } })
  const { cycles = '500', party = 'each', seed = '1', minutes = 'Infinity', out } = values
  const victims = party === 'each' ? VICTIMS : VICTIMS.filter(victim => victim === party)
  const whole = [cycles, seed].every(value => Number.isSafeInteger(Number(value)) && Number(value) > 0)
  if (victims.length === 0 || !whole || !(Number(minutes) > 0)) throw new RangeError('an option has no such value')
  return {
    cycles: Number(cycles),
    victims,
    seed: Number(seed),
    minutes: Number(minutes),
    out: reportFile('kills', out),
  }
}

/** Kills a party until there were enough kills, or it is time; what came of each round. */
async function kill(victim: Victim, { cycles, seed }: Asked, late: () => boolean): Promise<readonly Round[]> {
  const rounds: Round[] = []
  for (let done = 0; done < cycles && !late(); done += ROUND) {
    const kills = Math.min(ROUND, cycles - done)
    const own = seed + rounds.length
    const stage = await Stage.open()
    const start = performance.now()
    const onKill = (count: number): void => {
      if ((done + count) % TELL_EVERY !== 0) return
      console.log(`${victim}: ${done + count} of ${cycles}, ${Math.round((performance.now() - start) / 1_000)} s`)
    }
    const overdue = Promise.withResolvers<never>()
    const timer = setTimeout(() => overdue.reject(new Error('it did not come to its end')), ROUND_LIMIT)
    const options = { victim, kills, inFlight: IN_FLIGHT, random: seededRandom(own), onKill, enough: late }
    const run = await Promise.race([killRun(stage, options), overdue.promise]).catch(
      (error): KillRun => ({ ...NOTHING, faults: [`it threw: ${error instanceof Error ? error.stack : error}`] }),
    )
    clearTimeout(timer)
    await stage.close()
    for (const fault of run.faults) console.log(`${victim}, seed ${own}: ${fault}`)
    rounds.push({ ...run, seed: own })
  }
  return rounds
}

type Round = KillRun & { readonly seed: number }
const NOTHING: KillRun = { faults: [], inFlight: [], processed: [], starts: [], ready: 0, counters: {} }

function sum(rounds: readonly Round[]): Record<string, number> {
  const counters: Record<string, number> = {}
  for (const round of rounds)
    for (const [what, count] of Object.entries(round.counters)) counters[what] = (counters[what] ?? 0) + count
  return counters
}

let asked: Asked
try {
  asked = read()
} catch (error) {
  console.error(
    `${(error as Error).message}; options: [--cycles N] [--party ${VICTIMS.join('|')}|each] [--seed N] [--minutes M] [--out FILE]`,
  )
  process.exit(2)
}
const where = origin()
const began = performance.now()
let stopped = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    stopped = true
  })
let faulty = 0
const parties: Record<string, unknown> = {}
for (const [i, victim] of asked.victims.entries()) {
  const until = (asked.minutes * 60_000 * (i + 1)) / asked.victims.length
  const start = performance.now()
  const rounds = await kill(victim, asked, () => stopped || performance.now() - began > until)
  const faults = rounds.flatMap(({ seed, faults }) => (faults.length === 0 ? [] : [{ seed, faults }]))
  faulty += faults.length
  const inFlight = rounds.flatMap(round => round.inFlight)
  parties[victim] = {
    seeds: { from: asked.seed, count: rounds.length },
    kills: inFlight.length,
    'kills at a start': rounds.flatMap(round => round.starts).length,
    'of them ready': rounds.reduce((sum, { ready }) => sum + ready, 0),
    'in flight at each kill': spread(inFlight),
    'processed between kills': spread(rounds.flatMap(round => round.processed)),
    seconds: Math.round((performance.now() - start) / 1_000),
    faults,
    counters: sum(rounds),
  }
  await writeReport(asked.out, { name: 'kills', ...where, parties })
  console.log(`${victim}: ${inFlight.length} kills, ${faults.length} rounds with faults`)
}
console.log(`${faulty} rounds with faults: ${asked.out}`)
process.exit(faulty > 0 ? 1 : 0)
