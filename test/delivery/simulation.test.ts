import { expect, it } from 'vitest'
import { simulate } from './simulation.ts'

const first = Number(process.env.AFP_SEED ?? 1)
const runs = Number(process.env.AFP_RUNS ?? 50)

it('loses nothing, does nothing twice and keeps order, whatever fails', async () => {
  for (let seed = first; seed < first + runs; seed++) {
    const outcome = await simulate(seed)
    expect(outcome.faults.slice(0, 10), `seed ${seed}`).toEqual([])
  }
}, 300_000)
