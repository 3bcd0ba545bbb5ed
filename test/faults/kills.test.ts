/** Real processes, real disks, kill -9 at any moment: what a send has promised is there, once, in order. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/common/random.ts'
import { killRun, type Victim } from './kill-run.ts'
import { Stage } from './parties.ts'

const KILLS = Number(process.env.AFP_KILLS ?? 25)
/** Where nobody is left each start takes its time, to the relay and through it. */
const KILLS_OF_ALL = Math.ceil(KILLS / 3)
const IN_FLIGHT = 200
const seed = Number(process.env.AFP_SEED ?? 1)

let stage: Stage
beforeEach(async () => {
  stage = await Stage.open()
})
afterEach(() => stage.close())

describe(`nothing that was kept is lost, nothing is noted twice or out of the order of its class, with ${KILLS} kills, ${KILLS_OF_ALL} of all`, () => {
  test.each<[string, Victim]>([
    ['of the sender', 'sender'],
    ['of the recipient, whose store keeps who it is', 'recipient'],
    ['of the relay between them', 'relay'],
    ['of all three at once', 'all'],
  ])('%s', { timeout: 240_000 }, async (_, victim) => {
    const kills = victim === 'all' ? KILLS_OF_ALL : KILLS
    const run = await killRun(stage, { victim, kills, inFlight: IN_FLIGHT, random: seededRandom(seed) })
    const { faults, inFlight, processed, starts, ready, counters } = run
    const counted = Object.entries(counters).map(([what, count]) => `${what} ${count}`)
    process.stdout.write(
      `seed ${seed}; ${counted.join(', ')}; on their way at each kill: ${inFlight.join(' ')}; processed before it: ` +
        `${processed.join(' ')}; ms before each kill at a start: ${starts.join(' ')}, ${ready} of them ready\n`,
    )
    expect(faults, `seed ${seed}`).toEqual([])
    expect(inFlight).toHaveLength(kills)
    expect(starts).toHaveLength(Math.floor(kills / 3))
    expect(Math.min(...inFlight), `seed ${seed}`).toBeGreaterThanOrEqual(IN_FLIGHT)
    // Each hit a life that had done something.
    expect(Math.min(...processed), `seed ${seed}`).toBeGreaterThan(0)
    // Every way was there, and far more of each than this.
    for (const [what, count] of Object.entries(counters)) expect(count, `${what}, seed ${seed}`).toBeGreaterThan(kills)
  })
})
