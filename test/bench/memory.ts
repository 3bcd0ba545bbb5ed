/**
 * What messages cost of the memory: whether it stays flat over many of them, what it takes to keep those that nobody
 * takes yet, beside brokers that keep as many, and how long a store that is full of them takes to open.
 *
 * `npm run bench -- memory [messages]`, by default 1,000,000. Heaps, with buffers, are measured after garbage is
 * collected, 20 times along the way; the slope is that of the line through all but the first fifth. `BENCH_CASES`, a
 * regular expression, picks cases, and `BENCH_QUEUED` says how many are queued instead of 100,000.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandOf, windowOf } from './extent.ts'
import { slope, surroundings } from './figures.ts'
import type { Queued } from './flow.ts'
import { printAbout, printTable, printTargets, writeReport } from './output.ts'
import { Pair } from './pair.ts'
import type { Memory, Run } from './peer-process.ts'
import { STRANGER } from './peers/adapter.ts'
import { PEERS } from './peers/peers.ts'
import { judge, type Report, type Row } from './report.ts'
import { NotRun } from './servers.ts'
import { short } from './short.ts'
import { heapOf, TabStage } from './tabs/stage.ts'
import { MEMORY_CASE, MEMORY_TARGETS, TO_STRANGER } from './targets.ts'

const total = Number(process.argv[2] ?? 1_000_000)
const queued = Number(process.env.BENCH_QUEUED ?? 100_000)
const pattern = new RegExp(process.env.BENCH_CASES ?? '')
const SAMPLES = 20
/** Messages that are kept before it is looked at what others cost. */
const WARM_UP = 100
const MIB = 2 ** 20
const SIDES = ['sender', 'recipient'] as const

const run = (mode: string, bytes: number, count: number): Run => ({
  mode,
  bytes,
  window: windowOf(bytes),
  extent: { count },
})

const queuedOf = (bytes: number, count: number): Queued => ({ bytes, count, window: windowOf(bytes) })

/** Sends many, and looks at the memory of both ends along the way. */
async function flat(pair: Pair, mode: string): Promise<Row['figures']> {
  const figures: Record<string, number[]> = { rate: [] }
  const points = new Map<string, [number, number][]>(SIDES.map(side => [side, []]))
  const chunk = Math.ceil(total / SAMPLES)
  for (let sample = 1; sample <= SAMPLES; sample++) {
    figures.rate?.push((await pair.messages(run(mode, 1_024, chunk))).rate)
    for (const side of SIDES) {
      const { heap, rss } = await pair.memory(side)
      points.get(side)?.push([sample * chunk, heap])
      figures[`${side} heap`] = [...(figures[`${side} heap`] ?? []), heap / MIB]
      figures[`${side} RSS`] = [...(figures[`${side} RSS`] ?? []), rss / MIB]
    }
  }
  for (const side of SIDES) figures[`${side} slope`] = [slope((points.get(side) ?? []).slice(SAMPLES / 5))]
  return figures
}

/** What it costs to keep so many that nobody takes, MiB: of objects and buffers of the sender, and of all of its server. */
async function kept(pair: Pair, bytes: number, count: number, mode = ''): Promise<Row['figures']> {
  await pair.leave()
  // What both of them need in any case is there then: code that is compiled, and buffers.
  await pair.queue(queuedOf(bytes, WARM_UP), mode)
  const before: Memory = await pair.memory('sender')
  const serverBefore = pair.server?.memory()
  const start = performance.now()
  await pair.queue(queuedOf(bytes, count), mode)
  const seconds = (performance.now() - start) / 1_000
  const after = await pair.memory('sender')
  const serverGrew = (pair.server?.memory() ?? Number.NaN) - (serverBefore ?? Number.NaN)
  const grew = (of: keyof Memory): number => (after[of] - before[of]) / MIB
  return {
    rate: [count / seconds],
    MiB: [grew('heap') + (pair.server === undefined ? 0 : serverGrew / MIB)],
    'sender heap': [grew('heap')],
    'sender RSS': [grew('rss')],
    ...(pair.server !== undefined && { 'server RSS': [serverGrew / MIB] }),
  }
}

const folder = await mkdtemp(join(tmpdir(), 'afp-bench-'))
const about = await surroundings(folder)
const notes: Record<string, string> = {}
const rows: Row[] = []
const load = [loadavg()[0] as number]
let started = 0

/** The same of a tab; what its browser has beside it is not in it. */
async function keptInTab(bytes: number, count: number): Promise<Row['figures']> {
  const stage = await TabStage.open(join(folder, `${++started}`))
  const { sender, recipient } = await stage.pair('afp')
  await recipient.close()
  const keep = (queued: Queued): Promise<void> => sender.evaluate(given => window.bench.queue(given), queued)
  await keep(queuedOf(bytes, WARM_UP))
  const before = await heapOf(sender)
  const start = performance.now()
  await keep(queuedOf(bytes, count))
  const seconds = (performance.now() - start) / 1_000
  const grew = ((await heapOf(sender)) - before) / MIB
  await stage.close()
  return { rate: [count / seconds], MiB: [grew], 'sender heap': [grew] }
}

/** With a pair of its own, since what it leaves is what is measured. */
async function ofPair(peer: string, work: (pair: Pair) => Promise<Row['figures']>): Promise<Row['figures']> {
  const pair = await Pair.start(peer, join(folder, `${++started}`))
  notes[peer] = PEERS[peer]?.durability ?? ''
  if (pair.server !== undefined) notes[`server of ${peer}`] = pair.server.about
  const figures = await work(pair)
  await pair.stop()
  return figures
}

async function measure(name: string, bytes: number, work: () => Promise<Row['figures']>): Promise<void> {
  if (!pattern.test(name)) return
  console.error(`${name}, ${bytes} bytes`)
  try {
    rows.push({ name, bytes, figures: await work() })
  } catch (error) {
    if (!(error instanceof NotRun)) throw error
    rows.push({ name, bytes, notRun: error.message, figures: {} })
  }
  load.push(loadavg()[0] as number)
}

for (const [mode, store] of [
  ['at-most-once', ''],
  ['at-least-once', ', SQLite'],
  ['at-least-once', ', memory'],
] as const) {
  const peer = store === ', memory' ? 'afp-memory' : 'afp-sqlite'
  await measure(MEMORY_CASE.flat(`${mode}${store}`), 1_024, () => ofPair(peer, pair => flat(pair, mode)))
}
const STORES = { memory: 'afp-memory', SQLite: 'afp-sqlite' } as const
for (const [store, peer] of Object.entries(STORES)) {
  for (const [to, mode] of [
    ['', ''],
    [TO_STRANGER, STRANGER],
  ] as const) {
    const keep = async (pair: Pair): Promise<Row['figures']> => {
      const figures = await kept(pair, 1_024, queued, mode)
      return { ...figures, 'open ms': [await pair.reopen()] }
    }
    await measure(MEMORY_CASE.queued(queued, `${store}${to}`), 1_024, () => ofPair(peer, keep))
  }
}
const KEEPERS = {
  'AFP, memory': 'afp-memory',
  'AFP, SQLite': 'afp-sqlite',
  JetStream: 'jetstream',
  'JetStream, sync_interval: always': 'jetstream-always',
  'Mosquitto QoS 1, persistence': 'mosquitto-persistence',
} as const
const IN_TAB = 'AFP, IndexedDB, in a tab'
/** Of the large ones a tenth is kept, and counted ten times. */
for (const [bytes, count] of [
  [256, 10_000],
  [1_024, 10_000],
  [65_536, 1_000],
] as const) {
  const whole = ({ rate = [], ...cost }: Row['figures']): Row['figures'] => {
    const scaled = Object.entries(cost).map(([name, values]) => [name, values.map(value => (value * 10_000) / count)])
    return { rate, ...Object.fromEntries(scaled) }
  }
  for (const [keeper, peer] of Object.entries(KEEPERS)) {
    const keep = async (): Promise<Row['figures']> => whole(await ofPair(peer, pair => kept(pair, bytes, count)))
    await measure(MEMORY_CASE.queued(10_000, keeper), bytes, keep)
  }
  await measure(MEMORY_CASE.queued(10_000, IN_TAB), bytes, async () => whole(await keptInTab(bytes, count)))
}
await rm(folder, { recursive: true })

if (total !== 1_000_000) notes.messages = `${total} messages for the slopes`
const report: Report = {
  bench: 'memory',
  ...about,
  rounds: 1,
  command: commandOf('memory'),
  load,
  notes,
  rows,
  targets: judge(MEMORY_TARGETS, rows),
}
printAbout(report)
console.log('')
const HEADS = [
  'bytes',
  'MiB',
  'sender heap',
  'sender RSS',
  'server RSS',
  'recipient heap',
  'bytes a message',
  'open ms',
]
printTable(
  ['', ...HEADS],
  rows.map(({ name, bytes, figures, notRun }) => {
    if (notRun !== undefined) return [name, `${bytes}`, `not run: ${notRun}`]
    const last = (figure: string): string => short(figures[figure]?.at(-1))
    const slopes = SIDES.flatMap(side => figures[`${side} slope`] ?? []).map(value => value.toFixed(1))
    const costs = ['MiB', 'sender heap', 'sender RSS', 'server RSS', 'recipient heap'].map(last)
    return [name, `${bytes}`, ...costs, slopes.join(', ') || '-', last('open ms')]
  }),
)
printTargets(report.targets)
await writeReport(report)
process.exit()
