/** Firefox, started and driven: pages, and what tests do to the storage of an origin. */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import puppeteer, { type Browser, type Page } from 'puppeteer-core'
import type { BidiConnection } from 'puppeteer-core/internal/bidi/Connection.js'
import type { Told } from './keeper.ts'

/** Where its profile is while it runs: within the project, which also a Firefox in a sandbox of its own may read. */
const FOLDER = join(import.meta.dirname, '../../node_modules/.cache/agent-flow-protocol')

/** Puts an origin's databases out of existence, under those that have them open. */
const CLEAR = `origin => new Promise((resolve, reject) => {
  const principal = Services.scriptSecurityManager.createContentPrincipalFromOrigin(origin)
  const request = Services.qms.clearStoragesForClient(principal, 'idb')
  request.callback = () => request.resultCode === 0 ? resolve() : reject(new Error('code ' + request.resultCode))
})`

/** Gives all origins together so many KiB; -1 is what the disk allows. Storage takes note of it when it starts anew. */
const LIMIT = `limit => new Promise((resolve, reject) => {
  Services.prefs.setIntPref('dom.quotaManager.temporaryStorage.fixedLimit', limit)
  const request = Services.qms.reset()
  request.callback = () => request.resultCode === 0 ? resolve() : reject(new Error('code ' + request.resultCode))
})`

/** The protocol itself, which Puppeteer has within: what is done to storage has no method of its own. */
type DrivenBrowser = Browser & { readonly connection: BidiConnection }

export class Firefox {
  readonly #keeper: ChildProcess
  readonly #browser: DrivenBrowser

  private constructor(keeper: ChildProcess, browser: DrivenBrowser) {
    this.#keeper = keeper
    this.#browser = browser
  }

  /** Starts the Firefox at `path`, headless and with an empty profile. */
  static async start(path: string, folder = FOLDER): Promise<Firefox> {
    // In a group of its own: signals to the runner's group would end it before it has cleaned up.
    const keeper = fork(join(import.meta.dirname, 'keeper.ts'), [path, folder], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      detached: true,
    })
    try {
      const ended = once(keeper, 'exit').then(([code]) => ({ failed: `its keeper ended with ${code}` }))
      const told: Told = await Promise.race([once(keeper, 'message').then(([message]) => message as Told), ended])
      if ('failed' in told) throw new Error(`${path} does not start: ${told.failed}`)
      const browser = await puppeteer.connect({
        browserWSEndpoint: `${told.endpoint}/session`,
        protocol: 'webDriverBiDi',
        networkEnabled: false,
      })
      return new Firefox(keeper, browser as DrivenBrowser)
    } catch (error) {
      if (keeper.connected) keeper.disconnect()
      throw error
    }
  }

  newPage(): Promise<Page> {
    return this.#browser.newPage()
  }

  /** Deletes the databases of an origin. Who has one open is told that it is closed. */
  clearDatabases(origin: string): Promise<void> {
    return this.#within(CLEAR, origin)
  }

  /** Gives pages so many bytes to store in, or again what there is. Closes every database. */
  limitStorage(bytes: number | undefined): Promise<void> {
    return this.#within(LIMIT, bytes === undefined ? -1 : Math.ceil(bytes / 1_024))
  }

  /** Ends it; resolves when its processes and its profile are gone. */
  async close(): Promise<void> {
    await this.#browser.disconnect()
    if (this.#keeper.exitCode !== null || this.#keeper.signalCode !== null) return
    const ended = once(this.#keeper, 'exit')
    if (this.#keeper.connected) this.#keeper.disconnect()
    await ended
  }

  /** Calls a function in the browser's own window, where it may do what pages may not. */
  async #within(code: string, argument: string | number): Promise<void> {
    const { connection } = this.#browser
    const windows = { 'moz:scope': 'chrome', maxDepth: 0 }
    const [window] = (await connection.send('browsingContext.getTree', windows)).result.contexts
    if (window === undefined) throw new Error('Firefox has no window')
    const { result } = await connection.send('script.evaluate', {
      expression: `(${code})(${JSON.stringify(argument)})`,
      target: { context: window.context },
      awaitPromise: true,
    })
    if (result.type === 'exception') throw new Error(result.exceptionDetails.text)
  }
}
