/**
 * How long a visitor waits: from the navigation of a tab to its first direct message, with another tab and a relay that
 * are there already. `node --conditions=afp-source e2e/bench/first-message.ts [runs]` prints a table and JSON.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildPage } from '../fixtures/build.ts'
import { launchChromium } from '../fixtures/chromium.ts'
import { RelayProcess } from '../fixtures/relay.ts'
import { resultOf } from '../fixtures/remote.ts'
import { serveSite } from '../fixtures/site.ts'
import type { Outcome, Told } from '../page/driver.ts'

/** The parts of the wait, in the order in which they end, ms since the navigation. */
const PARTS = [
  'script loaded',
  'agent created',
  'relay connected',
  'relay reserved',
  'peer known',
  'link open',
  'WebRTC open',
  'first echo, any link',
  'first echo, WebRTC',
] as const

type Run = Readonly<Record<(typeof PARTS)[number], number>>

const runs = Number(process.argv[2] ?? 10)
if (!Number.isInteger(runs) || runs < 1) throw new Error('the number of runs is a whole number above 0')

const folder = await mkdtemp(join(tmpdir(), 'afp-bench-'))
await buildPage('e2e/page', join(folder, 'page'))
const site = await serveSite(join(folder, 'page'))
const relay = new RelayProcess(join(folder, 'relay.key'))
await relay.start()
const browser = await launchChromium()

async function open() {
  const page = await (await browser.newContext()).newPage()
  await page.goto(site.url)
  await page.waitForFunction(() => window.driver !== undefined)
  return page
}

async function run(number: number): Promise<Run> {
  const mesh = `bench-${number}`
  const there = await open()
  const options = { mesh, relays: [relay.address] }
  resultOf(await there.evaluate(given => window.driver.create('agent', { ...given, name: 'bob' }), options))
  const call = <T>(page: typeof there, method: 'untilRelay' | 'told', ...args: unknown[]): Promise<T> =>
    page
      .evaluate(([name, given]) => window.driver.call('agent', name, given), [method, args] as const)
      .then(outcome => resultOf(outcome) as T)
  await call(there, 'untilRelay', relay.address, 'reserved')

  const here = await open()
  // Everything happens in the page, so that the automation's own round trips are not measured.
  const measured = await here.evaluate(async given => {
    const value = (outcome: Outcome): never => ('value' in outcome ? outcome.value : outcome.error) as never
    const asked = performance.now()
    value(await window.driver.create('agent', { ...given, name: 'ada' }))
    await window.driver.call('agent', 'request', ['bob', 'first'])
    const echoed = performance.now()
    const { link } = (value(await window.driver.call('agent', 'peers', [])) as { link: string }[])[0] ?? { link: '' }
    const id = value(await window.driver.call('agent', 'waitFor', ['bob']))
    await window.driver.call('agent', 'untilLinked', [[id], 'direct webrtc'])
    await window.driver.call('agent', 'request', ['bob', 'over WebRTC'])
    return { asked, echoed, link, direct: performance.now(), loaded: window.scriptLoaded }
  }, options)
  const told = await call<readonly Told[]>(here, 'told')
  // The page asks for its agent when the automation tells it to; one written by hand would as soon as it has loaded.
  const idle = measured.asked - measured.loaded
  const at = (matches: (event: Told) => boolean): number => (told.find(matches)?.at ?? Number.NaN) + measured.loaded
  await Promise.all([there.context().close(), here.context().close()])
  return {
    'script loaded': measured.loaded,
    'agent created': at(({ type }) => type === 'created'),
    'relay connected': at(({ state }) => state === 'connected'),
    'relay reserved': at(({ state }) => state === 'reserved'),
    'peer known': at(({ type }) => type === 'peer:online'),
    'link open': at(({ type }) => type === 'link:open'),
    'WebRTC open': at(({ transport }) => transport === 'webrtc'),
    'first echo, any link': measured.echoed - idle,
    'first echo, WebRTC': (measured.link === 'direct webrtc' ? measured.echoed : measured.direct) - idle,
  }
}

const all: Run[] = []
for (let number = 0; number < runs; number++) all.push(await run(number))
await browser.close()
await relay.kill()
site.close()
await rm(folder, { recursive: true })

const summary = PARTS.map(part => {
  const values = all.map(one => one[part]).toSorted((a, b) => a - b)
  const quantile = (q: number): number =>
    Math.round(values[Math.min(values.length - 1, Math.floor(q * values.length))] ?? 0)
  return { part, p50: quantile(0.5), p90: quantile(0.9), best: quantile(0), worst: quantile(1) }
})
process.stdout.write(
  `${'ms since the navigation'.padEnd(26)}${['p50', 'p90', 'best', 'worst'].map(head => head.padStart(8)).join('')}\n`,
)
for (const { part, ...times } of summary) {
  process.stdout.write(
    `${part.padEnd(26)}${Object.values(times)
      .map(time => String(time).padStart(8))
      .join('')}\n`,
  )
}
process.stdout.write(`${JSON.stringify({ runs, load: loadavg()[0], summary })}\n`)
