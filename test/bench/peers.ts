/**
 * What it costs to bring messages from one process to another: agents beside raw TCP, libp2p streams, gossipsub, NATS,
 * JetStream and Mosquitto, in one run.
 *
 * `npm run bench -- peers [rounds]`. Each peer has a process at each end, and the server that it needs. The cases take
 * turns, so that what else the machine does meets all of them; figures are medians over the rounds, and so are ratios, each
 * taken within its round. A case counts only where everything arrived. `BENCH_CASES`, a regular expression, picks cases;
 * `BENCH_SIZES` names bytes of content, by default 1024, `all` for 256, 1024 and 65536; `BENCH_MS` how long messages are
 * sent in a round, by default 1500; `BENCH_PROFILE` a folder for processor profiles of both ends.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandOf, contentSizes, ROUND_TRIPS, windowOf } from './extent.ts'
import { surroundings } from './figures.ts'
import { printAbout, printTable, printTargets, writeReport } from './output.ts'
import { Pair } from './pair.ts'
import type { Run } from './peer-process.ts'
import { CASE, PEERS } from './peers/peers.ts'
import { judge, middle, type Report, type Row, ratio } from './report.ts'
import { NotRun } from './servers.ts'
import { short } from './short.ts'
import { PEER_TARGETS } from './targets.ts'

const rounds = Number(process.argv[2] ?? 5)
const profiles = process.env.BENCH_PROFILE
const pattern = new RegExp(process.env.BENCH_CASES ?? '')
const sizes = contentSizes()
/** How long each case is measured in a round, ms; for a profile longer, since what is compiled shows late. */
const messagesFor = Number(process.env.BENCH_MS ?? (profiles === undefined ? 1_500 : 8_000))
const WARM_UP = 1_000

/** A case of a pair, at one size. */
interface Case {
  readonly pair: Pair
  readonly row: Row & { notRun?: string; readonly figures: Record<string, number[]> }
  readonly mode: string
  readonly bytes: number
}

const runOf = ({ mode, bytes, row }: Case, ms: number, profile?: string): Run => ({
  mode,
  bytes,
  window: windowOf(bytes),
  extent: { ms },
  ...(profile !== undefined && { profile: join(profile, `${row.name} ${bytes}`.replaceAll(/\W+/g, '-')) }),
})

async function measured(one: Case, profile?: string): Promise<Record<string, number>> {
  const messages = await one.pair.messages(runOf(one, messagesFor, profile))
  return { ...messages, ...(await one.pair.roundTrips(runOf(one, 0), ROUND_TRIPS)) }
}

const folder = await mkdtemp(join(tmpdir(), 'afp-bench-'))
const about = await surroundings(folder)
const notes: Record<string, string> = {}
const cases: Case[] = []
const rows: Case['row'][] = []
const pairs: Pair[] = []
for (const [id, peer] of Object.entries(PEERS)) {
  const picked = Object.entries(peer.cases).filter(([name]) => pattern.test(name))
  if (picked.length === 0) continue
  const start = Pair.start(id, folder).catch(error => {
    if (error instanceof NotRun) return error.message
    throw error
  })
  const pair = await start
  notes[id] = `${Object.keys(peer.cases).join(', ')}: ${peer.durability}`
  if (typeof pair !== 'string') {
    pairs.push(pair)
    if (pair.server !== undefined) notes[`server of ${id}`] = pair.server.about
  }
  for (const bytes of sizes) {
    for (const [name, mode] of picked) {
      const row: Case['row'] = { name, bytes, figures: {}, ...(typeof pair === 'string' && { notRun: pair }) }
      rows.push(row)
      if (typeof pair !== 'string') cases.push({ pair, row, mode, bytes })
    }
  }
}

/** One that fails has no figures at all, and is left out from then on. */
async function attempt(one: Case, work: () => Promise<Readonly<Record<string, number>>>): Promise<void> {
  if (one.row.notRun !== undefined) return
  try {
    for (const [name, value] of Object.entries(await work())) {
      const values = one.row.figures[name] ?? []
      values.push(value)
      one.row.figures[name] = values
    }
  } catch (error) {
    one.row.notRun = (error as Error).message.split('\n').join(' ').slice(0, 120)
    for (const name of Object.keys(one.row.figures)) delete one.row.figures[name]
    console.error(`${one.row.name}, ${one.bytes} bytes: ${(error as Error).message}`)
  }
}

const load = [loadavg()[0] as number]
for (const one of cases) {
  // What is compiled late, or measured for the first time, is nobody's figure.
  await attempt(one, async () => {
    await one.pair.messages(runOf(one, WARM_UP))
    await one.pair.roundTrips(runOf(one, 0), { ms: WARM_UP / 4, least: 1 })
    return {}
  })
}
for (let round = 0; round < rounds; round++) {
  for (const one of cases) await attempt(one, () => measured(one, profiles))
  load.push(loadavg()[0] as number)
}
for (const pair of pairs) await pair.stop()
await rm(folder, { recursive: true })

notes.windows = sizes.map(bytes => `${windowOf(bytes)} messages of ${bytes} bytes`).join(', ')
const report: Report = {
  bench: 'peers',
  ...about,
  rounds,
  command: commandOf('peers'),
  load,
  notes,
  rows,
  targets: judge(PEER_TARGETS, rows),
}
printAbout(report)
const HEADS = ['messages/s', 'of stream', 'p50 ms', 'of stream', 'p99 ms', 'µs sender', 'µs recipient', 'µs server']
for (const bytes of sizes) {
  console.log('')
  const cells = rows
    .filter(row => row.bytes === bytes)
    .map(({ name, notRun }) => {
      if (notRun !== undefined) return [name, `not run: ${notRun}`]
      const of = (figure: string): string => short(middle(rows, name, figure, bytes))
      const ofStream = (figure: string): string => short(ratio(rows, name, CASE.stream, figure, bytes))
      const cpu = ['senderCpu', 'recipientCpu', 'serverCpu'].map(of)
      return [name, of('rate'), ofStream('rate'), of('p50'), ofStream('p50'), of('p99'), ...cpu]
    })
  printTable([`${bytes} bytes`, ...HEADS], cells)
}
printTargets(report.targets)
await writeReport(report)
process.exit()
