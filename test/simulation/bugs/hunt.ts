/** Hunts a planted bug: runs simulations in a process of its own, seed after seed, until the first fault. */

import { spawn } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { projectFile } from '../../../e2e/fixtures/process.ts'
import { type Bug, PLANTED } from './plant.ts'
import { SIMULATIONS, USUAL } from './simulations.ts'

/** What is run: all of these for a seed, then for the next one. */
export interface Hunt {
  readonly simulations: readonly string[]
  readonly from: number
  readonly to: number
}

interface At {
  readonly simulation: string
  readonly seed: number
}

/** What the process of a hunt tells. */
export type HuntNews =
  | ({ readonly type: 'begins' } & At)
  | ({ readonly type: 'caught' } & Catch)
  | { readonly type: 'over' }

/**
 * How a bug was seen: by a checker, by a run that comes to no end or takes all memory, by what a run threw, or by the end of
 * its process. Code that does not run at all is seen in one of the last two ways: they say nothing of what checkers see.
 */
export type CatchKind = 'fault' | 'hang' | 'error' | 'crash'

/** By which simulation a bug was caught, with which seed, how, and the first fault's words. */
export interface Catch extends At {
  readonly kind: CatchKind
  readonly fault: string
}

/** Whether it is a simulation that has seen it. */
export const isHonest = ({ kind }: Catch): boolean => kind === 'fault' || kind === 'hang'

/** How long a seed may take before it counts as one that comes to no end, ms: many times what any takes. */
const LONGEST_SEED = 60_000
const folder = 'test/simulation/bugs'

/** What the engine says as it ends a process that has taken all memory it may have. */
const FULL = /JavaScript heap out of memory/

const preloaded = (file: string): string[] => ['--import', pathToFileURL(projectFile(file)).href]

interface HuntOptions extends Omit<Hunt, 'simulations'> {
  readonly simulations?: readonly string[]
  /** How long a seed may take, ms. */
  readonly longest?: number
}

/**
 * Resolves with undefined where no seed of the range finds anything. What was thrown counts for it only where no later seed
 * of the range finds more.
 * @param bug undefined: none is planted
 * @throws Error where the bug cannot be planted
 */
export async function hunt(
  bug: Bug | undefined,
  { simulations = bug?.by ?? (bug ? USUAL : [...SIMULATIONS.keys()]), from, to, longest = LONGEST_SEED }: HuntOptions,
): Promise<Catch | undefined> {
  const { [PLANTED]: _, NODE_OPTIONS: __, ...others } = process.env
  const child = spawn(
    process.execPath,
    [
      '--conditions=afp-source',
      '--disable-warning=ExperimentalWarning',
      // One that fills the memory is found by that before it takes it from others.
      '--max-old-space-size=1024',
      // Its cryptography is watched; whatever else is run has the real one, under the same eyes.
      ...(simulations.includes('mesh') ? preloaded('test/simulation/mesh/register.mjs') : []),
      ...preloaded(`${folder}/bootstrap.ts`),
      projectFile(`${folder}/hunt-process.ts`),
      JSON.stringify({ simulations, from, to } satisfies Hunt),
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: bug === undefined ? others : { ...others, [PLANTED]: JSON.stringify(bug) },
    },
  )
  let errors = ''
  child.stderr?.on('data', chunk => {
    errors += chunk
  })
  let at: At | undefined
  let last: HuntNews | undefined
  let late: NodeJS.Timeout | undefined
  let stuck = false
  child.on('message', message => {
    last = message as HuntNews
    clearTimeout(late)
    if (last.type !== 'begins') return
    at = last
    late = setTimeout(() => {
      stuck = true
      child.kill('SIGKILL')
    }, longest)
  })
  const kill = (): boolean => child.kill('SIGKILL')
  process.on('exit', kill)
  const ended = await new Promise(resolve => child.once('close', (code, signal) => resolve(signal ?? code)))
  process.off('exit', kill)
  clearTimeout(late)
  if (last?.type === 'caught') {
    const { type: _, ...found } = last
    return found
  }
  if (last?.type === 'over') return undefined
  if (at === undefined) throw new Error(`${bug?.name ?? 'nothing'} could not be planted: ${errors}`)
  const { simulation, seed } = at
  if (stuck) return { kind: 'hang', simulation, seed, fault: `it comes to no end in ${longest} ms` }
  if (FULL.test(errors)) {
    // What many seeds together have left there is none of this one's: alone it has to take all of it again.
    if (seed > from) return hunt(bug, { simulations, from: seed, to, longest })
    return { kind: 'hang', simulation, seed, fault: 'it takes all memory' }
  }
  return { kind: 'crash', simulation, seed, fault: `its process ended with ${ended}: ${errors}` }
}
