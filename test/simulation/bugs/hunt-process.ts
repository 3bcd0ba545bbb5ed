/** The process of a hunt, see `hunt.ts`: simulations, seed after seed, with a bug planted. */

import { unplanted } from './bootstrap.ts'
import type { CatchKind, Hunt, HuntNews } from './hunt.ts'
import { SIMULATIONS } from './simulations.ts'

// Whoever wants to know is gone.
process.on('disconnect', () => process.exit(1))

const { simulations, from, to } = JSON.parse(process.argv[2] as string) as Hunt
let at = { simulation: '', seed: 0 }
/** What was thrown first; a later seed may find what a checker sees. */
let error: HuntNews | undefined
const say = (news: HuntNews): Promise<void> => new Promise(resolve => process.send?.(news, () => resolve()))
const end = async (news: HuntNews): Promise<never> => {
  await say(news)
  process.exit(0)
}
const catchOf = (kind: CatchKind, fault: string): HuntNews => ({ type: 'caught', kind, ...at, fault })
const thrown = (error: unknown): string => `it threw: ${error instanceof Error ? error.stack : error}`
/** Words of the engine: where code does not run, whatever else is found in that seed may come of that. */
const isThrown = (fault: string): boolean => /\b(Type|Reference|Syntax)Error\b/.test(fault)

const all = await Promise.all(
  simulations.map(async simulation => ({ simulation, simulate: await SIMULATIONS.get(simulation)?.() })),
)
for (const file of unplanted()) throw new Error(`no simulation loads ${file}`)
// From here on whatever is thrown is a find, if not one that counts.
for (const event of ['uncaughtException', 'unhandledRejection'])
  process.on(event, error => end(catchOf('crash', thrown(error))))
for (let seed = from; seed <= to; seed++) {
  for (const { simulation, simulate } of all) {
    at = { simulation, seed }
    await say({ type: 'begins', ...at })
    let faults: readonly string[] = []
    try {
      faults = (await simulate?.(seed))?.faults ?? []
    } catch (reason) {
      error ??= catchOf('error', thrown(reason))
    }
    const broken = faults.find(isThrown)
    if (broken !== undefined) error ??= catchOf('error', broken)
    else if (faults[0] !== undefined) await end(catchOf('fault', faults[0]))
  }
}
await end(error ?? { type: 'over' })
