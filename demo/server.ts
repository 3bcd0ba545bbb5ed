#!/usr/bin/env node
/**
 * The demo as one process: a relay, the page and two agents that live in Node.
 *
 * @example
 * ```ts
 * import { startDemo } from 'agent-flow-protocol/demo'
 *
 * const demo = await startDemo({ port: 0 })
 * console.log(demo.url)
 * await demo.close()
 * ```
 */

import { existsSync, realpathSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { AfpError, type Clock } from 'agent-flow-protocol'
import { createRelay } from 'agent-flow-protocol/relay'
import { defaultData, type Keep, openKeep, whyUnkept } from './keep.ts'
import { pathOf, readPages, SECURITY_HEADERS, servePage } from './pages.ts'
import { startResidents } from './residents.ts'

/** Options of {@link startDemo}. */
export interface DemoOptions {
  /** Port of the page; a free one is taken when it is in use, and for 0. Default 8080. */
  readonly port?: number | undefined
  /**
   * Address that the page, the relay and the agents listen on. Default `127.0.0.1`. Pages that browsers get from
   * elsewhere over plain http keep nothing: their agents are new ones after each reload.
   */
  readonly host?: string | undefined
  /** Port of the relay; a free one is taken when it is in use. Default: the last one that is kept, or the page's and one. */
  readonly relayPort?: number | undefined
  /** The mesh that visitors join. Default `demo`. */
  readonly mesh?: string | undefined
  /** Whether the two agents in Node are started. Default true. */
  readonly residents?: boolean | undefined
  /**
   * Folder to keep the identities and the stores of the relay and the agents in, so that pages that are open go on after
   * a restart on the same port. Default: nothing is kept.
   */
  readonly data?: string | undefined
  /** Folder of the built page. Default: the one of this package. */
  readonly page?: string | undefined
  /** Time for tests to drive. */
  readonly clock?: Clock | undefined
}

/** A running demo. */
export interface Demo extends AsyncDisposable {
  /** Where the page is. */
  readonly url: string
  /** Whether the port asked for was in use. */
  readonly moved: boolean
  /** Why nothing is kept for the next start, where `data` was given; undefined when it is. */
  readonly unkept: string | undefined
  /** The port that the relay had the last time, where it has another one now: pages that are open do not find it. */
  readonly relayLeft: number | undefined
  readonly mesh: string
  /** Multiaddrs of the relay that tabs can dial. */
  readonly relays: readonly string[]
  close(): Promise<void>
}

/**
 * Starts everything, or nothing: what was started is closed when a part fails.
 * @throws AfpError INVALID_OPTION, INVALID_NAME; NETWORK_FAILED where an address cannot be listened on;
 *   INVALID_IDENTITY where what is kept in the place of an identity is none
 */
export async function startDemo(options: DemoOptions = {}): Promise<Demo> {
  checkDemoOptions(options)
  const { port = 8080, mesh = 'demo' } = options
  const host = options.host === undefined || options.host === 'localhost' ? '127.0.0.1' : options.host
  const family = isIP(host)
  if (family === 0) throw new AfpError('INVALID_OPTION', 'the host is an IP address or localhost')
  const pages = await readPages(options.page ?? defaultPage())
  const started: (() => Promise<void>)[] = []
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= (async () => {
      for (const stop of started.reverse()) await stop()
    })()
    return closing
  }

  const config = { relays: [] as readonly string[] }
  const server = createServer((request, response) => {
    const path = pathOf(request)
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { ...SECURITY_HEADERS, allow: 'GET, HEAD' }).end()
    } else if (path === '/config.json') {
      const body = JSON.stringify({ mesh, relays: relaysFor(request.headers.host, config.relays) })
      response.writeHead(200, { ...SECURITY_HEADERS, 'content-type': 'application/json', 'cache-control': 'no-store' })
      response.end(request.method === 'HEAD' ? undefined : body)
    } else servePage(pages, path, request, response)
  })
  try {
    const moved = await listen(server, port, host)
    started.push(() => closeServer(server))
    const { port: taken } = server.address() as AddressInfo

    let keep: Keep | undefined
    let unkept: string | undefined
    if (options.data !== undefined && taken !== port) unkept = 'its next start has another port'
    else if (options.data !== undefined) {
      keep = await openKeep(options.data, taken, mesh).catch((error: unknown) => {
        unkept = whyUnkept(error)
        return undefined
      })
      if (keep !== undefined) started.push(keep.close)
    }

    const prefix = `/ip${family}/${host}/tcp`
    const next = taken < 65_535 ? taken + 1 : 0
    const last = keep?.relayPort
    const wanted = [options.relayPort, last, port === 0 ? 0 : next, 0].filter(each => each !== undefined)
    const open = (relayPort: number) =>
      createRelay({
        listen: [`${prefix}/${relayPort}/ws`],
        meshes: [mesh],
        identityFile: keep?.relayFile,
        clock: options.clock,
      })
    const relay = await firstOf(wanted, open)
    started.push(() => relay.close())
    config.relays = relay.addresses().filter(address => address.includes('/ws/'))
    const relayPort = Number(config.relays[0]?.split('/')[4])
    await keep?.keepRelayPort(relayPort).catch((error: unknown) => {
      unkept = whyUnkept(error)
    })

    if (options.residents !== false) {
      const relays = config.relays.slice(0, 1)
      const listen = [`${prefix}/0/ws`]
      const { tick, abacus } = keep ?? {}
      const residents = await startResidents({ mesh, relays, listen, tick, abacus, clock: options.clock })
      started.push(() => residents.close())
    }
    return {
      url: `http://${host === '127.0.0.1' || host === '0.0.0.0' || host === '::' ? 'localhost' : family === 6 ? `[${host}]` : host}:${taken}/`,
      moved,
      unkept,
      relayLeft: last === relayPort ? undefined : last,
      mesh,
      relays: config.relays,
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** What `open` makes of the first of these ports that can be had. */
async function firstOf<T>(ports: readonly number[], open: (port: number) => Promise<T>): Promise<T> {
  const [port = 0, ...others] = ports
  return open(port).catch((error: unknown) => {
    if (error instanceof AfpError && error.code === 'NETWORK_FAILED' && port !== 0) return firstOf(others, open)
    throw error
  })
}

/** What each option has to be. */
const OPTIONS: Readonly<Record<keyof DemoOptions, readonly [wanted: string, holds: (value: unknown) => boolean]>> = {
  port: ['a port, 0 to 65535', isPort],
  host: ['a string', value => typeof value === 'string'],
  relayPort: ['a port, 0 to 65535', isPort],
  mesh: ['a string', value => typeof value === 'string'],
  residents: ['true or false', value => typeof value === 'boolean'],
  data: ['the path of a folder', value => typeof value === 'string' && value !== ''],
  page: ['a folder', value => typeof value === 'string' && existsSync(value)],
  clock: ['a clock', value => typeof value === 'object' && value !== null],
}

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535
}

/** @throws AfpError INVALID_OPTION */
function checkDemoOptions(given: DemoOptions): void {
  if (typeof given !== 'object' || given === null) {
    throw new AfpError('INVALID_OPTION', `the options of startDemo() have to be an object, not ${String(given)}`)
  }
  for (const [name, value] of Object.entries(given)) {
    const [wanted, holds] = Object.hasOwn(OPTIONS, name) ? OPTIONS[name as keyof DemoOptions] : []
    if (wanted === undefined) {
      throw new AfpError(
        'INVALID_OPTION',
        `startDemo() has no option '${name}'; it takes ${Object.keys(OPTIONS).join(', ')}`,
      )
    }
    if (value !== undefined && !holds?.(value)) {
      throw new AfpError('INVALID_OPTION', `startDemo(): ${name} has to be ${wanted}, not ${JSON.stringify(value)}`)
    }
  }
}

/** The page beside the built server, or, run from its sources, the one that was built last. */
function defaultPage(): string {
  const beside = fileURLToPath(new URL('./page', import.meta.url))
  const built = fileURLToPath(new URL('../dist/demo/page', import.meta.url))
  const folder = [beside, built].find(existsSync)
  if (folder === undefined) throw new AfpError('INVALID_OPTION', 'the page is not built yet: run `npm run build`')
  return folder
}

/**
 * Listens on `port`, or on a free one when it is in use: then true.
 * @throws AfpError NETWORK_FAILED where neither can be had
 */
async function listen(server: Server, port: number, host: string): Promise<boolean> {
  const attempt = (at: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(at, host, () => {
        server.off('error', reject)
        resolve()
      })
    })
  try {
    await attempt(port)
    return false
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'EADDRINUSE') {
      throw new AfpError('NETWORK_FAILED', `the page cannot be served: ${message}`, { cause: error })
    }
    await attempt(0)
    return true
  }
}

function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

/**
 * The relay's addresses as the asker can dial them: those with the host that it asked for the page, so that a visitor
 * from another machine is not sent to its own. The header comes from outside: only an IP address or a name goes on.
 */
function relaysFor(header: string | undefined, relays: readonly string[]): readonly string[] {
  const name = (header ?? '').replace(/:\d+$/, '').replace(/^\[(.+)\]$/, '$1')
  const host = name === 'localhost' || name === '' ? '127.0.0.1' : name
  const same = relays.filter(address => address.split('/')[2] === host)
  if (same.length > 0) return same
  if (isIP(host) !== 0 || !/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/i.test(host)) return relays.slice(0, 4)
  return relays.slice(0, 1).map(address => ['', 'dns', host, ...address.split('/').slice(3)].join('/'))
}

const helpText = (): string => `Usage: agent-flow-protocol demo [options]

Starts a relay, the demo page and two agents, and tells where the page is.

  --port <n>     port of the page; a free one is taken when it is in use (8080)
  --host <text>  IP address to listen on (127.0.0.1)
  --mesh <text>  the mesh that visitors join (demo)
  --data <dir>   folder for what the relay and the agents keep for the next start on
                 the same port, or none to keep nothing
                 (${defaultData() ?? 'none'})
  --help         this text
`

/** @throws AfpError INVALID_OPTION, in words for whoever typed it */
function readFlags(): { help: boolean; options: DemoOptions } {
  let values: { port?: string; host?: string; mesh?: string; data?: string; help?: boolean }
  try {
    const text = { type: 'string' } as const
    const help = { type: 'boolean', short: 'h' } as const
    values = parseArgs({ options: { port: text, host: text, mesh: text, data: text, help } }).values
  } catch (cause) {
    throw new AfpError('INVALID_OPTION', (cause as Error).message, { cause })
  }
  const port = values.port === undefined ? undefined : /^\d{1,5}$/.test(values.port) ? Number(values.port) : Number.NaN
  if (port !== undefined && !(port < 65_536)) {
    throw new AfpError('INVALID_OPTION', `--port is a number from 0 to 65535, not '${values.port}'`)
  }
  const { help = false, host, mesh, data = defaultData() } = values
  if (data === undefined && !help) console.error('There is no folder of yours to keep anything in; --data names one.')
  return { help, options: { port, host, mesh, data: data === 'none' ? undefined : data } }
}

/** Reads the command line and runs the demo until the process is told to stop. Wrong flags end it with code 2. */
export async function runDemo(): Promise<void> {
  try {
    const { help, options } = readFlags()
    if (help) process.stdout.write(helpText())
    else await runUntilStopped(options)
  } catch (error) {
    if (!(error instanceof AfpError)) throw error
    const wrong = error.code === 'INVALID_OPTION' || error.code === 'INVALID_NAME'
    console.error(`agent-flow-protocol demo: ${error.message}${wrong ? '; see --help' : ''}`)
    process.exit(wrong ? 2 : 1)
  }
}

async function runUntilStopped(options: DemoOptions): Promise<void> {
  const demo = await startDemo(options)
  if (demo.moved) console.log(`Port ${options.port ?? 8080} is in use; this is another one.`)
  if (demo.unkept !== undefined) console.log(`Nothing is kept for the next start: ${demo.unkept}.`)
  if (demo.relayLeft !== undefined)
    console.log(`The relay could not have port ${demo.relayLeft} again: pages that are open have to be loaded again.`)
  console.log(`Open ${demo.url} in two or three tabs. Ctrl+C stops it.`)

  let stopping = false
  const stop = (): void => {
    if (stopping) process.exit(1)
    stopping = true
    demo.close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await runDemo()
}
