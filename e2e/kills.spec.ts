import { createHash } from 'node:crypto'
import { readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page } from '@playwright/test'
import { Helper } from './fixtures/process.ts'
import { expect, test } from './fixtures/test.ts'
import type { Counted } from './page/counter.ts'

const KILLS = 5
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
  /** Resolves when it has said this much. */
  readonly words: (count: number) => Promise<void>
}

/** Kills the browser of a profile with all of its processes, as a loss of power would. */
async function kill({ context }: Opened, profile: string): Promise<void> {
  const gone = new Promise<void>(resolve => context.once('close', () => resolve()))
  // Chromium leaves a link that names its host and its process; Playwright gives each browser a group of its own.
  const pid = Number((await readlink(join(profile, 'SingletonLock'))).split('-').at(-1))
  process.kill(-pid, 'SIGKILL')
  await gone
}

/** Those that come after one another as they should. */
const ascending = (all: readonly Counted[]): boolean =>
  all.slice(1).every(([run, n], i) => {
    const [beforeRun, before] = all[i] as Counted
    return run > beforeRun || (run === beforeRun && n > before)
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
  const profile = info.outputPath('profile')
  node = new Helper('e2e/fixtures/counter-process.ts')
  const { id: nodeId, addresses } = await node.call<{ id: string; addresses: string[] }>('start', {
    name: 'node',
    mesh,
    listen: ['/ip4/127.0.0.1/tcp/0/ws'],
  })

  const open = async (run: number): Promise<Opened> => {
    const context = await chromium.launchPersistentContext(profile, { ...launchOptions, headless })
    await tabs.adopt(context)
    const kept: Counted[] = []
    let count = 0
    let wanted: { count: number; resolve: () => void } | undefined
    await context.exposeFunction('said', (what: 'kept' | 'noted', counted: Counted) => {
      if (what === 'kept') kept.push(counted)
      if (++count >= (wanted?.count ?? Number.POSITIVE_INFINITY)) wanted?.resolve()
    })
    const { page } = await tabs.open(context)
    const options = { name: 'tab', mesh, peers: addresses }
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
        if (count >= much) resolve()
      })
    return { context, page, id, kept, words }
  }

  const kept: Counted[] = []
  let opened = await open(1)
  const { id } = opened
  await node.call('count', id)
  for (let killed = 1; killed <= KILLS; killed++) {
    // At a word of its choice, and then within what follows it.
    await opened.words(20 + (chance(killed) % 120))
    await kill(opened, profile)
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
  for (const [sent, noted] of [
    [kept, atNode],
    [keptByNode, inTab],
  ] as const) {
    expect(sent.length, `seed ${seed}`).toBeGreaterThan(100)
    expect(missing(sent, noted), `lost, seed ${seed}`).toEqual([])
    // None twice, too: each comes after the one before it.
    expect(ascending(noted), `order, seed ${seed}: ${noted.join(' ')}`).toBe(true)
  }
})
