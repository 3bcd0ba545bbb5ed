/** A number that was refused while its row is on the disk: a restart brings it back, so its epoch is not over before. */

import { expect, it } from 'vitest'
import { Epochs } from '../../src/feed/epochs.ts'
import { at, stateOf } from './positions.ts'

it.each([
  ['settled', (epochs: Epochs, id: string) => epochs.shrink(0).settled.some(({ epoch }) => epoch === id)],
  ['forgotten', (epochs: Epochs, id: string) => epochs.forget(id)],
])('an epoch is %s only once the rows of what was refused in it are gone', (_, ends) => {
  const [first, second] = ['a'.repeat(32), 'b'.repeat(32)] as [string, string]
  const epochs = new Epochs()
  for (const epoch of [first, second]) {
    epochs.open(epoch, [])
    epochs.accept(epoch, at(1, 0))
  }
  epochs.refuse(first, 1, 'expired')
  // Its author has nothing to ask of the first one any more.
  epochs.applyStates([{ ...stateOf(0, 1), epoch: second }])
  expect(ends(epochs, first)).toBe(false)
  // A batch has the refusal as well, and the row stays.
  epochs.snapshot(first)?.committed()
  expect(ends(epochs, first)).toBe(false)
  epochs.snapshot(first, [1])?.committed()
  expect(ends(epochs, first)).toBe(true)
})
