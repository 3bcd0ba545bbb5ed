/**
 * The four workloads of the source specification: direct messages, orchestration of 2 to 50 agents, chains of 3, 5 and 10
 * steps, agents that call an external HTTP API; with reliability off and on, beside a plain baseline that does the same
 * work over bare TCP. Workers are in two processes, so that each step of a chain goes to the other one.
 *
 * `npm run bench -- workloads [rounds]`; `BENCH_CASES`, a regular expression, picks workloads by their names (`direct`,
 * `orchestration of 5`, `chain of 3`, `external API`), and `BENCH_MS` says how long each case is measured in a round.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Helper } from '../../e2e/fixtures/process.ts'
import { commandOf } from './extent.ts'
import { quantile, surroundings } from './figures.ts'
import { contentOf, timed } from './flow.ts'
import { printAbout, printTable, printTargets, writeReport } from './output.ts'
import { judge, middle, type Report, type Row } from './report.ts'
import { short } from './short.ts'
import { CHAINS, chainCase, KINDS, type Kind, STEP_WORK, WORKLOAD_TARGETS } from './targets.ts'
import { CLAIMED_BY, CREWS, claimsBeside, ROW } from './workloads/claims.ts'
import { Crew } from './workloads/crew.ts'
import type { Duty } from './workloads/member.ts'

const rounds = Number(process.argv[2] ?? 3)
const pattern = new RegExp(process.env.BENCH_CASES ?? '')
const MEASURED_FOR = Number(process.env.BENCH_MS ?? 1_000)
const WARM_UP = 500
/** Of so many times at least is a median of a round; what takes long goes on for up to ten times as long for that. */
const LEAST = 30
/** Questions under way at a time where throughput is asked for. */
const UNDER_WAY = 64
/** What the API takes, ms. */
const API_DELAY = 10
const content = contentOf(1_024)
const kinds = Object.keys(KINDS) as Kind[]

const figuresOf = (times: readonly number[], tasks = 1): Record<string, number> => ({
  p50: quantile(times, 0.5),
  p99: quantile(times, 0.99),
  rate: (times.length * tasks * 1_000) / times.reduce((sum, time) => sum + time, 0),
})

/** Something that crews of every kind do. */
interface Workload {
  readonly name: string
  readonly workers: number
  /** Whether kinds have their rounds one after the other, without the others there: many agents are at work while idle too. */
  readonly apart?: boolean
  /** Rows of it, by kind; what is done before each, and what is measured. */
  readonly cases: readonly {
    readonly row: (kind: Kind) => string
    readonly duties: Readonly<Record<string, Duty>>
    readonly measure: (crew: Crew, ms: number) => Promise<Record<string, number>>
  }[]
}

/** A chain of workers, back to the lead. */
const chainOf = (names: readonly string[], duty: Duty): Record<string, Duty> =>
  Object.fromEntries(names.map((name, i) => [name, { ...duty, next: names[i + 1] ?? 'lead' }]))

/** How long a message may take through all of a chain, ms; what is not kept may be lost with a link. */
const PATIENCE = 30_000

async function within(over: Promise<void>): Promise<void> {
  let late: ReturnType<typeof setTimeout> | undefined
  const lost = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Error(`a message was lost, or took more than ${PATIENCE} ms`)), PATIENCE)
  })
  await Promise.race([over, lost]).finally(() => clearTimeout(late))
}

/** Has a message go through a chain, over and over. */
async function through(crew: Crew, ms: number): Promise<number[]> {
  let back = (): void => {}
  crew.lead.serve(async () => back())
  return timed({ ms, least: LEAST }, async () => {
    const over = new Promise<void>(resolve => {
      back = resolve
    })
    await crew.lead.tell('worker-1', content)
    await within(over)
  })
}

async function throughput(crew: Crew, ms: number): Promise<number> {
  const start = performance.now()
  let answered = 0
  const lane = async (): Promise<void> => {
    while (performance.now() - start < ms) {
      await crew.lead.ask('worker-1', content)
      answered++
    }
  }
  await Promise.all(Array.from({ length: UNDER_WAY }, lane))
  return (answered * 1_000) / (performance.now() - start)
}

const folder = await mkdtemp(join(tmpdir(), 'afp-bench-'))
const elsewhere = new Helper('test/bench/workload-process.ts')
const api = await elsewhere.call<string>('api', API_DELAY)
/** What calling the API twice takes by itself, ms: what is beyond it is overhead. */
const alone = quantile(
  await timed({ ms: 1_000, least: LEAST }, async () => {
    for (let call = 0; call < 2; call++) await (await fetch(api)).text()
  }),
  0.5,
)

const workloads: Workload[] = [
  {
    name: 'direct',
    workers: 1,
    cases: [
      {
        row: ROW.direct,
        duties: { 'worker-1': { work: 0 } },
        measure: async (crew, ms) => ({
          ...figuresOf(await timed({ ms: ms / 2, least: LEAST }, () => crew.lead.ask('worker-1', content))),
          rate: await throughput(crew, ms / 2),
        }),
      },
    ],
  },
  ...CREWS.map((workers): Workload => {
    const names = Crew.names(workers)
    const duties = Object.fromEntries(names.map(name => [name, { work: 0 }]))
    const measure = async (crew: Crew, ms: number) =>
      figuresOf(
        await timed({ ms, least: LEAST }, () => Promise.all(names.map(name => crew.lead.ask(name, content)))),
        workers,
      )
    return {
      name: `orchestration of ${workers}`,
      workers,
      apart: true,
      cases: [{ row: kind => ROW.crew(workers, kind), duties, measure }],
    }
  }),
  ...CHAINS.map(
    (steps): Workload => ({
      name: `chain of ${steps}`,
      workers: steps,
      apart: true,
      cases: STEP_WORK.map(work => ({
        row: kind => chainCase(steps, work, kind),
        duties: chainOf(Crew.names(steps), { work }),
        measure: async (crew, ms) => figuresOf(await through(crew, ms)),
      })),
    }),
  ),
  {
    name: 'external API',
    workers: 2,
    cases: [
      {
        row: ROW.api,
        duties: chainOf(Crew.names(2), { work: 0, api }),
        measure: async (crew, ms) => {
          const figures = figuresOf(await through(crew, ms))
          return { ...figures, overhead: (figures.p50 as number) - alone }
        },
      },
    ],
  },
]

type Figures = Row & { notRun?: string; readonly figures: Record<string, number[]> }

const rows: Figures[] = []
const load = [loadavg()[0] as number]

/** One that fails has no figures at all, and is left out from then on. */
async function attempt<T>(own: readonly Figures[], work: () => Promise<T>): Promise<T | undefined> {
  if (own.some(({ notRun }) => notRun !== undefined)) return undefined
  try {
    return await work()
  } catch (error) {
    for (const row of own) {
      row.notRun = (error as Error).message.replaceAll('\n', ' ').slice(0, 120)
      for (const name of Object.keys(row.figures)) delete row.figures[name]
    }
    console.error(`${own.map(({ name }) => name).join('; ')}: ${(error as Error).message}`)
    return undefined
  }
}

for (const [i, { name, workers, apart = false, cases }] of workloads.entries()) {
  if (!pattern.test(name)) continue
  console.error(name)
  const own = new Map(kinds.map(kind => [kind, cases.map(({ row }): Figures => ({ name: row(kind), figures: {} }))]))
  const ofKind = (kind: Kind): Figures[] => own.get(kind) ?? []
  for (const at of cases.keys()) rows.push(...kinds.map(kind => ofKind(kind)[at] as Figures))
  for (const group of apart ? kinds.map(kind => [kind]) : [kinds]) {
    const crews = new Map<Kind, Crew>()
    for (const kind of group) {
      await attempt(ofKind(kind), async () => {
        const crew = await Crew.start(kind, workers, join(folder, `${i}-${kind}`))
        crews.set(kind, crew)
        await crew.meet(name.startsWith('orchestration') ? Crew.names(workers) : ['worker-1'])
        await crew.settled()
      })
    }
    for (const [at, { duties, measure }] of cases.entries()) {
      const rowOf = (kind: Kind): Figures[] => ofKind(kind).slice(at, at + 1)
      for (const [kind, crew] of crews) {
        await attempt(rowOf(kind), async () => {
          await crew.assign(duties)
          await measure(crew, WARM_UP)
        })
      }
      for (let round = 0; round < rounds; round++) {
        for (const [kind, crew] of crews) {
          const found = (await attempt(rowOf(kind), () => measure(crew, MEASURED_FOR))) ?? {}
          for (const { figures } of rowOf(kind)) {
            for (const [figure, value] of Object.entries(found)) figures[figure] = [...(figures[figure] ?? []), value]
          }
        }
      }
    }
    for (const crew of crews.values()) await crew.end()
  }
  load.push(loadavg()[0] as number)
}
await elsewhere.kill()
const about = await surroundings(folder)
await rm(folder, { recursive: true })

const report: Report = {
  bench: 'workloads',
  ...about,
  rounds,
  command: commandOf('workloads'),
  load,
  notes: {
    kinds:
      'plain TCP: frames over connections that stay, kept nowhere. AFP at-most-once: sealed, kept nowhere. AFP at-least-once: sealed, and kept at both ends until it is processed, in memory, or in SQLite (WAL, synchronous=FULL: synced before it is sent on, and before it is acknowledged)',
    content: `${content.length} bytes; work keeps the processor busy; the API is another process that takes ${API_DELAY} ms, called by each of two workers: ${alone.toFixed(1)} ms without them`,
    throughput: `direct: ${UNDER_WAY} questions under way; orchestration: each worker is asked, and all answers waited for`,
    apart:
      'orchestration and chains have each kind by itself, all rounds in a row, since agents that are idle are at work too; in the others the kinds take turns, with all of them there',
  },
  rows,
  targets: judge(WORKLOAD_TARGETS, rows),
}
printAbout(report)
console.log('')
printTable(
  ['', 'p50 ms', 'p99 ms', 'messages/s', 'overhead ms'],
  rows.map(({ name, notRun }) => {
    if (notRun !== undefined) return [name, `not run: ${notRun}`]
    return [name, ...['p50', 'p99', 'rate', 'overhead'].map(figure => short(middle(rows, name, figure)))]
  }),
)
console.log(`\nclaimed by the ${CLAIMED_BY}, beside what is measured here:`)
for (const { workload, claimed, measured } of claimsBeside(rows)) {
  console.log(`- ${workload}: "${claimed}"\n  ${measured}`)
}
printTargets(report.targets)
await writeReport(report)
process.exit()
