/** What `afp-relay` is told: flags, over `AFP_RELAY_*` in the environment, over a JSON file. Unknown names are errors. */

import { closeSync, openSync, readSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { AfpError } from '../src/common/errors.ts'
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from './limits.ts'
import { DEFAULT_RELAY_LISTEN, type RelayOptions } from './options.ts'

/** The largest configuration file, bytes. */
const MAX_FILE_BYTES = 1_048_576

/** The longest draining, seconds: beyond a day it is a slip of the finger, and timers end at 24.8 days. */
const MAX_DRAIN_SECONDS = 86_400

/** Everything the daemon needs. */
export interface DaemonConfig {
  readonly relay: RelayOptions & { readonly listen: readonly string[] }
  /** Port of `/healthz` and `/readyz`; undefined: none. */
  readonly healthPort: number | undefined
  readonly healthHost: string
  /** How long to go on after a stop was asked for, so that balancers see `/readyz` turn, seconds. */
  readonly drainSeconds: number
  /** The file that was read. */
  readonly file: string | undefined
}

/** What the command line asks for. */
export type Command =
  | { readonly kind: 'run'; readonly config: DaemonConfig }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }

type Kind = 'text' | 'list' | 'number'

interface Setting {
  /** Its name in the file; the flag and the variable follow from it. */
  readonly key: string
  readonly kind: Kind
  readonly help: string
  /** The flag, where it differs: a list's flag is given once for each entry. */
  readonly flag?: string
}

/** The limits' words for `--help`; their meaning is told in full at `RelayLimits`. */
const LIMIT_HELP: Readonly<Record<keyof RelayLimits, string>> = {
  maxConnections: 'connections at a time',
  maxReservations: 'peers that others may reach through the relay',
  reservationTtl: 'how long such a slot lasts, seconds',
  maxRelayedBytes: 'what one relayed connection may carry, bytes',
  maxRelayedSeconds: 'how long one relayed connection may last, seconds',
  maxRelayedPerPeer: 'relayed connections of one peer, in each direction',
  maxGossipBytes: 'the largest gossip message, bytes',
  maxGossipRate: 'new gossip messages of one peer, a second',
  maxMeshes: 'meshes at a time, where every mesh is allowed',
  maxTopicsPerMesh: 'gossip topics of one mesh',
  maxTopicsPerPeer: 'gossip topics heeded of one peer',
  maxTopics: 'gossip topics of all meshes',
}

const LIMIT_NAMES = Object.keys(DEFAULT_RELAY_LIMITS) as (keyof RelayLimits)[]

const SETTINGS: readonly Setting[] = [
  {
    key: 'listen',
    kind: 'list',
    help: `multiaddr to listen on, TCP or WebSocket; repeatable (${DEFAULT_RELAY_LISTEN.join(', ')})`,
  },
  { key: 'announce', kind: 'list', help: 'multiaddr to tell agents instead; repeatable (what it listens on)' },
  { key: 'meshes', flag: 'mesh', kind: 'list', help: 'mesh whose gossip is carried; repeatable (any)' },
  { key: 'identity', kind: 'text', help: 'identity file, made if it is not there (a new identity at each start)' },
  { key: 'healthPort', kind: 'number', help: 'port of /healthz and /readyz; 0 takes a free one (none)' },
  { key: 'healthHost', kind: 'text', help: 'address of that port (127.0.0.1)' },
  { key: 'drainSeconds', kind: 'number', help: 'how long to go on, not ready, after SIGTERM; at most 86400 (0)' },
  ...LIMIT_NAMES.map(
    (key): Setting => ({ key, kind: 'number', help: `${LIMIT_HELP[key]} (${DEFAULT_RELAY_LIMITS[key]})` }),
  ),
]

const words = (key: string): string[] => key.split(/(?=[A-Z])/).map(word => word.toLowerCase())
const flagOf = ({ key, flag }: Setting): string => flag ?? words(key).join('-')
const variableOf = ({ key }: Setting): string => `AFP_RELAY_${words(key).join('_').toUpperCase()}`

type Value = string | number | readonly string[]

/**
 * Reads a command line, the environment and the file that they name.
 * @throws AfpError INVALID_OPTION, in words for whoever typed it
 */
export function readCommand(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Command {
  const flags = readFlags(argv)
  if (flags.help === true) return { kind: 'help' }
  if (flags.version === true) return { kind: 'version' }
  const variables = readVariables(env)
  const file = flags.config ?? variables.config
  const fromFile = file === undefined ? new Map<string, Value>() : readFile(file)
  const values = new Map([...fromFile, ...variables.values, ...flags.values])
  return { kind: 'run', config: configOf(values, file) }
}

/** What `--help` prints. */
export function helpText(): string {
  const rows = [
    ['--config <file>', 'JSON file with the same settings'],
    ...SETTINGS.map(setting => [`--${flagOf(setting)} <${setting.kind === 'number' ? 'n' : 'text'}>`, setting.help]),
    ['--help', 'this text'],
    ['--version', 'the version'],
  ] as const
  const width = Math.max(...rows.map(([left]) => left.length)) + 2
  return [
    'Usage: afp-relay [options]',
    '',
    'A relay of the Agent Flow Protocol: agents find and reach each other through it.',
    '',
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`),
    '',
    'Each setting can also be given as AFP_RELAY_<NAME> in the environment (lists separated by commas) or as a key of',
    'the JSON file, e.g. --max-connections, AFP_RELAY_MAX_CONNECTIONS, "maxConnections"; for meshes these are --mesh,',
    'AFP_RELAY_MESHES and "meshes". Flags win over the environment, the environment over the file.',
    '',
    'SIGTERM and SIGINT stop it in good order, a second one at once; SIGHUP reads the file again.',
    '',
  ].join('\n')
}

interface Flags {
  readonly values: Map<string, Value>
  readonly config: string | undefined
  readonly help: boolean
  readonly version: boolean
}

function readFlags(argv: readonly string[]): Flags {
  const options = Object.fromEntries(
    SETTINGS.map(setting => [flagOf(setting), { type: 'string' as const, multiple: setting.kind === 'list' }]),
  )
  let parsed: { values: Record<string, unknown> }
  try {
    parsed = parseArgs({
      args: [...argv],
      options: {
        ...options,
        config: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'V' },
      },
      strict: true,
    })
  } catch (cause) {
    throw new AfpError('INVALID_OPTION', (cause as Error).message, { cause })
  }
  const values = new Map<string, Value>()
  for (const setting of SETTINGS) {
    const given = parsed.values[flagOf(setting)]
    if (given !== undefined) values.set(setting.key, parsedValue(setting, given, `--${flagOf(setting)}`))
  }
  const { config, help, version } = parsed.values
  return { values, config: config as string | undefined, help: help === true, version: version === true }
}

function readVariables(env: Readonly<Record<string, string | undefined>>): {
  values: Map<string, Value>
  config: string | undefined
} {
  const byName = new Map(SETTINGS.map(setting => [variableOf(setting), setting]))
  const values = new Map<string, Value>()
  let config: string | undefined
  for (const [name, given] of Object.entries(env)) {
    if (!name.startsWith('AFP_RELAY_') || given === undefined) continue
    const setting = byName.get(name)
    if (name === 'AFP_RELAY_CONFIG') config = given
    else if (setting === undefined) throw new AfpError('INVALID_OPTION', `${name} in the environment is not a setting`)
    else values.set(setting.key, parsedValue(setting, setting.kind === 'list' ? given.split(',') : given, name))
  }
  return { values, config }
}

function readFile(file: string): Map<string, Value> {
  let content: unknown
  try {
    content = JSON.parse(readBounded(file))
  } catch (cause) {
    const why = (cause as Error).message
    throw new AfpError('INVALID_OPTION', `the configuration file ${file} cannot be read: ${why}`, { cause })
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new AfpError('INVALID_OPTION', `the configuration file ${file} does not hold a JSON object`)
  }
  const byKey = new Map(SETTINGS.map(setting => [setting.key, setting]))
  const values = new Map<string, Value>()
  for (const [key, given] of Object.entries(content)) {
    const setting = byKey.get(key)
    if (setting === undefined) {
      throw new AfpError('INVALID_OPTION', `${JSON.stringify(key)} in ${file} is not a setting`)
    }
    values.set(key, parsedValue(setting, given, `${JSON.stringify(key)} in ${file}`))
  }
  return values
}

/** The text of a file that may be anything, an endless device too: no more is read than the bound. */
function readBounded(file: string): string {
  const bytes = Buffer.alloc(MAX_FILE_BYTES + 1)
  const descriptor = openSync(file, 'r')
  try {
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(descriptor, bytes, length, bytes.length - length, null)
    }
    if (length > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES} bytes`)
    return bytes.toString('utf8', 0, length)
  } finally {
    closeSync(descriptor)
  }
}

function parsedValue(setting: Setting, given: unknown, where: string): Value {
  if (setting.kind === 'list') {
    // The word for every mesh is taken where a list is expected.
    if (setting.key === 'meshes' && given === 'any') return ['any']
    const entries = Array.isArray(given) ? given.map(entry => (typeof entry === 'string' ? entry.trim() : '')) : []
    if (entries.length === 0 || entries.includes('')) {
      throw new AfpError('INVALID_OPTION', `${where} is a list of texts that are not empty`)
    }
    return entries
  }
  if (setting.kind === 'text') {
    if (typeof given === 'string' && given !== '') return given
    throw new AfpError('INVALID_OPTION', `${where} is a text that is not empty`)
  }
  const number = typeof given === 'string' && /^\d{1,16}$/.test(given) ? Number(given) : given
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number
  throw new AfpError('INVALID_OPTION', `${where} is a whole number, not ${JSON.stringify(given)}`)
}

function configOf(values: ReadonlyMap<string, Value>, file: string | undefined): DaemonConfig {
  const list = (key: string): readonly string[] | undefined => values.get(key) as readonly string[] | undefined
  const number = (key: string): number | undefined => values.get(key) as number | undefined
  const meshes = list('meshes')
  if (meshes?.includes('any') && meshes.length > 1) {
    throw new AfpError('INVALID_OPTION', "the mesh 'any' stands alone: it allows every mesh")
  }
  const healthPort = number('healthPort')
  if (healthPort !== undefined && healthPort > 65_535) {
    throw new AfpError('INVALID_OPTION', `a port is at most 65535, not ${healthPort}`)
  }
  const drainSeconds = number('drainSeconds') ?? 0
  if (drainSeconds > MAX_DRAIN_SECONDS) {
    throw new AfpError('INVALID_OPTION', `draining takes at most ${MAX_DRAIN_SECONDS} seconds, not ${drainSeconds}`)
  }
  const limits = Object.fromEntries(LIMIT_NAMES.filter(name => values.has(name)).map(name => [name, number(name)]))
  return {
    relay: {
      listen: list('listen') ?? DEFAULT_RELAY_LISTEN,
      announce: list('announce'),
      meshes: meshes === undefined || meshes[0] === 'any' ? 'any' : meshes,
      identityFile: values.get('identity') as string | undefined,
      limits: limits as Partial<RelayLimits>,
    },
    healthPort,
    healthHost: (values.get('healthHost') as string | undefined) ?? '127.0.0.1',
    drainSeconds,
    file,
  }
}
