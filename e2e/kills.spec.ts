import { createHash } from 'node:crypto'
import { appendFile, glob, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type BrowserContext, chromium, type Page } from '@playwright/test'
import { Helper } from './fixtures/process.ts'
import { expect, test } from './fixtures/test.ts'
import type { Counted, Word } from './page/counter.ts'

const KILLS = Number(process.env.AFP_KILLS ?? 5)
/** How many messages are on their way from the tab at each kill, at least, and as many to it. */
const IN_FLIGHT = 200
/** How many more may be, so that there are enough while some are processed. */
const MORE = 200
/** Within how many of its words a tab is killed, and within how many ms after that. */
const WORDS = 1_000
const LATER = 50
/** What a life of the browser may take, ms. */
const LIFE = 15_000
const seed = Number(process.env.AFP_SEED ?? 1)

/** A number that the seed and the place where it is used decide. */
const chance = (place: number): number => createHash('sha256').update(`${seed} ${place}`).digest().readUInt32BE()

let node: Helper
test.afterEach(async ({ tabs }) => {
  // Tabs go first, or they would try to reach what is gone.
  await tabs.close()
  await node.kill()
})

/** The browser of a profile, and what the counting agent in it has said. */
interface Opened {
  readonly context: BrowserContext
  readonly page: Page
  readonly id: string
  readonly kept: Counted[]
  /** What was kept and is not known to be processed. */
  readonly inFlight: ReadonlySet<string>
  /** Resolves when it has said this much, and enough is on its way. */
  readonly words: (count: number) => Promise<void>
}

/** Kills the browser of a profile with all of its processes, at once. */
async function kill({ context }: Opened, profile: string): Promise<void> {
  const gone = new Promise<void>(resolve => context.once('close', () => resolve()))
  // Chromium leaves a link that names its host and its process; Playwright gives each browser a group of its own.
  const pid = Number((await readlink(join(profile, 'SingletonLock'))).split('-').at(-1))
  process.kill(-pid, 'SIGKILL')
  await gone
  // As one that finds them would take the profile for that of a browser that runs, where the process has another's number.
  for (const name of await readdir(profile)) if (name.startsWith('Singleton')) await rm(join(profile, name))
}

/** The log of LevelDB: blocks of records, each with a checksum (4 bytes), a length (2), a kind (1), and what it holds. */
const BLOCK = 32_768
const HEAD = 7
const WHOLE = 1
const LAST = 4

/** Whether the last record of a log is finished, and nothing comes behind it. */
function isFinished(log: Buffer): boolean {
  let at = Math.floor(Math.max(log.length - 1, 0) / BLOCK) * BLOCK
  let kind = LAST
  for (; at + HEAD <= log.length; at += HEAD + log.readUInt16LE(at + 4)) kind = log[at + HEAD - 1] ?? 0
  return at === log.length && (kind === WHOLE || kind === LAST)
}

/**
 * Leaves at the end of Chromium's log of what it stores a record that is not finished, as a kill while it is written does:
 * one that says to be longer than what there is of it. Nothing that was written before is missing. Where the kill has left
 * one, that is it. Returns how many logs were finished.
 */
async function tear(profile: string): Promise<number> {
  let logs = 0
  let finished = 0
  for await (const name of glob('Default/IndexedDB/*.indexeddb.leveldb/*.log', { cwd: profile })) {
    logs++
    const log = join(profile, name)
    if (!isFinished(await readFile(log))) continue
    finished++
    await appendFile(log, Buffer.from([1, 2, 3, 4, 0xff, 0x0f, WHOLE, 5, 6, 7]))
  }
  expect(logs, 'Chromium keeps IndexedDB in LevelDB, and has a log there').toBeGreaterThan(0)
  return finished
}

/**
 * Those that come after one another as they should: each number is sent when the one before it is kept, so of each run they
 * come one by one from its first. What was kept with the last words of a run, which a kill takes along, is held to that too.
 */
const inTurn = (all: readonly Counted[]): boolean =>
  all.every(([run, n], i) => {
    const [beforeRun, before] = all[i - 1] ?? [0, 0]
    return run > beforeRun ? n === 1 : run === beforeRun && n === before + 1
  })

const missing = (kept: readonly Counted[], noted: readonly Counted[]): Counted[] => {
  const there = new Set(noted.map(String))
  return kept.filter(counted => !there.has(String(counted)))
}

test(`a browser that is killed ${KILLS} times loses nothing that was kept, does nothing twice and keeps order, as sender and as recipient`, async ({
  tabs,
  mesh,
  launchOptions,
  headless,
}, info) => {
  test.setTimeout(90_000 + KILLS * LIFE)
  const profile = info.outputPath('profile')
  node = new Helper('e2e/fixtures/counter-process.ts')
  const { id: nodeId, addresses } = await node.call<{ id: string; addresses: string[] }>('start', {
    name: 'node',
    mesh,
    listen: ['/ip4/127.0.0.1/tcp/0/ws'],
    ahead: IN_FLIGHT + MORE,
  })

  const open = async (run: number): Promise<Opened> => {
    const context = await chromium.launchPersistentContext(profile, { ...launchOptions, headless })
    await tabs.adopt(context)
    const kept: Counted[] = []
    let count = 0
    let wanted: { count: number; resolve: () => void } | undefined
    const inFlight = new Set<string>()
    const look = (): void => {
      if (wanted !== undefined && count >= wanted.count && inFlight.size >= IN_FLIGHT) wanted.resolve()
    }
    await context.exposeFunction('said', (what: Word, counted: Counted) => {
      if (what === 'kept') {
        kept.push(counted)
        inFlight.add(String(counted))
      } else if (what === 'processed') inFlight.delete(String(counted))
      count++
      look()
    })
    const { page } = await tabs.open(context)
    const options = { name: 'tab', mesh, peers: addresses, ahead: IN_FLIGHT + MORE }
    const id = await page.evaluate(
      async ([given, to, number]) => {
        window.counter = await window.Counter.start(given, (what, counted) => window.said(what, counted))
        window.counter.count(to, number)
        return window.counter.id
      },
      [options, nodeId, run] as const,
    )
    const words = (much: number): Promise<void> =>
      new Promise(resolve => {
        wanted = { count: much, resolve }
        look()
      })
    return { context, page, id, kept, inFlight, words }
  }

  const kept: Counted[] = []
  const atKills: number[] = []
  let torn = 0
  let opened = await open(1)
  const { id } = opened
  await node.call('count', id)
  for (let killed = 1; killed <= KILLS; killed++) {
    // At a word of its choice, and then within what follows it.
    await opened.words(20 + (chance(killed) % WORDS))
    let least = 0
    for (let looks = 0; least < IN_FLIGHT; looks++) {
      // The moment of the kill is what is varied.
      await setTimeout(chance(KILLS * (looks + 1) + killed) % LATER)
      least = Math.min(opened.inFlight.size, await node.call<number>('inFlight'))
    }
    atKills.push(least)
    await kill(opened, profile)
    if (killed % 2 === 1) torn += await tear(profile)
    kept.push(...opened.kept)
    opened = await open(killed + 1)
    expect(opened.id, 'the profile is still its own').toBe(id)
  }
  await opened.words(20)
  await Promise.all([opened.page.evaluate(() => window.counter.enough()), node.call('enough')])
  kept.push(...opened.kept)

  const atNode = await node.call<Counted[]>('noted')
  const inTab = await opened.page.evaluate(() => window.counter.noted())
  const keptByNode = await node.call<Counted[]>('kept')
  expect(torn, `seed ${seed}`).toBeGreaterThan(0)
  const counters = {
    torn,
    kept: kept.length,
    noted: inTab.length,
    keptByNode: keptByNode.length,
    notedByNode: atNode.length,
  }
  info.annotations.push({ type: 'kills', description: JSON.stringify({ inFlight: atKills, counters }) })
  expect(Math.min(...atKills), `seed ${seed}`).toBeGreaterThanOrEqual(IN_FLIGHT)
  for (const [sent, noted] of [
    [kept, atNode],
    [keptByNode, inTab],
  ] as const) {
    expect(sent.length, `seed ${seed}`).toBeGreaterThan(100)
    expect(missing(sent, noted), `lost, seed ${seed}`).toEqual([])
    // None twice, too, and none that nobody has sent: each comes after the one before it.
    expect(inTurn(noted), `order, seed ${seed}: ${noted.join(' ')}`).toBe(true)
  }
})
