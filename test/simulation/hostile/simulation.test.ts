import { expect, it } from 'vitest'
import { noCounters } from './run.ts'
import { simulateHostile } from './simulation.ts'

const first = Number(process.env.AFP_SEED ?? 1)
const runs = Number(process.env.AFP_RUNS ?? 40)

it('lets nothing through that nobody sent, and loses and doubles nothing, whoever is on the way', async () => {
  const sums = noCounters()
  const names = Object.keys(sums) as (keyof typeof sums)[]
  for (let seed = first; seed < first + runs; seed++) {
    const { faults, counters } = await simulateHostile(seed)
    expect(faults.slice(0, 10), `seed ${seed}`).toEqual([])
    for (const name of names) sums[name] += counters[name]
  }
  // What does not happen any more proves nothing.
  if (runs >= 20) expect(names.filter(name => sums[name] === 0)).toEqual([])
}, 120_000)

it('does the same for the same seed against somebody on the way, to the last byte on every disk', async () => {
  const [one, again, other] = [
    await simulateHostile(first),
    await simulateHostile(first),
    await simulateHostile(first + 1),
  ]
  expect(again, `seed ${first}`).toEqual(one)
  expect(other.digest).not.toBe(one.digest)
}, 60_000)
