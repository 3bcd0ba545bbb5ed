import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type DaemonConfig, helpText, readCommand } from '../../relay/config.ts'
import { DEFAULT_RELAY_LIMITS, DEFAULT_RELAY_LISTEN } from '../../relay/index.ts'

function file(content: unknown): string {
  const folder = mkdtempSync(join(tmpdir(), 'afp-config-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'relay.json')
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

function config(argv: string[], env: Record<string, string> = {}): DaemonConfig {
  const command = readCommand(argv, env)
  if (command.kind !== 'run') throw new Error(command.kind)
  return command.config
}

const refusal = (message: RegExp) =>
  expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) })

describe('the configuration of afp-relay', () => {
  test('with nothing given it listens on the default addresses, for every mesh, without a health port', () => {
    expect(config([])).toEqual({
      relay: { listen: DEFAULT_RELAY_LISTEN, announce: undefined, meshes: 'any', identityFile: undefined, limits: {} },
      healthPort: undefined,
      healthHost: '127.0.0.1',
      drainSeconds: 0,
      file: undefined,
    })
  })

  test('flags win over the environment, the environment over the file', () => {
    const path = file({ maxConnections: 1, maxTopics: 1, maxMeshes: 1, meshes: ['file'], identity: 'file.key' })
    const env = {
      AFP_RELAY_CONFIG: path,
      AFP_RELAY_MAX_CONNECTIONS: '2',
      AFP_RELAY_MAX_TOPICS: '2',
      AFP_RELAY_MESHES: 'a, b',
    }
    const { relay, file: read } = config(['--max-connections', '3', '--mesh', 'x', '--mesh', 'y'], env)
    expect(relay.limits).toEqual({ maxConnections: 3, maxTopics: 2, maxMeshes: 1 })
    expect(relay.meshes).toEqual(['x', 'y'])
    expect(config([], env).relay.meshes).toEqual(['a', 'b'])
    expect(relay.identityFile).toBe('file.key')
    expect(read).toBe(path)
  })

  test('the file of the flag wins over the file of the environment', () => {
    const first = file({ drainSeconds: 1 })
    const second = file({ drainSeconds: 2 })
    expect(config(['--config', first], { AFP_RELAY_CONFIG: second }).drainSeconds).toBe(1)
  })

  test('every limit has a flag, a variable and a key of the file', () => {
    for (const name of Object.keys(DEFAULT_RELAY_LIMITS)) {
      const flag = `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
      const variable = `AFP_RELAY_${name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`
      expect(config([flag, '9']).relay.limits).toEqual({ [name]: 9 })
      expect(config([], { [variable]: '9' }).relay.limits).toEqual({ [name]: 9 })
      expect(config(['--config', file({ [name]: 9 })]).relay.limits).toEqual({ [name]: 9 })
      expect(helpText()).toContain(flag)
    }
  })

  test('the word any allows every mesh, wherever it stands', () => {
    const path = file({ meshes: 'any' })
    expect(config(['--config', path]).relay.meshes).toBe('any')
    expect(config(['--mesh', 'any', '--config', file({ meshes: ['x'] })]).relay.meshes).toBe('any')
    expect(() => config(['--mesh', 'any', '--mesh', 'x'])).toThrow(refusal(/stands alone/))
  })

  test.each([
    [['--lisen', '/ip4/127.0.0.1/tcp/0'], /--lisen/],
    [['--listen'], /--listen/],
    [['relay.json'], /relay\.json/],
    [['--max-topics', 'many'], /--max-topics/],
    [['--max-topics=-1'], /--max-topics/],
    [['--health-port', '70000'], /70000/],
    [['--mesh', ''], /--mesh/],
    [['--drain-seconds', '86401'], /86401/],
  ])('the flags %j are refused by name', (argv, message) => {
    expect(() => readCommand(argv, {})).toThrow(refusal(message))
  })

  test('a variable of the relay that does not exist is refused, others are none of its business', () => {
    expect(() => readCommand([], { AFP_RELAY_LISTENS: 'x' })).toThrow(refusal(/AFP_RELAY_LISTENS/))
    expect(config([], { AFP_OTHER: 'x', PATH: '/bin' }).healthPort).toBeUndefined()
  })

  test.each([
    ['{', /cannot be read/],
    ['[]', /JSON object/],
    [{ listens: [] }, /"listens"/],
    ['{"__proto__": 1}', /"__proto__"/],
    [{ listen: '/ip4/127.0.0.1/tcp/0' }, /"listen"/],
    [{ listen: [5] }, /"listen"/],
    [{ maxTopics: 1.5 }, /"maxTopics"/],
    [{ identity: 5 }, /"identity"/],
  ])('the file %j is refused with the name of what is wrong', (content, message) => {
    const path = file(content)
    expect(() => readCommand(['--config', path], {})).toThrow(refusal(message))
  })

  test('a file that is not there is refused', () => {
    expect(() => readCommand(['--config', '/does/not/exist.json'], {})).toThrow(refusal(/exist\.json/))
  })

  test('of a file that is too long, or never ends, no more is read than the bound', () => {
    expect(() => readCommand(['--config', file(' '.repeat(1_048_577))], {})).toThrow(refusal(/more than 1048576 bytes/))
    expect(config(['--config', file(`{}${' '.repeat(1_048_574)}`)]).drainSeconds).toBe(0)
    if (existsSync('/dev/zero')) expect(() => readCommand(['--config', '/dev/zero'], {})).toThrow(refusal(/more than/))
  })

  test('help and version are asked for even where the rest makes no sense', () => {
    expect(readCommand(['--help', '--config', '/does/not/exist.json'], {})).toEqual({ kind: 'help' })
    expect(readCommand(['--version'], {})).toEqual({ kind: 'version' })
  })
})
