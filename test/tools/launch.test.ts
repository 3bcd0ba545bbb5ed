/** The launcher behind `npm start` and `npm test`, in a folder of its own with a small server for the demo. */

import { type ChildProcess, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const tools = join(import.meta.dirname, '../../.tools')
/** There are no such signals there: `kill` always ends a process at once. */
const windows = process.platform === 'win32'

const SERVER = `
import { createServer } from 'node:net'
const server = createServer().listen(0, '127.0.0.1', () => console.log('port', server.address().port))
`
/** Stands for npm: notes how it was called, and installs what the lock file says, or the only Node that npm has: a file. */
const NPM = `
const { copyFileSync, mkdirSync, writeFileSync } = require('node:fs')
if (process.argv[2] === 'exec') {
  writeFileSync('node-of-npm', process.argv.slice(2).join(' '))
  console.log(require('node:path').resolve('node-of-npm'))
  process.exit()
}
writeFileSync('npm-was-called', process.argv.slice(2).join(' '))
mkdirSync('node_modules/dep', { recursive: true })
copyFileSync('package-lock.json', 'node_modules/.package-lock.json')
`

let folder: string
const started: ChildProcess[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'launch-'))
  await mkdir(join(folder, '.tools'))
  await mkdir(join(folder, 'dist/demo'), { recursive: true })
  for (const name of ['launch.mjs', 'browsers.mjs', 'leash.mjs'])
    await cp(join(tools, name), join(folder, '.tools', name))
  await writeFile(join(folder, '.tools/build.mjs'), "console.log('built')\n")
  await writeFile(join(folder, 'dist/demo/server.js'), SERVER)
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  await mkdir(join(folder, 'npm'))
  await writeFile(join(folder, 'npm/package.json'), '{}')
  await writeFile(join(folder, 'npm/npm-cli.js'), NPM)
  const packages = { '': {}, 'node_modules/dep': { version: '1.0.0', integrity: 'sha512-x' } }
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ packages }))
})
afterEach(async () => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

interface Run {
  readonly child: ChildProcess
  /** Resolves with the match once the output has it. */
  readonly says: (pattern: RegExp) => Promise<RegExpExecArray>
  readonly ended: Promise<number | null>
}

function run(args: string[], variables: Record<string, string> = {}): Run {
  const npm = { npm_execpath: join(folder, 'npm/npm-cli.js'), npm_lifecycle_event: '' }
  const env = { ...process.env, OLDEST_NODE_PATH: process.execPath, ...npm, ...variables }
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  started.push(child)
  let output = ''
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', chunk => {
      output += chunk
      for (const listener of listeners) listener()
    })
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  return {
    child,
    ended,
    says: pattern =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const match = pattern.exec(output)
          if (match !== null) resolve(match)
        }
        listeners.add(look)
        look()
        void ended.then(() => reject(new Error(`it ended without ${pattern}: ${output}`)))
      }),
  }
}

const launch = (command = 'start', variables?: Record<string, string>): Run =>
  run(['.tools/launch.mjs', command], variables)

const portOf = async ({ says }: Run): Promise<number> => Number((await says(/^port (\d+)$/m))[1])

/** Resolves once nobody listens on a port any more. */
async function freed(port: number): Promise<void> {
  for (;;) {
    const taken = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
    if (!taken) return
    await new Promise(resolve => setImmediate(resolve))
  }
}

describe('The launcher', () => {
  test('installs what the lock file says if that is not there, builds, and starts; the second time it starts at once', async () => {
    const first = launch()
    await first.says(/nothing is installed yet, running npm ci/)
    await first.says(/^built$/m)
    await portOf(first)
    expect(await readFile(join(folder, 'npm-was-called'), 'utf8')).toBe('ci --include=dev --no-fund --no-audit')
    first.child.kill()
    await first.ended
    await rm(join(folder, 'npm-was-called'))
    const second = launch()
    await portOf(second)
    await expect(readFile(join(folder, 'npm-was-called'))).rejects.toThrow('ENOENT')
  })

  test.skipIf(windows).each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL'] as const)(
    'that gets %s frees the port',
    async signal => {
      const launcher = launch()
      const port = await portOf(launcher)
      launcher.child.kill(signal)
      await launcher.ended
      await freed(port)
    },
  )

  test.skipIf(windows)('whose parent is killed frees the port', async () => {
    const parent = run([
      '-e',
      "require('node:child_process').spawn(process.execPath, ['.tools/launch.mjs', 'start'], { stdio: 'inherit' })",
    ])
    const port = await portOf(parent)
    parent.child.kill('SIGKILL')
    await freed(port)
  })

  test('ends as a step that failed does, and does not go on', async () => {
    await writeFile(join(folder, '.tools/build.mjs'), 'process.exit(7)\n')
    expect(await launch().ended).toBe(7)
  })

  test('says what to install where the Python that is named has not the packages', async () => {
    // Node takes what Python is asked for as the name of a script.
    const tests = launch('test', { PYTHON_PATH: process.execPath })
    await tests.says(/pip install cryptography cbor2. Name another Python in PYTHON_PATH/)
    expect(await tests.ended).toBe(1)
  })

  test('has npm fetch the oldest Node that is promised for the tests, where none is named', async () => {
    const tells = "console.log('oldest %s', process.env.OLDEST_NODE_PATH)"
    await writeFile(join(folder, '.tools/test.mjs'), tells)
    const browsers = { CHROMIUM_PATH: process.execPath, FIREFOX_PATH: process.execPath }
    const fetched = launch('test', { ...browsers, OLDEST_NODE_PATH: '' })
    const [, path] = await fetched.says(/^oldest (.*)$/m)
    expect(await fetched.ended).toBe(0)
    expect(await realpath(path ?? '')).toBe(await realpath(join(folder, 'node-of-npm')))
    expect(await readFile(join(folder, 'node-of-npm'), 'utf8')).toMatch(
      /^exec --yes --package=node-\S+@22\.\d+\.\d+ -- node/,
    )

    const named = launch('test', { ...browsers, OLDEST_NODE_PATH: 'nowhere' })
    await named.says(/^✗ OLDEST_NODE_PATH names nowhere, which does not exist$/m)
    expect(await named.ended).toBe(1)
  })

  test('says what it can do when it is asked for something else', async () => {
    const other = launch('constructor')
    await other.says(/usage: node .tools\/launch.mjs start\|test\|build\|bench/)
    expect(await other.ended).toBe(1)
  })
})

describe('The browsers for the tests', () => {
  beforeEach(async () => {
    const tells = "console.log('Chromium %s, Firefox %s', process.env.CHROMIUM_PATH, process.env.FIREFOX_PATH)"
    await writeFile(join(folder, '.tools/test.mjs'), tells)
    await mkdir(join(folder, 'bin'))
    for (const name of ['chromium', 'firefox']) await writeFile(join(folder, 'bin', name), '')
  })
  const bin = (name: string): string => join(folder, 'bin', name)

  test.skipIf(windows)('are found on the path, and handed on', async () => {
    const found = launch('test', { PATH: join(folder, 'bin'), CHROMIUM_PATH: '', FIREFOX_PATH: '' })
    await found.says(new RegExp(`^Chromium ${bin('chromium')}, Firefox ${bin('firefox')}$`, 'm'))
    expect(await found.ended).toBe(0)
  })

  test('are those that are named', async () => {
    const [CHROMIUM_PATH, FIREFOX_PATH] = [bin('firefox'), bin('chromium')]
    const named = launch('test', { CHROMIUM_PATH, FIREFOX_PATH })
    expect((await named.says(/^Chromium (.*), Firefox (.*)$/m)).slice(1)).toEqual([CHROMIUM_PATH, FIREFOX_PATH])
  })

  test.each(['CHROMIUM_PATH', 'FIREFOX_PATH'])('are not looked for where %s names none', async variable => {
    const named = launch('test', {
      CHROMIUM_PATH: bin('chromium'),
      FIREFOX_PATH: bin('firefox'),
      [variable]: 'nowhere',
    })
    await named.says(new RegExp(`^✗ ${variable} names nowhere, which does not exist$`, 'm'))
    expect(await named.ended).toBe(1)
  })
})
