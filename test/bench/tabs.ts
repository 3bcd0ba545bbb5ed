/**
 * What it costs to bring messages from tab to tab: agents beside a libp2p stream and a raw RTCDataChannel, in one run in
 * Chromium, each between two tabs of its own.
 *
 * `npm run bench -- tabs [rounds]`; `BENCH_CASES`, `BENCH_SIZES`, `BENCH_MS` and `BENCH_PROFILE` as for `peers`, the last
 * of the main threads of both tabs. Processor time is that of the whole browser meanwhile, both tabs and what it has beside
 * them.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandOf, contentSizes, ROUND_TRIPS, windowOf } from './extent.ts'
import { origin, quantile } from './figures.ts'
import type { Spell } from './flow.ts'
import { printAbout, printTable, printTargets, writeReport } from './output.ts'
import { judge, middle, type Report, type Row, ratio } from './report.ts'
import { short } from './short.ts'
import type { Run } from './tabs/page.ts'
import { TabProfiles } from './tabs/profile.ts'
import { type TabPair, TabStage } from './tabs/stage.ts'
import { TAB_CASE, TAB_TARGETS } from './targets.ts'

const rounds = Number(process.argv[2] ?? 5)
const pattern = new RegExp(process.env.BENCH_CASES ?? '')
const profiles = process.env.BENCH_PROFILE
const MESSAGES_FOR = Number(process.env.BENCH_MS ?? (profiles === undefined ? 1_500 : 8_000))
const WARM_UP = 1_000
const WAYS: Readonly<Record<string, Pick<Run, 'way' | 'mode'>>> = {
  [TAB_CASE.channel]: { way: 'channel', mode: '' },
  [TAB_CASE.stream]: { way: 'stream', mode: 'single' },
  'libp2p stream, 32 frames at a time': { way: 'stream', mode: 'batched' },
  [TAB_CASE.afp('at-most-once')]: { way: 'afp', mode: 'at-most-once' },
  [TAB_CASE.afp('at-least-once')]: { way: 'afp', mode: 'at-least-once' },
  [TAB_CASE.afp('exactly-once')]: { way: 'afp', mode: 'exactly-once' },
}

const folder = await mkdtemp(join(tmpdir(), 'afp-bench-'))
const profiling = profiles === undefined ? undefined : new TabProfiles(profiles, join(folder, 'page/assets'))
const stage = await TabStage.open(folder, { sourcemap: profiles !== undefined })
const devtools = await stage.browser.newBrowserCDPSession()

/** Processor time of the browser so far, ms. */
async function cpuTime(): Promise<number> {
  const { processInfo } = await devtools.send('SystemInfo.getProcessInfo')
  return processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0) * 1_000
}

const picked = Object.entries(WAYS).filter(([name]) => pattern.test(name))
const pairs = new Map<Run['way'], TabPair>()
for (const [, { way }] of picked) if (!pairs.has(way)) pairs.set(way, await stage.pair(way))
const pairOf = ({ way }: Run): TabPair => pairs.get(way) as TabPair

async function messages(run: Run): Promise<{ rate: number; cpu: number }> {
  const { sender, recipient } = pairOf(run)
  await recipient.evaluate(given => window.bench.begin(given), run)
  const cpu = await cpuTime()
  const start = performance.now()
  const sent = await sender.evaluate(given => window.bench.messages(given), run)
  await recipient.evaluate(([given, wanted]) => window.bench.end(given, wanted), [run, sent] as const)
  const seconds = (performance.now() - start) / 1_000
  return { rate: sent / seconds, cpu: (((await cpuTime()) - cpu) / sent) * 1_000 }
}

async function trips(run: Run, spell: Spell): Promise<{ p50: number; p99: number }> {
  const times = await pairOf(run).sender.evaluate(([given, long]) => window.bench.roundTrips(given, long), [
    run,
    spell,
  ] as const)
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
}

const sizes = contentSizes()
const cases = sizes.flatMap(bytes =>
  picked.map(([name, way]) => ({
    row: { name, bytes, figures: {} as Record<string, number[]> },
    run: (ms: number): Run => ({ ...way, bytes, window: windowOf(bytes), extent: { ms } }),
  })),
)
const load = [loadavg()[0] as number]
for (const { run } of cases) {
  await messages(run(WARM_UP))
  await trips(run(0), { ms: WARM_UP / 4, least: 1 })
}
for (let round = 0; round < rounds; round++) {
  for (const { row, run } of cases) {
    const measure = async (what: string, work: () => Promise<Record<string, number>>) =>
      profiling?.during(`${row.name} ${row.bytes} ${what}`, { ...pairOf(run(0)) }, work) ?? work()
    const found = {
      ...(await measure('one way', () => messages(run(MESSAGES_FOR)))),
      ...(await measure('round trips', () => trips(run(0), ROUND_TRIPS))),
    }
    for (const [name, value] of Object.entries(found)) row.figures[name] = [...(row.figures[name] ?? []), value]
  }
  load.push(loadavg()[0] as number)
}
const version = stage.browser.version()
await stage.close()
await rm(folder, { recursive: true })

const rows: Row[] = cases.map(({ row }) => row)
const report: Report = {
  bench: 'tabs',
  ...origin(),
  rounds,
  command: commandOf('tabs'),
  load,
  notes: {
    browser: `Chromium ${version}, two tabs in profiles of their own for each way, connected over WebRTC`,
    durability:
      'agents keep at-least-once and exactly-once in IndexedDB, with strict durability, at both ends, and delete what is processed; all else is kept nowhere',
    windows: sizes.map(bytes => `${windowOf(bytes)} messages of ${bytes} bytes`).join(', '),
  },
  rows,
  targets: judge(TAB_TARGETS, rows),
}
printAbout(report)
for (const bytes of sizes) {
  console.log('')
  printTable(
    [`${bytes} bytes`, 'messages/s', 'of channel', 'p50 ms', 'of stream', 'p99 ms', 'µs browser'],
    picked.map(([name]) => {
      const of = (figure: string): string => short(middle(rows, name, figure, bytes))
      const rate = short(ratio(rows, name, TAB_CASE.channel, 'rate', bytes))
      const trip = short(ratio(rows, name, TAB_CASE.stream, 'p50', bytes))
      return [name, of('rate'), rate, of('p50'), trip, of('p99'), of('cpu')]
    }),
  )
}
printTargets(report.targets)
await writeReport(report)
process.exit()
