import { expect, it } from 'vitest'
import { simulate } from './simulation.ts'
import { noCounters } from './state.ts'

const first = Number(process.env.AFP_SEED ?? 1)
const runs = Number(process.env.AFP_RUNS ?? 150)

it('loses nothing, does nothing twice and keeps order, whatever fails', async () => {
  const sums = noCounters()
  const names = Object.keys(sums) as (keyof typeof sums)[]
  for (let seed = first; seed < first + runs; seed++) {
    const { faults, counters } = await simulate(seed)
    expect(faults.slice(0, 10), `seed ${seed}`).toEqual([])
    for (const name of names) sums[name] += counters[name]
  }
  // What does not happen any more proves nothing. Fewer runs may do without the rarest things.
  if (runs >= 50) expect(names.filter(name => sums[name] === 0)).toEqual([])
}, 330_000)

it('does the same for the same seed, to the last byte on every disk', async () => {
  const [one, again, other] = [await simulate(first), await simulate(first), await simulate(first + 1)]
  expect(again, `seed ${first}`).toEqual(one)
  expect(other.digest).not.toBe(one.digest)
}, 60_000)
