/** Epochs of earlier runs, as they come out of a store: by their ids, which say nothing of their age. */

import { beforeAll, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { readStates } from '../../src/delivery/frames.ts'
import { type OutEpoch, openEpoch } from '../../src/delivery/out-epoch.ts'
import { OwnEpochs } from '../../src/delivery/own-epochs.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { LEAST_FRAME_BYTES } from '../../src/message/validate.ts'
import { MAX_EARLIER } from '../../src/security/opening.ts'
import { type Prekey, PrekeyRing } from '../../src/security/prekeys.ts'
import { memoryStore } from '../../src/store/memory.ts'

let make: (...earlier: OutEpoch[]) => Promise<OutEpoch>
beforeAll(async () => {
  const random = seededRandom(1)
  const [author, bob] = [await createIdentity(undefined, random), await createIdentity(undefined, random)]
  const ring = new PrekeyRing({ store: memoryStore(), random })
  await ring.rotate(0)
  const prekey = ring.current() as Prekey
  make = (...earlier) =>
    openEpoch({ author, mesh: 'demo', recipient: bob.id, prekey, earlier: earlier.map(({ id }) => id), random, now: 0 })
})

const loaded = (epochs: readonly OutEpoch[]): OutEpoch[] =>
  new OwnEpochs('bob', new DrivenClock(), () => {}).load(epochs)

function* orders<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield []
  for (const [i, item] of items.entries()) for (const rest of orders(items.toSpliced(i, 1))) yield [item, ...rest]
}

test('each comes after all that it names, however they were stored', async () => {
  const oldest = await make()
  const second = await make(oldest)
  // It names none: those before it were settled, or went with the store.
  const alone = await make()
  const third = await make(second, alone)
  // What it names is not all here any more.
  const last = await make(await make(), third)
  for (const stored of orders([oldest, second, alone, third, last])) {
    const sorted = loaded(stored)
    const ids = sorted.map(({ id }) => id)
    expect(new Set(sorted)).toEqual(new Set(stored))
    expect(sorted.map(({ order }) => order)).toEqual([1, 2, 3, 4, 5])
    for (const [i, { earlier }] of sorted.entries()) {
      for (const id of earlier) expect(ids.indexOf(id)).toBeLessThan(i)
    }
  }
})

test('those that name none stay in the order in which they were stored', async () => {
  const epochs = [await make(), await make(), await make()]
  expect(loaded(epochs)).toEqual(epochs)
})

test('their states fit the least frame that a recipient takes, with all of them in it, however many gaps they have', async () => {
  const epochs: OutEpoch[] = []
  for (let i = 0; i <= MAX_EARLIER; i++) {
    const epoch = await make(...epochs)
    for (let number = 1; number <= 2_048; number++) {
      epoch.feed.next(0)
      if (number % 2 === 0) epoch.feed.skip(number)
    }
    epoch.stored = true
    epochs.push(epoch)
  }
  const own = new OwnEpochs('bob', new DrivenClock(), () => {})
  own.load(epochs)
  const frame = own.states() as Uint8Array
  expect(frame.length).toBeLessThanOrEqual(LEAST_FRAME_BYTES)
  const states = readStates(frame.subarray(1))
  expect(states.map(({ epoch }) => epoch)).toEqual(epochs.map(({ id }) => id))
  for (const { last, skips } of states) {
    expect(last).toBe(2_048)
    expect(skips[1].length).toBeGreaterThan(400)
  }
})
