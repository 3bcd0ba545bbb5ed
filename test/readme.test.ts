/** What the README and the documentation comments show: every example is type-checked, every complete one is run. */

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { createAgent } from 'agent-flow-protocol'
import { createRelay } from 'agent-flow-protocol/relay'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')

interface Example {
  /** File and line of its first line. */
  readonly where: string
  readonly code: string
}

/** The TypeScript blocks of a text, in Markdown or within documentation comments. */
function examplesOf(file: string, text: string): Example[] {
  const found: Example[] = []
  for (const block of text.matchAll(/^([ \t]*\* |)```ts\n([\s\S]*?)^\1```$/gm)) {
    const [, margin = '', body = ''] = block
    const code = body.split('\n').map(line => (line.startsWith(margin.trimEnd()) ? line.slice(margin.length) : line))
    const line = text.slice(0, block.index).split('\n').length + 1
    found.push({ where: `${file}:${line}`, code: code.join('\n') })
  }
  return found
}

const read = (file: string): string => readFileSync(join(root, file), 'utf8')

/** The files with documentation comments. */
const sources = ['src', 'relay', 'demo'].flatMap(folder =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map(entry => relative(root, join(entry.parentPath, entry.name))),
)

/** All of them, with no exception: what is shown is for whoever has installed the package. */
const allExamples = (): Example[] => ['README.md', ...sources].flatMap(file => examplesOf(file, read(file)))

/** One of several files that are run beside each other says so in its first line. */
const isPart = ({ code }: Example) => /^\/\/ \w+\.mjs, /.test(code)

/** The one that is for the file of this name. */
const part = (name: string): Example => {
  const found = examples.filter(({ code }) => code.startsWith(`// ${name}, `))
  expect(found).toHaveLength(1)
  return found[0] as Example
}

/** Whether it can be run: it ends, and needs no built page (that one is run by the tests of the package). */
const isComplete = (example: Example) =>
  /\.close\(\)|await using|DrivenClock/.test(example.code) &&
  !example.code.includes('agent-flow-protocol/demo') &&
  !isPart(example)

/** The relay's address that examples show, in whose place a live one is put. */
const SHOWN_RELAY = /\/ip4\/127\.0\.0\.1\/tcp\/\d+\/ws\/p2p\/\w+/g

/** What it says that it prints: the comment behind a call of `console.log`. */
const promised = ({ code }: Example) =>
  [...code.matchAll(/console\.log\(.*\) \/\/ ([[{"'\d].*)$/gm)].map(([, said = '']) => said)

const examples = allExamples()
const complete = examples.filter(isComplete)
const alone = complete.filter(({ code }) => code.search(SHOWN_RELAY) < 0)
const relayed = complete.filter(example => !alone.includes(example))
let folder = ''
const fileOf = (example: Example) => join(folder, `${examples.indexOf(example)}.ts`)

beforeAll(() => {
  // Within the project, so that the package finds itself by its name, and where git does not look.
  mkdirSync(join(root, 'test-results'), { recursive: true })
  folder = mkdtempSync(join(root, 'test-results/examples-'))
  for (const example of examples) writeFileSync(fileOf(example), `${example.code}\nexport {}\n`)
  const config = { extends: '../../tsconfig.json', compilerOptions: { rootDir: '../..' }, include: ['*.ts'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the examples', () => {
  test('blocks are found in Markdown and in comments, without their margin', () => {
    const markdown = 'a\n\n```ts\nconst a = 1\n```\n\n```console\nnpm start\n```\n'
    const comment = '/**\n * @example\n * ```ts\n * const b = {\n *   c: 1,\n *\n * }\n * ```\n */\n'
    expect(examplesOf('x.md', markdown)).toEqual([{ where: 'x.md:4', code: 'const a = 1\n' }])
    expect(examplesOf('x.ts', comment)).toEqual([{ where: 'x.ts:4', code: 'const b = {\n  c: 1,\n\n}\n' }])
    expect(examples.filter(({ where }) => where.startsWith('README.md')).length).toBeGreaterThan(1)
    expect(alone.length).toBeGreaterThan(1)
    expect(relayed.length).toBeGreaterThan(0)
  })

  test('every example of the README and of the public documentation passes the type checker', async () => {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const { stdout } = await run(process.execPath, [tsc, '-p', folder, '--noEmit', '--pretty', 'false']).catch(
      (failed: { stdout: string }) => failed,
    )
    // Errors elsewhere are the type checker's own step to tell.
    const lines = stdout.split('\n').filter(line => line.includes('examples-'))
    const named = lines.map(line =>
      line.replace(/^\S*?(\d+)\.ts\((\d+),/, (_, index, row) => `${examples[Number(index)]?.where} + ${row - 1} (`),
    )
    expect(named).toEqual([])
  }, 60_000)

  test('every `@example` is a block that is found here, imports what it shows, and runs, but for the one that needs a built page', () => {
    const shown = sources.flatMap(file => [...read(file).matchAll(/^[ \t]*\* @example\b/gm)].map(() => file))
    const commented = examples.filter(({ where }) => !where.startsWith('README.md'))
    expect(shown.length).toBeGreaterThan(10)
    expect(commented.map(({ where }) => where.replace(/:\d+$/, ''))).toEqual(shown)
    expect(
      examples.filter(({ code }) => !code.includes("from 'agent-flow-protocol")).map(({ where }) => where),
    ).toEqual([])
    const still = examples.filter(example => !complete.includes(example) && !isPart(example))
    expect(still.map(({ where }) => where.replace(/:\d+$/, ''))).toEqual(['demo/server.ts'])
  })

  const runs = async (example: Example, code = example.code): Promise<void> => {
    const file = fileOf(example).replace(/ts$/, 'live.ts')
    writeFileSync(file, code)
    // A folder of its own, since some keep files.
    const cwd = file.replace('.live.ts', '')
    mkdirSync(cwd)
    const { stdout } = await run(process.execPath, ['--conditions=afp-source', file], { cwd, timeout: 15_000 })
    for (const said of promised(example)) expect(stdout).toContain(said)
  }

  /** Two at a time: most of what each of them does is to start. */
  const lanes = [0, 1].map(lane => alone.filter((_, index) => index % 2 === lane))
  const ends = new Map<Example, Promise<void>>()
  const startAll = (): void => {
    if (ends.size > 0) return
    for (const lane of lanes) {
      let before: Promise<unknown> = Promise.resolve()
      for (const example of lane) {
        const end = before.then(() => runs(example))
        ends.set(example, end)
        before = end.catch(() => {})
      }
    }
  }

  test.each(alone.map(example => [example.where, example] as const))('%s runs and ends', async (_, example) => {
    startAll()
    await ends.get(example)
  })

  test('bob.mjs and ada.mjs, as two processes, of which one is told what the other prints', async () => {
    const [bob, ada] = [part('bob.mjs'), part('ada.mjs')]
    const file = (name: string): string => join(folder, name)
    writeFileSync(file('bob.mjs'), bob.code)
    writeFileSync(file('ada.mjs'), ada.code)
    const first = spawn(process.execPath, ['--conditions=afp-source', file('bob.mjs')], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const gone = once(first, 'exit')
    try {
      const [address] = (await once(createInterface({ input: first.stdout }), 'line')) as [string]
      expect(address).toMatch(/\/p2p\/12D3KooW\w+$/)
      const { stdout } = await run(process.execPath, ['--conditions=afp-source', file('ada.mjs'), address], {
        cwd: folder,
        timeout: 15_000,
      })
      expect(promised(ada)).toHaveLength(1)
      for (const said of promised(ada)) expect(stdout).toContain(said)
    } finally {
      first.kill()
      await gone
    }
  })

  test('till.mjs, which ends in good order when it is told to, and goes on as who it was, a kill included', async () => {
    const file = join(folder, 'till.mjs')
    const shown = '/tcp/4001'
    expect(part('till.mjs').code).toContain(shown)
    writeFileSync(file, part('till.mjs').code.replace(shown, '/tcp/0'))
    const ids = new Set<string | undefined>()
    for (const [index, signal] of (['SIGKILL', 'SIGTERM'] as const).entries()) {
      const till = spawn(process.execPath, ['--conditions=afp-source', file], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const gone = once(till, 'exit')
      try {
        const [address] = (await once(createInterface({ input: till.stdout }), 'line')) as [string]
        ids.add(address.split('/').at(-1))
        await using ada = await createAgent({ name: 'ada', mesh: 'demo', peers: [address] })
        expect((await ada.request('till', 5)).content).toBe(5 * (index + 1))
        till.kill(signal)
        expect(await gone).toEqual(signal === 'SIGTERM' ? [0, null] : [null, signal])
      } finally {
        till.kill('SIGKILL')
        await gone
      }
    }
    expect(ids.size).toBe(1)
  })

  test.each(relayed.map(example => [example.where, example] as const))(
    '%s meets the agent it waits for at a live relay, which gets what it publishes',
    async (_, example) => {
      await using relay = await createRelay({ listen: ['/ip4/127.0.0.1/tcp/0/ws'] })
      const relays = relay.addresses()
      await using bob = await createAgent({ name: 'bob', mesh: 'demo', relays })
      const news = bob.subscribe({ topic: 'news' })[Symbol.asyncIterator]().next()
      const broadcast = bob.receive()
      await runs(example, example.code.replace(SHOWN_RELAY, relays[0] ?? ''))
      expect((await news).value).toMatchObject({ content: { headline: 'it works' } })
      expect((await broadcast).content).toBe('anyone there?')
    },
  )
})

test('Each package that an install brings in, or asks for, has its reason in the README, and nothing else has', () => {
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const section = readFileSync(join(root, 'README.md'), 'utf8').split('\n## Dependencies\n')[1]?.split('\n## ')[0] ?? ''
  const cells = [...section.matchAll(/^\| (`[^|]+`) \| .{10,} \|$/gm)].map(([, cell = '']) => cell)
  const named = cells.flatMap(cell => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name))
  expect(named.toSorted()).toEqual(Object.keys({ ...dependencies, ...peerDependencies }).toSorted())
})
