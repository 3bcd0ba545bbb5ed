/**
 * Vitest's browser mode in Firefox. Playwright drives only builds of its own, which is not the Firefox that people
 * have; this one drives theirs, over WebDriver BiDi.
 */

import { defineBrowserProvider } from '@vitest/browser'
import type { Page, Viewport } from 'puppeteer-core'
import type { BrowserProvider, BrowserProviderOption, CDPSession, TestProject } from 'vitest/node'
import { Firefox } from './browser.ts'

declare module 'vitest/browser' {
  interface BrowserCommands {
    /** How Vitest gives the page its size, before each file. */
    __vitest_viewport: (size: Viewport) => Promise<void>
  }
}

/** The provider; without a path it says what is missing once a test is to run. */
export const firefox = (path: string | undefined): BrowserProviderOption =>
  defineBrowserProvider({
    name: 'firefox',
    supportedBrowser: ['firefox'],
    providerFactory: project => new FirefoxProvider(project, path),
  })

class FirefoxProvider implements BrowserProvider {
  readonly name = 'firefox'
  /** What tests do to storage is done to all pages. */
  readonly supportsParallelism = false
  readonly #path: string | undefined
  readonly #pages = new Map<string, Page>()
  #started: Promise<Firefox> | undefined

  constructor(project: TestProject, path: string | undefined) {
    this.#path = path
    project.browser?.registerCommand('__vitest_viewport', async ({ sessionId }, size) =>
      this.#pages.get(sessionId)?.setViewport(size),
    )
  }

  getCommandsContext(sessionId: string): Record<string, unknown> {
    return { page: this.#pages.get(sessionId) }
  }

  async openPage(sessionId: string, url: string): Promise<void> {
    const firefox = await this.#firefox()
    await this.#pages.get(sessionId)?.close()
    const page = await firefox.newPage()
    this.#pages.set(sessionId, page)
    await page.goto(url, { timeout: 0 })
  }

  /** Firefox has no such protocol: these are the methods of it that the tests use, done its own way. */
  async getCDPSession(): Promise<CDPSession> {
    const firefox = await this.#firefox()
    const send = (method: string, { origin, quotaSize }: { origin: string; quotaSize?: number }): Promise<void> => {
      if (method === 'Storage.clearDataForOrigin') return firefox.clearDatabases(origin)
      if (method === 'Storage.overrideQuotaForOrigin') return firefox.limitStorage(quotaSize)
      throw new Error(`there is no ${method} for Firefox`)
    }
    return { send } as unknown as CDPSession
  }

  async close(): Promise<void> {
    const started = this.#started
    this.#started = undefined
    this.#pages.clear()
    // What did not start has been told of.
    await (await started?.catch(() => undefined))?.close()
  }

  #firefox(): Promise<Firefox> {
    if (this.#path === undefined)
      throw new Error('These tests need Firefox. Install it, or name one in FIREFOX_PATH, and run again.')
    this.#started ??= Firefox.start(this.#path)
    return this.#started
  }
}
