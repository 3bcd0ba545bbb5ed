/** Chromium with tabs of the benchmark's page, and a relay at which they meet. */

import { join } from 'node:path'
import type { Browser, Page } from '@playwright/test'
import { buildPage } from '../../../e2e/fixtures/build.ts'
import { launchChromium } from '../../../e2e/fixtures/chromium.ts'
import { RelayProcess } from '../../../e2e/fixtures/relay.ts'
import { serveSite } from '../../../e2e/fixtures/site.ts'
import type { Run } from './page.ts'

/** Two tabs with one way between them. */
export interface TabPair {
  readonly sender: Page
  readonly recipient: Page
}

/** See the head of this file. */
export class TabStage {
  readonly browser: Browser
  readonly #relay: RelayProcess
  readonly #site: Awaited<ReturnType<typeof serveSite>>

  private constructor(browser: Browser, relay: RelayProcess, site: Awaited<ReturnType<typeof serveSite>>) {
    this.browser = browser
    this.#relay = relay
    this.#site = site
  }

  /** Builds the page below a folder, and starts all that it needs. */
  static async open(folder: string, { sourcemap = false } = {}): Promise<TabStage> {
    await buildPage('test/bench/tabs', join(folder, 'page'), { sourcemap })
    const site = await serveSite(join(folder, 'page'))
    const relay = new RelayProcess(join(folder, 'relay.key'))
    await relay.start()
    return new TabStage(await launchChromium(), relay, site)
  }

  /** Two new tabs, each in a profile of its own. */
  async pair(way: Run['way']): Promise<TabPair> {
    const [sender, recipient] = [await this.#tab(), await this.#tab()]
    const at = this.#relay.address
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
    return { sender, recipient }
  }

  async close(): Promise<void> {
    await this.browser.close()
    await this.#relay.kill()
    this.#site.close()
  }

  async #tab(): Promise<Page> {
    const page = await (await this.browser.newContext()).newPage()
    page.on('pageerror', async error => {
      console.error(error)
      await Promise.all([this.browser.close(), this.#relay.kill()])
      process.exit(1)
    })
    await page.goto(this.#site.url)
    await page.waitForFunction(() => window.bench !== undefined)
    return page
  }
}

/** Objects and buffers of a tab after garbage is collected, bytes. */
export async function heapOf(page: Page): Promise<number> {
  const devtools = await page.context().newCDPSession(page)
  // Of buffers that are garbage only the next collection knows.
  await devtools.send('HeapProfiler.collectGarbage')
  await devtools.send('HeapProfiler.collectGarbage')
  const { usedSize, backingStorageSize } = (await devtools.send('Runtime.getHeapUsage')) as {
    usedSize: number
    backingStorageSize: number
  }
  await devtools.detach()
  return usedSize + backingStorageSize
}
