/** The package as strangers get it: packed, installed into empty applications outside the project, and used there. */

import { spawnSync } from 'node:child_process'
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, extname, join, normalize } from 'node:path'
import { chromium } from 'playwright'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run, sizeOf, start } from './processes.ts'

/** What attw says about one entry point. */
interface Problem {
  readonly kind: string
  readonly resolutionKind?: string
  readonly resolutionOption?: string
}

const MAX_PACKAGES = 110
const MAX_MEGABYTES = 45

const root = join(import.meta.dirname, '../..')
const temp = realpathSync(mkdtempSync(join(tmpdir(), 'afp-package-')))
const nodeApp = join(temp, 'node-app')
const viteApp = join(temp, 'vite-app')
const tool = (name: string) => join(root, 'node_modules', name)
let tarball = ''

const packagesIn = (app: string): string[] =>
  Object.keys(
    (JSON.parse(readFileSync(join(app, 'node_modules/.package-lock.json'), 'utf8')) as { packages: object }).packages,
  )

/** Makes an empty application of one of the folders beside this file, and installs into it. */
async function makeApp(folder: string, ...packages: string[]): Promise<void> {
  mkdirSync(folder, { recursive: true })
  cpSync(join(import.meta.dirname, folder.slice(temp.length)), folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  // By default npm waits five minutes for an answer that does not come, before it asks again.
  const patience = ['--prefer-offline', '--fetch-timeout=30000']
  await run('npm', ['install', '--no-audit', '--no-fund', ...patience, ...packages], folder)
}

beforeAll(async () => {
  expect(existsSync(join(root, 'dist/src/index.js')), 'the package is built first: npm run build').toBe(true)
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', temp], root)
  expect(packed).toContain('agent-flow-protocol')
  tarball = join(temp, readdirSync(temp).find(file => file.endsWith('.tgz')) ?? '')
  const { version } = JSON.parse(readFileSync(tool('vite/package.json'), 'utf8')) as { version: string }
  await makeApp(nodeApp, tarball)
  await makeApp(viteApp, tarball, `vite@${version}`)
})

afterAll(() => rmSync(temp, { recursive: true, force: true }))

/** Serves a built page as a careful host would: only its own scripts run, and none made from text. */
async function serve(folder: string): Promise<{ url: string } & AsyncDisposable> {
  const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://page').pathname
    const file = join(folder, normalize(path === '/' ? '/index.html' : path))
    if (!existsSync(file)) return response.writeHead(404).end()
    return response
      .writeHead(200, {
        'content-type': types[extname(file)] ?? 'application/octet-stream',
        'content-security-policy': "default-src 'self'; img-src data:; connect-src ws://127.0.0.1:*",
      })
      .end(readFileSync(file))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function openBrowser() {
  const executablePath =
    process.env.CHROMIUM_PATH ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync)
  return chromium.launch({ args: ['--no-sandbox'], ...(executablePath === undefined ? {} : { executablePath }) })
}

describe('the published package', () => {
  test('its files, exports and types are in order for publint', async () => {
    const output = await run(process.execPath, [tool('publint/src/cli.js'), 'run', tarball, '--strict'], root)
    expect(output).toMatch(/All good/)
  })

  test('its types resolve as its code does, by the judgement of attw', () => {
    // It ends before a pipe has taken all it says, hence a file. It exits with 1 for what is judged below.
    const report = join(temp, 'attw.json')
    const file = openSync(report, 'w')
    const args = [tool('@arethetypeswrong/cli/dist/index.js'), tarball, '--profile', 'esm-only', '--format', 'json']
    spawnSync(process.execPath, args, { stdio: ['ignore', file, 'inherit'] })
    closeSync(file)
    const { problems } = JSON.parse(readFileSync(report, 'utf8')) as { problems: Record<string, Problem[]> }
    // Node 10 and `require` are out of the question for a package of modules, which those who read `exports` are told.
    const modern = Object.values(problems)
      .flat()
      .filter(problem => !/^node10$|^node16-cjs$/.test(problem.resolutionKind ?? problem.resolutionOption ?? ''))
    expect(modern).toEqual([])
  })

  test('its types need nothing of the DOM: they are checked without it', async () => {
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2024',
      lib: ['es2024'],
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      types: ['node'],
      typeRoots: [tool('@types')],
    }
    writeFileSync(join(nodeApp, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['main.ts'] }))
    const entries = ['', '/node', '/relay', '/testing'].map(entry => `import 'agent-flow-protocol${entry}'\n`)
    writeFileSync(join(nodeApp, 'main.ts'), entries.join(''))
    await run(process.execPath, [tool('typescript/bin/tsc'), '-p', nodeApp], nodeApp)
  })

  test('its types need nothing of Node, nor anything newer than ES2022: they are checked as a page has them', async () => {
    const compilerOptions = {
      module: 'esnext',
      moduleResolution: 'bundler',
      target: 'es2022',
      lib: ['es2022', 'dom'],
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      types: [],
    }
    writeFileSync(join(nodeApp, 'tsconfig.page.json'), JSON.stringify({ compilerOptions, files: ['page.ts'] }))
    const page = [
      "import 'agent-flow-protocol/testing'",
      "import 'agent-flow-protocol/webrtc'",
      "import { createAgent } from 'agent-flow-protocol'",
      "const agent = await createAgent({ name: 'ada', mesh: 'demo' })",
      'agent.handle(() => {})[Symbol.dispose]()',
    ]
    writeFileSync(join(nodeApp, 'page.ts'), page.join('\n'))
    const config = join(nodeApp, 'tsconfig.page.json')
    await run(process.execPath, [tool('typescript/bin/tsc'), '-p', config], nodeApp)
  })

  test('every file that its exports, imports and commands name is there, under every condition', () => {
    const folder = join(nodeApp, 'node_modules/agent-flow-protocol')
    const { exports, imports, bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const named = (value: unknown): string[] =>
      typeof value === 'string' ? [value] : Object.values(value as object).flatMap(named)
    const files = named([exports, imports, bin])
    expect(files.length).toBeGreaterThan(20)
    expect(files.filter(file => !existsSync(join(folder, file)))).toEqual([])
  })

  test('its commands say in one sentence that a Node is too old, before they load what that one does not have', async () => {
    const versions = "{ value: { ...process.versions, node: '20.20.2' } }"
    const old = `--import=data:text/javascript,${encodeURIComponent(`Object.defineProperty(process, 'versions', ${versions})`)}`
    const folder = join(nodeApp, 'node_modules/agent-flow-protocol')
    const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    for (const path of Object.values<string>(bin))
      await expect(run(process.execPath, [old, join(folder, path), '--help'], nodeApp)).rejects.toThrow(
        /exited with 1\nagent-flow-protocol: this needs Node [\d.]+ or newer, and is run by Node 20\.20\.2; [^\n]+\n$/,
      )
  })

  test('its texts link only to what is in it, and say where the rest is that they name', () => {
    const folder = join(nodeApp, 'node_modules/agent-flow-protocol')
    const { repository } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const home = repository.url.replace(/^git\+|\.git$/g, '')
    const texts = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
      file => file.endsWith('.md') && !file.includes('node_modules'),
    )
    expect(texts).toEqual(expect.arrayContaining(['README.md', join('docs', 'protocol.md')]))
    const isHere = (path: string): boolean => existsSync(join(folder, path))
    for (const file of texts) {
      const text = readFileSync(join(folder, file), 'utf8')
      const links = [...text.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, to = '']) => to)
      const inside = links.filter(to => !to.includes('://')).map(to => join(dirname(file), to))
      expect(inside.filter(path => !isHere(path))).toEqual([])
      const toHome = links.filter(to => to.startsWith(home)).map(to => to.slice(home.length))
      const there = toHome.flatMap(path => /^\/(?:tree|blob)\/HEAD\/(.+)/.exec(path)?.[1] ?? [])
      expect(there.filter(path => !existsSync(join(root, path)))).toEqual([])
      const missing = [...text.matchAll(/`((?:test|e2e)\/[^`*]*)/g)].filter(([, path = '']) => !isHere(path))
      if (missing.length > 0) expect(toHome.length, `${file} names ${missing[0]?.[1]}`).toBeGreaterThan(0)
    }
  })

  test('a bundler keeps the modules that are imported for what they do', async () => {
    const entry = join(viteApp, 'daemon.js')
    writeFileSync(entry, "import 'agent-flow-protocol/relay/daemon'\n")
    const built = await build({
      root: viteApp,
      configFile: false,
      logLevel: 'error',
      build: { write: false, ssr: entry },
      ssr: { noExternal: ['agent-flow-protocol'] },
    })
    const chunks = [built].flat().flatMap(part => ('output' in part ? part.output : []))
    expect(chunks.map(chunk => ('code' in chunk ? chunk.code : '')).join('')).toContain('SIGTERM')
  })

  test(`an install brings at most ${MAX_PACKAGES} packages and ${MAX_MEGABYTES} MB, and no React Native`, () => {
    const packages = packagesIn(nodeApp)
    const megabytes = sizeOf(join(nodeApp, 'node_modules')) / 1_000_000
    const packed = readFileSync(tarball).length / 1_000_000
    process.stdout.write(
      `an install: ${packages.length} packages, ${megabytes.toFixed(1)} MB; packed ${packed.toFixed(1)} MB\n`,
    )
    expect(packages.filter(name => /react-native|node-datachannel|@libp2p\/webrtc/.test(name))).toEqual([])
    expect(packages.length).toBeLessThanOrEqual(MAX_PACKAGES)
    expect(megabytes).toBeLessThanOrEqual(MAX_MEGABYTES)
  })

  test('a page built with Vite and a program in Node exchange messages through the relay of the package', async () => {
    await run('npx', ['vite', 'build', '--logLevel', 'warn'], viteApp)
    await using relay = start('npx', ['agent-flow-protocol', 'relay', '--listen', '/ip4/127.0.0.1/tcp/0/ws'], nodeApp)
    const [address] = await relay.line(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/ws\/p2p\/\w+$/)
    await using server = start(process.execPath, ['main.mjs', address], nodeApp)
    await server.line(/^ready$/)
    await using site = await serve(join(viteApp, 'dist'))
    const browser = await openBrowser()
    try {
      const page = await browser.newPage()
      const errors: string[] = []
      page.on('pageerror', error => errors.push(String(error)))
      page.on('console', message => {
        if (message.type() === 'error') errors.push(message.text())
      })
      await page.goto(`${site.url}#${encodeURIComponent(address)}`)
      await page.waitForFunction(() => document.querySelector('#reply')?.textContent, undefined, { timeout: 30_000 })
      expect(JSON.parse((await page.textContent('#reply')) ?? '')).toEqual({ heard: 'hello' })
      const [, reply] = await server.line(/^reply (.*)$/)
      expect(JSON.parse(reply ?? '')).toBe('the page')
      expect(errors).toEqual([])
    } finally {
      await browser.close()
    }
  })

  test('npx agent-flow-protocol demo serves the page and its scripts', async () => {
    await using demo = start('npx', ['agent-flow-protocol', 'demo', '--port', '0'], nodeApp)
    const [url] = await demo.line(/http:\/\/localhost:\d+\//)
    const html = await fetch(url).then(response => response.text())
    const script = /<script[^>]*src="([^"]+)"/.exec(html)?.[1]
    const answer = await fetch(new URL(script ?? 'no-script', url))
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(/javascript/)
  })

  test('an installed demo keeps what its relay and its agents are with the data of its user', async () => {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise(resolve => server.close(resolve))
    const home = join(temp, 'home')
    // Whatever the platform calls it.
    const places = { HOME: home, XDG_DATA_HOME: join(home, 'data'), LOCALAPPDATA: join(home, 'data') }
    const cached = { npm_config_cache: process.env.npm_config_cache ?? join(temp, 'npm-cache') }
    await using demo = start('npx', ['agent-flow-protocol', 'demo', '--port', `${port}`], nodeApp, {
      ...cached,
      ...places,
    })
    await demo.line(/http:\/\/localhost:\d+\//)
    const kept = readdirSync(home, { recursive: true, encoding: 'utf8' })
    const own = kept.filter(path => path.includes(join('agent-flow-protocol', 'demo', `${port}`)))
    for (const name of ['relay.key', 'relay.port', 'tick.db', 'abacus.key'])
      expect(
        own.some(path => path.endsWith(name)),
        name,
      ).toBe(true)
  })

  test('the example of the demo runs as it stands in its documentation', async () => {
    const source = readFileSync(join(nodeApp, 'node_modules/agent-flow-protocol/demo/server.ts'), 'utf8')
    const block = /^ \* ```ts\n([\s\S]*?)^ \* ```$/m.exec(source)?.[1] ?? ''
    writeFileSync(join(nodeApp, 'example.ts'), block.replace(/^ \* ?/gm, ''))
    const output = await run(process.execPath, ['example.ts'], nodeApp)
    expect(output).toMatch(/^http:\/\/localhost:\d+\/\n$/)
  })
})
