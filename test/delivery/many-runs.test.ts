/** An author that starts anew many times while something of each run waits for a handler. */

import { expect, test } from 'vitest'
import { openEpoch } from '../../src/delivery/out-epoch.ts'
import { OwnEpochs } from '../../src/delivery/own-epochs.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { MAX_EARLIER } from '../../src/security/opening.ts'
import { type Prekey, PrekeyRing } from '../../src/security/prekeys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { DeliveryWorld } from './world.ts'

const WEEK = 7 * 86_400

test('what is sent after more of them than an opening can name arrives, and each class keeps its order', async () => {
  const world = new DeliveryWorld()
  const { clock } = world
  const open = Promise.withResolvers<void>()
  const bob = await world.start(await world.machine(), ({ message }) =>
    message.priority === 9 ? Promise.resolve() : open.promise,
  )
  const machine = await world.machine()
  let ada = await world.start(machine)
  const runs = MAX_EARLIER + 4
  for (let run = 0; run < runs; run++) {
    await ada.meet(bob)
    const sent = await ada.send(bob, run, { ttl: WEEK, priority: 1 })
    await clock.advanceUntil(() => sent.receipt.recipients.get(bob.id)?.state === 'delivered')
    await clock.advance(10)
    ada.crash()
    await clock.advanceUntil(() => bob.network.link(machine.identity.id) === undefined)
    ada = await world.start(machine)
  }
  await ada.meet(bob)
  await ada.send(bob, 'urgent', { priority: 9 })
  await ada.send(bob, runs, { ttl: WEEK, priority: 1 })
  const once = ada.delivery.draft(ada.message(bob, 'once', { guarantee: 'at-most-once' }), 'message')
  await ada.delivery.sendOnce(once, bob.id)
  await clock.advanceUntil(() => bob.texts.includes('urgent') && bob.once.length === 1)
  open.resolve()
  await clock.advanceUntil(() => bob.texts.length === runs + 2)
  expect(bob.texts.filter(text => text !== 'urgent')).toEqual(Array.from({ length: runs + 1 }, (_, run) => run))
  expect(bob.errors).toEqual([])
  await world.close()
}, 60_000)

/** An author's epochs towards bob; `next` opens one, which names those before it. */
async function epochsToBob() {
  const world = new DeliveryWorld()
  const [author, bob] = [await createIdentity(undefined, world.random), await createIdentity(undefined, world.random)]
  const ring = new PrekeyRing({ store: memoryStore(), random: world.random })
  await ring.rotate(0)
  const prekey = ring.current() as Prekey
  const own = new OwnEpochs('bob', world.clock, () => {})
  const options = { author, mesh: 'demo', recipient: bob.id, prekey, random: world.random, now: 0 }
  return { own, prekey, next: () => openEpoch({ ...options, earlier: own.earlier() }) }
}

test('an opening names those in which something is missing first, and the newest of the others', async () => {
  const { own, prekey, next } = await epochsToBob()
  const ids: string[] = []
  const begin = async (arrives: boolean): Promise<void> => {
    own.end()
    const epoch = await next()
    const { number } = epoch.feed.next(0)
    if (arrives) {
      const delivered = [number, []] as const
      epoch.feed.acked({ epoch: epoch.id, delivered, processed: [0, []], refused: [], skipped: [0, []] })
    }
    ids.push(epoch.id)
    own.begin(epoch)
  }
  await begin(false)
  for (let i = 1; i < MAX_EARLIER + 10; i++) await begin(true)
  own.end()
  expect(own.earlier()).toEqual([ids[0], ...ids.slice(1 - MAX_EARLIER)])
  expect(own.openable(0, prekey)).toBe(prekey)
  // Its states have to name them all, and the next one.
  while (ids.length < 127) await begin(true)
  own.end()
  expect(own.openable(0, prekey)).toBe(prekey)
  await begin(true)
  own.end()
  expect(own.openable(0, prekey)).toBeUndefined()
})

test('nothing is opened while more of them than an opening can name miss something', async () => {
  const { own, prekey, next } = await epochsToBob()
  for (let i = 0; i <= MAX_EARLIER; i++) {
    expect(own.openable(0, prekey)).toBe(prekey)
    const epoch = await next()
    epoch.feed.next(0)
    own.begin(epoch)
    own.end()
  }
  expect(own.openable(0, prekey)).toBeUndefined()
})
