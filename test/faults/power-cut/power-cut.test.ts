/**
 * What was promised is on the disk, not merely on its way there: the power fails, again and again, and takes what was
 * not synced. kill -9 alone does not show that, since what was written and not synced outlives the process.
 */

import { afterEach, describe, expect, test } from 'vitest'
import { type Random, seededRandom } from '../../../src/common/random.ts'
import { type KillRun, killRun, type Victim } from '../kill-run.ts'
import { Stage } from '../parties.ts'
import { Power, SLOW, type Synchronous } from './power.ts'
import { traceable } from './strace.ts'

const CUTS = Number(process.env.AFP_KILLS ?? 4)
const IN_FLIGHT = 200
/** How much of what was not synced is on the disk all the same. */
const SURVIVES = 0.3
const seed = Number(process.env.AFP_SEED ?? 1)

let stage: Stage
let power: Power
afterEach(async () => {
  await stage.close()
  power.close()
})

async function cut(
  victim: Victim,
  synchronous: Synchronous,
  cuts: number,
  survives: (random: Random) => boolean,
): Promise<KillRun> {
  const random = seededRandom(seed)
  power = await Power.of(synchronous, () => survives(random))
  stage = await Stage.open(power)
  return killRun(stage, { victim, kills: cuts, inFlight: IN_FLIGHT, random, later: 2 * SLOW })
}

describe.skipIf(!traceable)('when the power fails (traced by strace, where there is one)', () => {
  test.each<Victim>(['sender', 'recipient'])(
    'and takes most of what was not synced, nothing that was promised is lost, doubled or out of order: %s',
    {
      timeout: 120_000,
    },
    async victim => {
      const { faults, inFlight, counters } = await cut(victim, 'FULL', CUTS, random => random.float() < SURVIVES)
      process.stdout.write(`seed ${seed}; ${JSON.stringify(counters)}; changes lost: ${power.lost}\n`)
      expect(faults, `seed ${seed}`).toEqual([])
      expect(inFlight).toHaveLength(CUTS)
      expect(Math.min(...inFlight)).toBeGreaterThanOrEqual(IN_FLIGHT)
      expect(power.lost, 'there was nothing to lose').toBeGreaterThan(0)
    },
  )

  // As the kills alone would not see: what was written is in the page cache, and outlives the process.
  test.each<Synchronous>(['OFF', 'NORMAL'])(
    'a store that was made to sync %s loses messages',
    {
      timeout: 120_000,
    },
    async synchronous => {
      const { faults } = await cut('sender', synchronous, 2, () => false)
      expect(power.lost).toBeGreaterThan(0)
      expect(faults).toContainEqual(expect.stringMatching(/^lost, \d/))
    },
  )
})
