/** What was handed on is handed on again after a restart, though its author stays away, however everything came. */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { runs } from '../feed/properties.ts'
import { type Planned, Restarts, type Step } from './restarts.ts'

const EPOCHS = 3
const NUMBERS = 2

const anyEpoch = fc.nat(EPOCHS - 1)
const anyMessage = fc.record({ given: fc.boolean(), priority: fc.nat(1) })
const anyPlan = fc.array(fc.array(anyMessage, { minLength: 1, maxLength: NUMBERS }), {
  minLength: 2,
  maxLength: EPOCHS,
})
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant('opening' as const), epoch: anyEpoch }) },
  {
    weight: 12,
    arbitrary: fc.record({
      op: fc.constant('envelope' as const),
      epoch: anyEpoch,
      number: fc.integer({ min: 1, max: NUMBERS }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('word' as const), epoch: anyEpoch, settles: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('handled' as const) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('patience' as const) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('restart' as const) }) },
)

const sent: Planned = { given: false, priority: 0 }
const given: Planned = { ...sent, given: true }
const opening = (epoch: number): Step => ({ op: 'opening', epoch })
const first = (epoch: number): Step => ({ op: 'envelope', epoch, number: 1 })
const word: Step = { op: 'word', epoch: 1, settles: false }
const handled: Step = { op: 'handled' }

/** The second epoch opens while its author has not heard that all of the first was handled. */
const inTurn: Step[] = [opening(0), first(0), handled, opening(1), first(1), word]

/** Each was held once: what the row of the earlier epoch has to say, and what that of the later one. */
const KNOWN: [Planned[][], Step[]][] = [
  [[[sent], [sent]], inTurn],
  [
    [[given], [sent]],
    [opening(0), opening(1), word, first(1)],
  ],
  [
    [[given], [sent]],
    [opening(0), opening(1), first(1), word],
  ],
  [
    [[given], [sent]],
    [opening(1), first(1), { ...word, settles: true }],
  ],
  [
    [[sent], [sent]],
    [opening(1), first(1), { op: 'patience' }],
  ],
  // The second waits for a word on the first, though all of both is here, and the third comes before that.
  [
    [[sent], [sent], [sent]],
    [
      opening(0),
      opening(1),
      first(0),
      first(1),
      opening(2),
      first(2),
      handled,
      handled,
      { ...word, epoch: 2 },
      handled,
    ],
  ],
]

/** Whatever comes, in whichever order, is handed on in its own, and again after each restart. */
async function hold(lean: boolean, times: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(anyPlan, fc.array(anyStep, { maxLength: 30, size: 'max' }), async (plan, steps) => {
      const restarts = await Restarts.make(plan, lean)
      try {
        for (const step of steps) await restarts.take(step)
        await restarts.finish()
      } finally {
        restarts.end()
      }
    }),
    { ...runs(times), examples: KNOWN },
  )
}

it(
  'What was handed on is handed on again after a restart, in whichever order everything came',
  () => hold(false, 300),
  60_000,
)

it('It is so too where openings do not name the epochs of which everything has arrived', () => hold(true, 150), 60_000)

it('What waits for a handler has its end when its time is over, though what came before it is long forgotten', async () => {
  const restarts = await Restarts.make([[sent], [sent]])
  for (const step of inTurn) await restarts.take(step)
  restarts.world.clock.jump(53 * 86_400_000)
  await restarts.bob.delivery.tidy()
  expect(await restarts.machine.store.count('epochs', { prefix: ['in'] })).toBe(1)
  await restarts.restart(false)
  expect(await restarts.machine.store.count('inbox')).toBe(0)
  restarts.end()
})
