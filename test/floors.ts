/** Reads sources and tells where they leave the floors of the house: who may import whom, and what stays out of where. */

import { dirname, join, normalize } from 'node:path/posix'
import { parseSync } from 'vite'

/** Path from the root, with forward slashes, to text. */
export type Sources = ReadonlyMap<string, string>

/** A room's floor. Rooms import lower floors and themselves. */
const FLOORS: Readonly<Record<string, number>> = {
  common: 0,
  message: 1,
  store: 1,
  telemetry: 1,
  feed: 2,
  identity: 2,
  security: 3,
  network: 3,
  delivery: 4,
  topics: 4,
  partition: 4,
  state: 4,
  streams: 4,
  agent: 5,
  interop: 6,
  bridges: 6,
  testing: 6,
  cli: 6,
}

/** Rooms and folders that use the package as strangers do: by its name. */
const STRANGERS = /^(src\/(interop|bridges|cli)|demo|e2e)\//

/** The only places that know Node. */
const NODE_PLACES = [
  /^src\/node\.ts$/,
  /^src\/cli\//,
  /^src\/bridges\//,
  /^src\/store\/(folder|sqlite(-[a-z]+)?)\.ts$/,
  /^src\/identity\/(ed25519|file)\.ts$/,
  /^src\/network\/(defaults|noise|socket-guard|webrtc-node)\.ts$/,
  /^src\/security\/crypto\.ts$/,
  /^src\/agent\/profile\.ts$/,
  /^relay\//,
  /^demo\/(server|pages|keep)\.ts$/,
  /^(test|e2e|\.tools)\//,
  /^vite\.config\.ts$/,
]

const LIBP2P = /^(libp2p|@libp2p\/.*|@chainsafe\/libp2p-.*)$/
const LIBP2P_PLACES = /^(src\/network|relay|test|\.tools)\//

/** The platform's time, chance and output, and the only files of `src` that may take them directly. */
const PLATFORM = /^(Date\.now|Math\.random|setTimeout|setInterval|console)$/
const PLATFORM_PLACES: Readonly<Record<string, RegExp>> = {
  'Date.now': /^src\/common\/clock\.ts$/,
  setTimeout: /^src\/common\/clock\.ts$/,
  'Math.random': /^src\/common\/random\.ts$/,
}

/** Words that have no place in any source: work put off, types silenced, strings run as code, somebody's machine. */
const UNWANTED = [
  /\b(TODO|FIXME|XXX|HACK)\b|\bnot (yet )?implemented\b/,
  /@ts-(ignore|nocheck|expect-error)/,
  /\.innerHTML\b|dangerouslySetInnerHTML|\beval\(|\bnew Function\(/,
  /(^|[\s'"`(=])\/(home|root|work|farm|Users)\//,
  /\bwaitForTimeout\(|\bsetTimeout\((resolve|done|r)\b/,
]

const MAX_LINES = 400

interface Node {
  readonly type: string
  readonly [key: string]: unknown
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && 'type' in value
const text = (value: unknown): string => (isNode(value) && typeof value.value === 'string' ? value.value : '')
const nameOf = (value: unknown): string => (isNode(value) && typeof value.name === 'string' ? value.name : '')

/** Every node of a syntax tree. */
function* walk(node: unknown): Generator<Node> {
  if (Array.isArray(node)) for (const child of node) yield* walk(child)
  else if (isNode(node)) {
    yield node
    for (const key of Object.keys(node)) if (key !== 'parent') yield* walk(node[key])
  }
}

/** What a file asks for: modules, in any form, types included; and the platform's globals. */
export function wants(path: string, source: string): { imports: string[]; platform: string[] } {
  const imports = new Set<string>()
  const platform = new Set<string>()
  for (const node of walk(parseSync(path, source).program as unknown)) {
    if (/^(Import|ExportNamed|ExportAll)Declaration$|^(ImportExpression|TSImportType)$/.test(node.type))
      imports.add(text(node.source) || text(node.argument))
    if (node.type === 'CallExpression') {
      const name = nameOf(node.callee)
      if (PLATFORM.test(name)) platform.add(name)
    }
    if (node.type === 'MemberExpression') {
      const object = nameOf(node.object)
      const property = nameOf(node.property)
      for (const name of [object, property, `${object}.${property}`])
        if (PLATFORM.test(name) && (name !== property || object === 'globalThis')) platform.add(name)
    }
  }
  imports.delete('')
  return { imports: [...imports], platform: [...platform] }
}

/** The files that a specifier leads to: one, or for `#name` each platform's variant. Packages lead nowhere. */
export function resolveImport(from: string, specifier: string, variants: Readonly<Record<string, unknown>>): string[] {
  if (specifier.startsWith('.')) return [normalize(join(dirname(from), specifier))]
  if (!specifier.startsWith('#')) return []
  const leaves = (value: unknown): string[] =>
    typeof value === 'string' ? [value] : typeof value === 'object' && value ? Object.values(value).flatMap(leaves) : []
  return [...new Set(leaves(variants[specifier]))].filter(path => path.endsWith('.ts')).map(path => normalize(path))
}

const roomOf = (path: string): string | undefined => /^src\/([^/]+)\//.exec(path)?.[1]

/** Helpers of end-to-end tests that need more than a stranger has: one forges frames, one serves pages as the demo does. */
const INSIDERS: ReadonlyMap<string, RegExp> = new Map([
  ['e2e/fixtures/stranger.ts', /^src\//],
  ['e2e/fixtures/site.ts', /^demo\/pages\.ts$/],
])

/** What is wrong with one edge between two files of the project; undefined when nothing is. */
function badEdge(from: string, to: string): string | undefined {
  if (STRANGERS.test(from)) {
    const home = /^(src\/[^/]+|[^/]+)\//.exec(from)?.[0] ?? ''
    return to.startsWith(home) || INSIDERS.get(from)?.test(to)
      ? undefined
      : 'has to use the package by its name, as a stranger would'
  }
  const room = roomOf(to)
  const floor = room === undefined ? undefined : FLOORS[room]
  if (from.startsWith('relay/')) {
    if (to.startsWith('relay/')) return undefined
    return floor !== undefined && floor <= 3 ? undefined : 'the relay stands on floors 0 to 3'
  }
  if (!from.startsWith('src/')) return undefined
  if (!to.startsWith('src/')) return 'the library imports nothing outside src'
  const own = roomOf(from)
  if (own === undefined) return undefined
  if (room === undefined) return 'goes up to the public surface'
  if (own === room) return undefined
  const ownFloor = FLOORS[own]
  if (ownFloor === undefined) return `${own} is not a room of the house`
  if (floor === undefined) return `${room} is not a room of the house`
  return floor < ownFloor ? undefined : floor === ownFloor ? 'goes sideways' : 'goes up'
}

/** What is wrong with importing a package; undefined when nothing is. */
function badPackage(from: string, name: string): string | undefined {
  if (name.startsWith('node:') && !NODE_PLACES.some(place => place.test(from))) return 'is not a place for Node'
  if (LIBP2P.test(name) && !LIBP2P_PLACES.test(from)) return 'libp2p stays in network and relay'
  if (/^agent-flow-protocol(\/|$)/.test(name) && /^(src|relay)\//.test(from) && !STRANGERS.test(from))
    return 'the library does not import itself by name'
  return undefined
}

/** Import cycles, each named once by the files along it. */
export function cycles(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const path: string[] = []
  const visit = (file: string): void => {
    if (state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      found.push([...path.slice(path.indexOf(file)), file].join(' -> '))
      return
    }
    state.set(file, 'open')
    path.push(file)
    for (const next of edges.get(file) ?? []) visit(next)
    path.pop()
    state.set(file, 'done')
  }
  for (const file of edges.keys()) visit(file)
  return found
}

/** Everything that leaves the floors, one line each. `variants` is the `imports` field of package.json. */
export function violations(sources: Sources, variants: Readonly<Record<string, unknown>>): string[] {
  const problems: string[] = []
  const edges = new Map<string, string[]>()
  for (const [path, source] of sources) {
    const lines = source.split('\n')
    if (lines.length - 1 > MAX_LINES) problems.push(`${path}: over ${MAX_LINES} lines; which two things does it hold?`)
    for (const [index, line] of lines.entries())
      if (UNWANTED.some(word => word.test(line))) problems.push(`${path}:${index + 1}: does not belong: ${line.trim()}`)
    if (!/\.(ts|tsx|mjs)$/.test(path)) continue
    const { imports, platform } = wants(path, source)
    const targets: string[] = []
    for (const specifier of imports) {
      const resolved = resolveImport(path, specifier, variants)
      targets.push(...resolved)
      const wrong =
        resolved.length > 0 ? resolved.map(to => badEdge(path, to)).find(Boolean) : badPackage(path, specifier)
      if (wrong !== undefined) problems.push(`${path}: ${specifier}: ${wrong}`)
      for (const to of resolved)
        if (/\.(ts|tsx|mjs)$/.test(to) && !sources.has(to)) problems.push(`${path}: ${specifier}: there is no ${to}`)
    }
    edges.set(path, targets)
    if (/^src\/(?!cli\/)/.test(path))
      for (const name of platform)
        if (!PLATFORM_PLACES[name]?.test(path)) problems.push(`${path}: takes ${name} from the platform`)
  }
  return [...problems, ...cycles(edges).map(cycle => `import cycle: ${cycle}`)]
}
