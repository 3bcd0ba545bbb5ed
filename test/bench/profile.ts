/**
 * Tells by rooms of the house, and by the libraries below it, where the processor's time went: `npm run bench -- profile
 * <folder>` reads the profiles that `BENCH_PROFILE=<folder> npm run bench -- peers|tabs` left there.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { printTable } from './output.ts'

interface CallFrame {
  readonly functionName: string
  readonly url: string
}
interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame; readonly children?: number[] }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** What a function belongs to by its file; what Node does for it counts with it. */
const PLACES: readonly (readonly [place: string, url: RegExp])[] = [
  ['benchmark', /\/test\/bench\/|^node:inspector/],
  ['sealing', /\/src\/security\/|\/src\/delivery\/(sealing|bundle)\./],
  ['message', /\/src\/(message|identity)\/|\/cborg\//],
  ['delivery', /\/src\/(delivery|feed)\//],
  ['store', /\/src\/store\/|^node:sqlite/],
  ['agent', /\/src\/(agent|telemetry|topics|common)\//],
  ['network', /\/src\/network\//],
  ['libp2p', /\/node_modules\//],
  ['sockets', /^node:(net|internal\/(stream|net))/],
]

const COLUMNS = [...PLACES.map(([place]) => place), 'garbage', 'other', 'idle']

/** Shares of the time that was measured. */
function shares({ nodes, samples, timeDeltas }: Profile): Map<string, number> {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map(child => [child, id] as const)))
  const placeOf = (node: number): string => {
    const leaf = frames.get(node)?.functionName
    if (leaf === '(idle)') return 'idle'
    if (leaf === '(garbage collector)') return 'garbage'
    for (let at: number | undefined = node; at !== undefined; at = callers.get(at)) {
      const { url = '' } = frames.get(at) ?? {}
      const found = PLACES.find(([, pattern]) => pattern.test(url))
      if (found !== undefined) return found[0]
    }
    return 'other'
  }
  const places = new Map(nodes.map(({ id }) => [id, placeOf(id)]))
  const total = timeDeltas.reduce((sum, delta) => sum + delta, 0)
  const times = new Map<string, number>()
  for (const [i, node] of samples.entries()) {
    const place = places.get(node) ?? 'other'
    times.set(place, (times.get(place) ?? 0) + (timeDeltas[i] ?? 0) / total)
  }
  return times
}

const folder = process.argv[2] ?? '.'
const rows = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter(path => path.endsWith('.cpuprofile'))
  .toSorted()
  .map(path => {
    const times = shares(JSON.parse(readFileSync(join(folder, path), 'utf8')) as Profile)
    return [
      path.replace(/\.cpuprofile$/, ''),
      ...COLUMNS.map(place => `${Math.round(100 * (times.get(place) ?? 0))} %`),
    ]
  })
printTable(['profile', ...COLUMNS], rows)
