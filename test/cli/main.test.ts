import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { tooOld } from '../../src/cli/node-version.ts'

const CLI = new URL('../../src/cli/', import.meta.url)
const MAIN = fileURLToPath(new URL('main.ts', CLI))
const { version, engines, bin } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** What Node 22 says itself where its SQLite is loaded. */
const NOTICE_OF_NODE = /^\(node:\d+\) ExperimentalWarning: SQLite is .*\n\(Use `node --trace-warnings .*\n/m

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command as a process of its own, to its end. */
const command = (...args: string[]): Promise<Ended> => run(MAIN, ...args)

function run(...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, ['--conditions=afp-source', ...args])
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', chunk => {
    stdout += chunk
  })
  child.stderr.on('data', chunk => {
    stderr += chunk
  })
  return new Promise(resolve =>
    child.on('close', code => resolve({ code, stdout, stderr: stderr.replace(NOTICE_OF_NODE, '') })),
  )
}

describe('agent-flow-protocol', () => {
  test.each([[[]], [['--help']], [['-h']], [['help']]])('%j lists the commands', async args => {
    const { code, stdout, stderr } = await command(...args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: agent-flow-protocol <command>/)
    expect(stdout).toContain('relay')
    expect(stdout).toContain('demo')
  })

  test.each(['--version', '-V'])('%s prints the version and nothing else', async flag => {
    expect(await command(flag)).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })

  test.each([['bogus'], ['__proto__'], ['constructor'], ['--bogus'], ['help', 'bogus']])(
    '%j is no command, which ends it with code 2',
    async (...names) => {
      const { code, stdout, stderr } = await command(...names)
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toMatch(
        /^agent-flow-protocol: there is no command '.*'; the commands are relay, demo; see --help\n$/,
      )
    },
  )

  test.each([
    [['relay', '--bogus'], /--bogus/],
    [['demo', '--bogus'], /--bogus/],
    [['demo', '--port', 'abc'], /'abc'/],
    [['demo', '--port', '65536'], /'65536'/],
    [['demo', '--port='], /''/],
    [['demo', '--host', 'nowhere.example'], /IP address/],
    [['demo', '--data='], /the path of a folder/],
    [['demo', 'more'], /more/],
  ])('%j is refused in one line with code 2', async (args, reason) => {
    const { code, stdout, stderr } = await command(...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(reason)
    expect(stderr).not.toMatch(/\n\s+at /)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  test.each([
    [['relay', '--help'], /^Usage: afp-relay/],
    [['help', 'relay'], /^Usage: afp-relay/],
    [['demo', '--help'], /^Usage: agent-flow-protocol demo/],
    [['help', 'demo', 'more'], /^Usage: agent-flow-protocol demo/],
  ])('%j tells the options of the command', async (args, usage) => {
    const { code, stdout, stderr } = await command(...args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(usage)
    expect(stdout).not.toMatch(/dist\/|\.js\b/)
  })
})

describe('with a Node that is too old', () => {
  /** Has a process say that it is such a one. Like that one it cannot load the package: it loads nothing but the commands. */
  const pretend = (node: string): string =>
    `--import=data:text/javascript,${encodeURIComponent(`
    import { isBuiltin, registerHooks } from 'node:module'
    Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${node}' } })
    registerHooks({
      resolve(specifier, context, next) {
        const found = next(specifier, context)
        const own = found.url.startsWith('${CLI}') || found.url.endsWith('/package.json')
        const known = isBuiltin(specifier) ? specifier === 'node:module' : own
        if (!known) throw new Error('it loads ' + specifier)
        return found
      },
    })`)}`

  const files = Object.values<string>(bin).map(path => path.replace(/^.*\/(.*)\.js$/, '$1.ts'))
  const lines = files.flatMap(file =>
    [[''], ['--help'], ['--version'], ['relay'], ['demo']].map(args => [file, ...args]),
  )

  test.each(lines)(
    '%s %s says in one sentence which it needs and which it has, and ends with code 1',
    async (...line) => {
      const [file = '', ...args] = line.filter(Boolean)
      const ended = await run(pretend('20.20.2'), fileURLToPath(new URL(file, CLI)), ...args)
      expect(ended).toEqual({
        code: 1,
        stdout: '',
        stderr:
          'agent-flow-protocol: this needs Node 22.19 or newer, and is run by Node 20.20.2; nothing was started\n',
      })
    },
  )

  test('a command goes on to load the package with one that is new enough', async () => {
    const { code, stderr } = await run(pretend('22.19.0'), fileURLToPath(new URL('relay.ts', CLI)))
    expect(code).toBe(1)
    expect(stderr).toContain('it loads agent-flow-protocol/relay/daemon')
  })

  test('it is the one that the package asks for', () => {
    expect(engines.node).toBe('>=22.19')
    for (const old of ['0.12.18', '18.20.8', '20.20.2', '21.99.0', '22.9.0', '22.18.0'])
      expect(tooOld(old)).toContain(old)
    for (const fine of ['22.19.0', '22.100.1', '23.0.0', '24.21.0', '26.0.0-nightly', '100.1.0'])
      expect(tooOld(fine)).toBeUndefined()
  })
})
