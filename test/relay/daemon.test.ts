import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

const { version: VERSION } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'))
const DAEMON = join(import.meta.dirname, '../../relay/daemon.ts')

interface Daemon {
  readonly process: ChildProcess
  /** Resolves with the first match in what it wrote. */
  wrote(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray>
  /** Resolves with its exit code and all it wrote. */
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>
}

/** The daemon as its users run it; killed when the test is over. */
function daemon(...args: string[]): Daemon {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AFP_RELAY_')))
  const child = spawn(process.execPath, ['--conditions=afp-source', DAEMON, ...args], {
    env: { ...env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk
    })
  }
  const wrote: Daemon['wrote'] = (stream, pattern) =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(text[stream])
        if (match !== null) resolve(match)
      }
      child[stream].on('data', look)
      child.once('close', () => reject(new Error(`it ended without ${pattern}: ${text.stdout}${text.stderr}`)))
      look()
    })
  return { process: child, wrote, ended: once(child, 'close').then(([code]) => ({ code, ...text })) }
}

const LISTEN = ['--listen', '/ip4/127.0.0.1/tcp/0/ws']
const ADDRESS = /^\/ip4\/127\.0\.0\.1\/tcp\/(\d+)\/ws\/p2p\/(12D3KooW\w+)$/m

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'afp-daemon-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

async function canListen(port: string): Promise<void> {
  const server = createServer().listen(Number(port), '127.0.0.1')
  await once(server, 'listening')
  server.close()
  await once(server, 'close')
}

// Processes start slowly on a machine that is busy with other tests.
describe('afp-relay', { timeout: 60_000 }, () => {
  test('it prints its addresses to stdout and answers on its health port', async () => {
    const relay = daemon(...LISTEN, '--health-port', '0', '--mesh', 'demo')
    await relay.wrote('stdout', ADDRESS)
    const [, url] = await relay.wrote('stderr', /health on (\S+)\/healthz/)
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with code 0 and frees its port', async signal => {
    const relay = daemon(...LISTEN)
    const [, port] = await relay.wrote('stdout', ADDRESS)
    relay.process.kill(signal)
    expect(await relay.ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/stopped\n$/) })
    await canListen(port as string)
  })

  test('while it drains it is not ready, and a second signal ends it at once', async () => {
    const relay = daemon(...LISTEN, '--health-port', '0', '--drain-seconds', '3600')
    await relay.wrote('stdout', ADDRESS)
    const [, url] = await relay.wrote('stderr', /health on (\S+)\/healthz/)
    relay.process.kill('SIGTERM')
    await relay.wrote('stderr', /SIGTERM: stopping/)
    expect((await fetch(`${url}/readyz`)).status).toBe(503)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    relay.process.kill('SIGTERM')
    expect((await relay.ended).code).toBe(1)
  })

  test('killed, it starts again on the same port with the same id', async () => {
    const identity = join(await folder(), 'relay.key')
    const first = daemon(...LISTEN, '--identity', identity)
    const [, port, id] = await first.wrote('stdout', ADDRESS)
    first.process.kill('SIGKILL')
    await first.ended
    const second = daemon('--listen', `/ip4/127.0.0.1/tcp/${port}/ws`, '--identity', identity)
    expect((await second.wrote('stdout', ADDRESS)).slice(1)).toEqual([port, id])
  })

  test('a port in use ends it with code 1 and one line that says so', async () => {
    const blocker = createServer().listen(0, '127.0.0.1')
    await once(blocker, 'listening')
    onTestFinished(() => void blocker.close())
    const { port } = blocker.address() as { port: number }
    const { code, stdout, stderr } = await daemon('--listen', `/ip4/127.0.0.1/tcp/${port}/ws`).ended
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^\S+ error: the relay cannot listen on \S+: EADDRINUSE: [^\n]*\n$/)
  })

  test('an identity file that cannot be read or made ends it with code 1, a configuration file with code 2', async () => {
    const here = await folder()
    await writeFile(join(here, 'other'), 'no identity, no settings')
    const ends = async (flag: string, file: string) => {
      const { code, stdout, stderr } = await daemon(...LISTEN, flag, join(here, file)).ended
      return { code, stdout, told: /^\S+ error: the (.*?) file [^\n]*\n$/.exec(stderr)?.[1] }
    }
    for (const file of ['other', 'nowhere/file']) {
      expect(await ends('--identity', file)).toEqual({ code: 1, stdout: '', told: 'identity' })
      expect(await ends('--config', file)).toEqual({ code: 2, stdout: '', told: 'configuration' })
    }
  })

  test('SIGHUP takes over the meshes of the file and says what needs a restart; a broken file changes nothing', async () => {
    const config = join(await folder(), 'relay.json')
    await writeFile(config, JSON.stringify({ meshes: ['one'], maxTopics: 50 }))
    const relay = daemon(...LISTEN, '--config', config)
    await relay.wrote('stdout', ADDRESS)
    await writeFile(config, JSON.stringify({ meshes: ['two'], maxConnections: 7 }))
    relay.process.kill('SIGHUP')
    await relay.wrote('stderr', /SIGHUP: meshes and bounds read again; needs a restart: maxConnections\n/)
    await writeFile(config, '{')
    relay.process.kill('SIGHUP')
    await relay.wrote('stderr', /SIGHUP: nothing changed: the configuration file .* cannot be read/)
    relay.process.kill('SIGTERM')
    expect((await relay.ended).code).toBe(0)
  })

  test('SIGHUP without a file is said to do nothing', async () => {
    const relay = daemon(...LISTEN)
    await relay.wrote('stdout', ADDRESS)
    relay.process.kill('SIGHUP')
    await relay.wrote('stderr', /SIGHUP: there is no --config file/)
  })

  test.each([
    [['--max-topics', '0'], /maxTopics is a whole number from 1/],
    [['--listen', '/ip4/127.0.0.1/tcp/65536'], /not a multiaddr/],
    [[...LISTEN, '--announce', 'nonsense'], /not a multiaddr/],
    [[...LISTEN, '--mesh', 'x'.repeat(65)], /mesh/],
  ])('the settings %j end it with code 2 and one line that says what is wrong', async (argv, reason) => {
    const { code, stdout, stderr } = await daemon(...argv).ended
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^\S+ error: [^\n]*; see afp-relay --help\n$/)
    expect(stderr).toMatch(reason)
  })

  test('help goes to stdout, a wrong flag to stderr with code 2', async () => {
    const [help, version, wrong] = await Promise.all([
      daemon('--help').ended,
      daemon('-V').ended,
      daemon('--lisen', 'x').ended,
    ])
    expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('--listen'), stderr: '' })
    expect(version).toMatchObject({ code: 0, stdout: `${VERSION}\n` })
    expect(wrong).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--lisen') })
  })
})
