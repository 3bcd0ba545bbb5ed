/** Profiles of the processor's time of both tabs' main threads, by the files of the sources that they were built from. */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { SourceMap, type SourceMapPayload } from 'node:module'
import { basename, join } from 'node:path'
import type { Page } from '@playwright/test'

/** How often it is looked where a thread is, µs. */
const INTERVAL = 200

/** Takes profiles while something is done, and writes them as `<folder>/<name>-<side>.cpuprofile`. */
export class TabProfiles {
  readonly #folder: string
  readonly #assets: string
  readonly #maps = new Map<string, Promise<SourceMap>>()

  /** @param assets where the page's scripts are, with their source maps */
  constructor(folder: string, assets: string) {
    this.#folder = folder
    this.#assets = assets
  }

  async during<T>(name: string, pages: Readonly<Record<string, Page>>, work: () => Promise<T>): Promise<T> {
    await mkdir(this.#folder, { recursive: true })
    const taken = await Promise.all(
      Object.entries(pages).map(async ([side, page]) => {
        const devtools = await page.context().newCDPSession(page)
        await devtools.send('Profiler.enable')
        await devtools.send('Profiler.setSamplingInterval', { interval: INTERVAL })
        await devtools.send('Profiler.start')
        return { side, devtools }
      }),
    )
    const result = await work()
    for (const { side, devtools } of taken) {
      const { profile } = await devtools.send('Profiler.stop')
      for (const { callFrame } of profile.nodes) {
        const { url, lineNumber, columnNumber } = callFrame
        if (!url.endsWith('.js')) continue
        const found = (await this.#mapOf(basename(url))).findEntry(lineNumber, columnNumber)
        if ('originalSource' in found) callFrame.url = found.originalSource
      }
      const path = join(this.#folder, `${name.replaceAll(/\W+/g, '-')}-${side}.cpuprofile`)
      await writeFile(path, JSON.stringify(profile))
      await devtools.detach()
    }
    return result
  }

  #mapOf(script: string): Promise<SourceMap> {
    const known = this.#maps.get(script)
    if (known !== undefined) return known
    const read = readFile(join(this.#assets, `${script}.map`), 'utf8')
    const map = read.then(text => new SourceMap(JSON.parse(text) as SourceMapPayload))
    this.#maps.set(script, map)
    return map
  }
}
