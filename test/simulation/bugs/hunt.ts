/** Hunts a planted bug: runs simulations in a process of its own, seed after seed, until the first fault. */

import { spawn } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { projectFile } from '../../../e2e/fixtures/process.ts'
import { type Bug, PLANTED } from './plant.ts'
import { SIMULATIONS } from './simulations.ts'

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
  | ({ readonly type: 'caught'; readonly fault: string } & At)
  | { readonly type: 'over' }

/** By which simulation a bug was caught, with which seed, and the first fault's words. */
export interface Catch extends At {
  readonly fault: string
}

/** How long a seed may take before it counts as one that comes to no end, ms: many times what any takes. */
const LONGEST_SEED = 60_000
const folder = 'test/simulation/bugs'

/** Words of a mistake in the table, and not of a simulation. */
const BROKEN = /\b(SyntaxError|ReferenceError|ERR_INVALID_TYPESCRIPT_SYNTAX)\b|is not a function/

/**
 * Resolves with undefined where no seed of the range finds anything.
 * @param bug undefined: none is planted
 * @throws Error where the bug cannot be planted, or is one that does not run
 */
export async function hunt(
  bug: Bug | undefined,
  { simulations = bug?.by ?? [...SIMULATIONS.keys()], from, to }: Partial<Hunt> & Pick<Hunt, 'from' | 'to'>,
): Promise<Catch | undefined> {
  const { [PLANTED]: _, NODE_OPTIONS: __, ...others } = process.env
  const child = spawn(
    process.execPath,
    [
      '--conditions=afp-source',
      '--disable-warning=ExperimentalWarning',
      // One that fills the memory is found by that before it takes it from others.
      '--max-old-space-size=1024',
      '--import',
      pathToFileURL(projectFile(`${folder}/bootstrap.ts`)).href,
      projectFile(`${folder}/hunt-process.ts`),
      JSON.stringify({ simulations, from, to } satisfies Hunt),
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: bug === undefined ? others : { ...others, [PLANTED]: bug.name },
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
    }, LONGEST_SEED)
  })
  const kill = (): boolean => child.kill('SIGKILL')
  process.on('exit', kill)
  const ended = await new Promise(resolve => child.once('close', (code, signal) => resolve(signal ?? code)))
  process.off('exit', kill)
  clearTimeout(late)
  const name = bug?.name ?? 'nothing'
  if (last?.type === 'caught') {
    const { simulation, seed, fault } = last
    if (BROKEN.test(fault)) throw new Error(`${name} is a bug that does not run: ${fault}`)
    return { simulation, seed, fault }
  }
  if (last?.type === 'over') return undefined
  if (at === undefined) throw new Error(`${name} could not be planted: ${errors}`)
  const { simulation, seed } = at
  const fault = stuck ? `it comes to no end in ${LONGEST_SEED} ms` : `its process ended with ${ended}: ${errors}`
  return { simulation, seed, fault }
}
