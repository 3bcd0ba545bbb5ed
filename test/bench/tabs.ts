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
import type { Page } from '@playwright/test'
import { buildPage } from '../../e2e/fixtures/build.ts'
import { launchChromium } from '../../e2e/fixtures/chromium.ts'
import { RelayProcess } from '../../e2e/fixtures/relay.ts'
import { serveSite } from '../../e2e/fixtures/site.ts'
import { commandOf, contentSizes, ROUND_TRIPS, windowOf } from './extent.ts'
import { origin, quantile } from './figures.ts'
import type { Spell } from './flow.ts'
import { printAbout, printTable, printTargets, writeReport } from './output.ts'
import { judge, middle, type Report, type Row, ratio } from './report.ts'
import { short } from './short.ts'
import type { Run } from './tabs/page.ts'
import { TabProfiles } from './tabs/profile.ts'
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
await buildPage('test/bench/tabs', join(folder, 'page'), { sourcemap: profiles !== undefined })
const profiling = profiles === undefined ? undefined : new TabProfiles(profiles, join(folder, 'page/assets'))
const site = await serveSite(join(folder, 'page'))
const relay = new RelayProcess(join(folder, 'relay.key'))
await relay.start()
const browser = await launchChromium()
const devtools = await browser.newBrowserCDPSession()

/** Processor time of the browser so far, ms. */
async function cpuTime(): Promise<number> {
  const { processInfo } = await devtools.send('SystemInfo.getProcessInfo')
  return processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0) * 1_000
}

async function tab(): Promise<Page> {
  const page = await (await browser.newContext()).newPage()
  page.on('pageerror', async error => {
    console.error(error)
    await Promise.all([browser.close(), relay.kill()])
    process.exit(1)
  })
  await page.goto(site.url)
  await page.waitForFunction(() => window.bench !== undefined)
  return page
}

/** Two tabs with one way between them. */
async function pairOf(way: Run['way']): Promise<readonly [sender: Page, recipient: Page]> {
  const [sender, recipient] = [await tab(), await tab()]
  const at = relay.address
  if (way === 'channel') {
    const offer = await sender.evaluate(() => window.bench.offer())
    const answer = await recipient.evaluate(given => window.bench.answer(given), offer)
    await sender.evaluate(given => window.bench.accept(given), answer)
  } else if (way === 'stream') {
    const address = await recipient.evaluate(given => window.bench.takeByStream(given), at)
    await sender.evaluate(([given, to]) => window.bench.sendByStream(given, to), [at, address] as const)
  } else {
    const id = await recipient.evaluate(given => window.bench.takeByAgent('bench', given), at)
    await sender.evaluate(([given, to]) => window.bench.sendByAgent('bench', given, to), [at, id] as const)
  }
  return [sender, recipient]
}

const picked = Object.entries(WAYS).filter(([name]) => pattern.test(name))
const pairs = new Map<Run['way'], Awaited<ReturnType<typeof pairOf>>>()
for (const [, { way }] of picked) if (!pairs.has(way)) pairs.set(way, await pairOf(way))

async function messages(run: Run): Promise<{ rate: number; cpu: number }> {
  const [sender, recipient] = pairs.get(run.way) as Awaited<ReturnType<typeof pairOf>>
  await recipient.evaluate(given => window.bench.begin(given), run)
  const cpu = await cpuTime()
  const start = performance.now()
  const sent = await sender.evaluate(given => window.bench.messages(given), run)
  await recipient.evaluate(([given, wanted]) => window.bench.end(given, wanted), [run, sent] as const)
  const seconds = (performance.now() - start) / 1_000
  return { rate: sent / seconds, cpu: (((await cpuTime()) - cpu) / sent) * 1_000 }
}

async function trips(run: Run, spell: Spell): Promise<{ p50: number; p99: number }> {
  const [sender] = pairs.get(run.way) as Awaited<ReturnType<typeof pairOf>>
  const times = await sender.evaluate(([given, long]) => window.bench.roundTrips(given, long), [run, spell] as const)
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
    const measure = async (what: string, work: () => Promise<Record<string, number>>) => {
      const [sender, recipient] = pairs.get(run(0).way) as Awaited<ReturnType<typeof pairOf>>
      return profiling?.during(`${row.name} ${row.bytes} ${what}`, { sender, recipient }, work) ?? work()
    }
    const found = {
      ...(await measure('one way', () => messages(run(MESSAGES_FOR)))),
      ...(await measure('round trips', () => trips(run(0), ROUND_TRIPS))),
    }
    for (const [name, value] of Object.entries(found)) row.figures[name] = [...(row.figures[name] ?? []), value]
  }
  load.push(loadavg()[0] as number)
}
const version = browser.version()
await browser.close()
await relay.kill()
site.close()
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
