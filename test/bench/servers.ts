/** The servers that peers need: those that are installed, each with a folder and a port of its own, ended with the benchmark. */

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { until } from './until.ts'

interface Program {
  /** What names it, where it is not the installed one. */
  readonly variable: string
  readonly paths: readonly string[]
  readonly version: readonly string[]
}

const NATS: Program = {
  variable: 'NATS_SERVER_PATH',
  paths: ['/usr/sbin/nats-server', '/usr/bin/nats-server', '/usr/local/bin/nats-server'],
  version: ['--version'],
}

const MOSQUITTO: Program = {
  variable: 'MOSQUITTO_PATH',
  paths: ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/opt/homebrew/sbin/mosquitto'],
  version: ['-h'],
}

interface Setting {
  readonly program: Program
  readonly config: (port: number, folder: string) => readonly string[]
  readonly args: (config: string) => readonly string[]
  /** How it is asked whether it understands the configuration; where there is no such way it is just started. */
  readonly check?: (config: string) => readonly string[]
}

const natsWith = (jetStream: string): Setting => ({
  program: NATS,
  config: (port, folder) => [
    'host: 127.0.0.1',
    `port: ${port}`,
    `jetstream { store_dir: ${JSON.stringify(folder)}${jetStream} }`,
  ],
  args: config => ['-c', config],
  check: config => ['-t', '-c', config],
})

const mosquittoWith = (settings: (folder: string) => readonly string[]): Setting => ({
  program: MOSQUITTO,
  config: (port, folder) => [
    // As root it would become somebody who may not write here.
    `user ${userInfo().username}`,
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'set_tcp_nodelay true',
    // By default 20 under way, and what is beyond 1,000 that wait is dropped.
    'max_inflight_messages 1024',
    'max_queued_messages 0',
    'max_queued_bytes 0',
    'log_type error',
    ...settings(folder),
  ],
  args: config => ['-c', config],
})

const SETTINGS = {
  nats: natsWith(''),
  'nats-always': natsWith(', sync_interval: always'),
  mosquitto: mosquittoWith(() => ['persistence false']),
  'mosquitto-persistence': mosquittoWith(folder => [
    'persistence true',
    `persistence_location ${folder}/`,
    'autosave_interval 1',
  ]),
} as const satisfies Record<string, Setting>

/** A server with its settings. */
export type ServerName = keyof typeof SETTINGS

/** Why a server is not there. */
export class NotRun extends Error {}

/** @throws NotRun where there is none */
function pathOf({ variable, paths }: Program): string {
  const path = process.env[variable] ?? paths.find(existsSync)
  if (path === undefined) throw new NotRun(`${paths[0]} is not installed, and ${variable} names none`)
  if (!existsSync(path)) throw new NotRun(`${variable} names ${path}, which does not exist`)
  return path
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

const running = new Set<ChildProcess>()
// However the benchmark ends.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))

/** See the head of this file. */
export class Server {
  /** What it says of itself, and how it was set up. */
  readonly about: string
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number, about: string) {
    this.#child = child
    this.port = port
    this.about = about
  }

  /** Starts one in a folder of its own, which is made. @throws NotRun where it is not installed, or knows a setting not */
  static async start(name: ServerName, folder: string): Promise<Server> {
    const { program, config, args, check }: Setting = SETTINGS[name]
    const path = pathOf(program)
    const said = spawnSync(path, program.version, { encoding: 'utf8' })
    const version = `${said.stdout}${said.stderr}`.split('\n')[0] ?? ''
    await mkdir(folder, { recursive: true })
    const port = await freePort()
    const file = join(folder, 'server.conf')
    const lines = config(port, folder)
    await writeFile(file, `${lines.join('\n')}\n`)
    if (check !== undefined) {
      const { status, stderr, stdout } = spawnSync(path, check(file), { encoding: 'utf8' })
      if (status !== 0) throw new NotRun(`${version}: ${`${stderr}${stdout}`.trim().replaceAll(file, 'configuration')}`)
    }
    const child = spawn(path, args(file), { stdio: ['ignore', 'ignore', 'pipe'] })
    running.add(child)
    let errors = ''
    child.stderr?.on('data', chunk => {
      errors = `${errors}${chunk}`.slice(-4_096)
    })
    await until(() => {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}:\n${errors}`)
      return answers(port)
    }, 50)
    const told = lines.filter(line => !/^(host|port|user|listener|log_type)/.test(line))
    return new Server(child, port, `${version}; ${told.join(', ').replaceAll(folder, 'folder')}`)
  }

  /** Processor time so far, ms; undefined where the platform does not tell. */
  cpu(): number | undefined {
    return cpuOf(this.#child.pid)
  }

  /** What it has of the memory, bytes; undefined where the platform does not tell. */
  memory(): number | undefined {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1_024
    } catch {
      return undefined
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await ended
    running.delete(this.#child)
  }
}

let tick: number | undefined

/** Processor time of any process, ms; undefined where the platform does not tell. */
function cpuOf(pid: number | undefined): number | undefined {
  try {
    tick ??= 1_000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
    // The name in parentheses may have spaces.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) * tick
  } catch {
    return undefined
  }
}
