/** The process of a hunt, see `hunt.ts`: simulations, seed after seed, with a bug planted. */

import { unplanted } from './bootstrap.ts'
import type { Hunt, HuntNews } from './hunt.ts'
import { SIMULATIONS } from './simulations.ts'

// Whoever wants to know is gone.
process.on('disconnect', () => process.exit(1))

const { simulations, from, to } = JSON.parse(process.argv[2] as string) as Hunt
let at = { simulation: '', seed: 0 }
const say = (news: HuntNews): Promise<void> => new Promise(resolve => process.send?.(news, () => resolve()))
const caught = async (fault: string): Promise<never> => {
  await say({ type: 'caught', ...at, fault })
  process.exit(0)
}
const thrown = (error: unknown): string => `it threw: ${error instanceof Error ? error.stack : error}`

const all = await Promise.all(
  simulations.map(async simulation => ({ simulation, simulate: await SIMULATIONS.get(simulation)?.() })),
)
for (const file of unplanted()) throw new Error(`no simulation loads ${file}`)
// From here on whatever is thrown is a find.
for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, error => caught(thrown(error)))
for (let seed = from; seed <= to; seed++) {
  for (const { simulation, simulate } of all) {
    at = { simulation, seed }
    await say({ type: 'begins', ...at })
    const outcome = await simulate?.(seed).catch(error => ({ faults: [thrown(error)] }))
    const fault = outcome?.faults[0]
    if (fault !== undefined) await caught(fault)
  }
}
await say({ type: 'over' })
process.exit(0)
