/** A sample of planted bugs. `npm run soak -- planted` goes through all of them. */

import { expect, it } from 'vitest'
import { BUGS } from './bugs.ts'
import { hunt } from './hunt.ts'
import type { Bug } from './plant.ts'

/** How many seeds each may take. */
const SEEDS = 10

it.each([
  'ack-before-commit',
  'number-counted-back',
  'order-by-arrival',
  'settled-check-left-out',
  'enc-unsigned',
  'deletions-stay-in-the-log',
])(`finds a planted bug within ${SEEDS} seeds: %s`, async name => {
  const bug = BUGS.find(known => known.name === name) as Bug
  const found = await hunt(bug, { from: 1, to: SEEDS })
  expect(found).toMatchObject({ kind: 'fault', fault: expect.any(String) })
})

it('finds nothing where none is planted, with all simulations in one process', async () => {
  expect(await hunt(undefined, { from: 1, to: 2 })).toBeUndefined()
})
