/** Who was written to is not held for ever, and is written to again as if it were. */

import { afterEach, expect, it } from 'vitest'
import { acksFrame, FrameType, readEnvelope, unknownEpochsFrame } from '../../src/delivery/frames.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { DeliveryWorld, type Node } from './world.ts'

const MANY = 3_000
const BOUND = 1_024
/** How long nothing is sent to one that gives way, and how often it is looked for them, ms. */
const IDLE = 300_000
const SWEEP = 60_000

let world: DeliveryWorld
afterEach(() => world.close())

/** Ids of agents that are nowhere. */
const strangers = (count: number): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, async () => (await createIdentity(undefined, world.random)).id))

/** Sends a message to somebody that is not there; the epoch it is in. */
async function write(ada: Node, to: string): Promise<string> {
  await ada.send({ id: to } as Node, 'hello')
  const rows = await ada.machine.store.range('outbox', { prefix: [to] })
  return rows.at(-1)?.key[1] as string
}

/** The word of its recipient that the first message of an epoch is processed. */
const settle = (ada: Node, from: string, epoch: string): void | Promise<void> =>
  ada.delivery.received(
    from,
    acksFrame(100, [{ epoch, delivered: [1, []], processed: [1, []], refused: [], skipped: [0, []] }]),
  )

/** Those of some recipients whose epochs are held: a word on any other is refused. */
async function held(ada: Node, epochs: ReadonlyMap<string, string>): Promise<string[]> {
  const known: string[] = []
  for (const [to, epoch] of epochs) {
    ada.refused.length = 0
    await settle(ada, to, epoch)
    if (ada.refused.length === 0) known.push(to)
    else expect(ada.refused).toEqual(['unknown-epoch'])
  }
  ada.refused.length = 0
  return known
}

it('at most so many that nothing waits for are held, in memory and on the disk', async () => {
  world = new DeliveryWorld()
  const bob = await world.start(await world.machine())
  const ada = await world.start(await world.machine(), undefined, { prekeyOf: () => bob.prekeys.current() })
  const epochs = new Map<string, string>()
  const all = await strangers(MANY)
  const [waiting, failing, forced] = all as [string, string, string]
  for (const to of all) {
    epochs.set(to, await write(ada, to))
    if (to !== waiting) await settle(ada, to, epochs.get(to) as string)
    if (to === failing) ada.breakers.get(to)?.admit()?.fail(new Error('no answer'))
    if (to === forced) ada.breakers.get(to)?.forceOpen()
  }
  const settled = new Map([...epochs].filter(([to]) => to !== waiting))
  const openings = (): Promise<number> => ada.machine.store.count('epochs', { prefix: ['out'] })
  expect(await openings()).toBe(MANY)
  while ((await openings()) > BOUND) await world.clock.advance(SWEEP)
  expect(world.clock.monotonic()).toBeLessThanOrEqual(IDLE + 2 * SWEEP)
  // Whoever something waits for stays; of the others those written to last. What failed is known without them.
  const stay = all.slice(-(BOUND - 1))
  const left = await held(ada, settled)
  expect(left).toEqual(stay)
  expect(ada.breakers.get(failing as string)?.failureCount).toBe(1)
  expect(ada.breakers.get(forced as string)?.forced).toBe(true)
  await settle(ada, waiting, epochs.get(waiting) as string)
  expect(await ada.machine.store.count('outbox')).toBe(0)
  expect([...ada.errors, ...ada.refused]).toEqual([])
}, 120_000)

it('one that gave way is written to again, and order holds', async () => {
  world = new DeliveryWorld()
  const bobs = await world.machine()
  let bob = await world.start(bobs)
  const ada = await world.start(await world.machine(), undefined, { prekeyOf: () => bob.prekeys.current() })
  await ada.meet(bob)
  for (const text of ['one', 'two']) await ada.send(bob, text)
  await world.clock.advanceUntil(() => bob.texts.length === 2)
  await world.clock.advance(5_000)
  const before = await ada.machine.store.range('epochs', { prefix: ['out', bob.id] })
  expect(before).toHaveLength(1)
  bob.crash()
  await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
  for (const to of await strangers(BOUND)) await settle(ada, to, await write(ada, to))
  await world.clock.advance(IDLE + SWEEP)
  while ((await ada.machine.store.count('epochs', { prefix: ['out', bob.id] })) > 0) await world.clock.advance(SWEEP)
  expect(ada.breakers.states().has(bob.id)).toBe(false)
  for (const text of ['three', 'four']) await ada.send(bob, text)
  bob = await world.start(bobs)
  await ada.meet(bob)
  await world.clock.advanceUntil(() => bob.texts.length === 2)
  await ada.send(bob, 'five')
  await world.clock.advanceUntil(() => bob.texts.length === 3)
  await world.clock.advance(5_000)
  expect(bob.texts).toEqual(['three', 'four', 'five'])
  expect(await ada.machine.store.count('outbox')).toBe(0)
  expect([...ada.errors, ...bob.errors, ...ada.refused, ...bob.refused]).toEqual([])
}, 120_000)

it('what is open to nobody and has nothing in it is gone from the disk after a restart', async () => {
  world = new DeliveryWorld()
  const bob = await world.start(await world.machine())
  const adas = await world.machine()
  let ada = await world.start(adas)
  await ada.meet(bob)
  for (let run = 0; run < 3; run++) {
    const tracking = await ada.send(bob, `run ${run}`)
    await world.clock.advanceUntil(() => tracking.receipt.recipients.get(bob.id)?.state === 'processed')
    await world.clock.advance(5_000)
    ada.crash()
    ada = await world.start(adas)
    expect(await adas.store.count('epochs', { prefix: ['out'] })).toBe(0)
    await ada.meet(bob)
  }
  expect(bob.texts).toEqual(['run 0', 'run 1', 'run 2'])
})

it('what an agent sent to itself and did not handle comes after a restart', async () => {
  world = new DeliveryWorld()
  const adas = await world.machine()
  const first = await world.start(adas, () => 'waiting', { maxOutbox: { messages: 10 }, inbox: { messages: 1 } })
  for (const text of ['one', 'two']) await first.send(first, text)
  await world.clock.advance(5_000)
  await first.delivery.close()
  first.crash()
  // One has arrived and has no end; there was no room for the other.
  expect([await adas.store.count('inbox'), await adas.store.count('outbox')]).toEqual([1, 2])
  const ada = await world.start(adas)
  await world.clock.advanceUntil(() => ada.texts.length === 2)
  expect(ada.texts).toEqual(['one', 'two'])
})

it('an epoch that is not known there is opened again at once, and not once for each word of it', async () => {
  world = new DeliveryWorld()
  const [ada, bob] = [await world.start(await world.machine()), await world.start(await world.machine())]
  await ada.meet(bob)
  const received = bob.delivery.received.bind(bob.delivery)
  let lost = true
  const envelopes: number[] = []
  let openings = 0
  bob.delivery.received = (from, frame) => {
    if (frame[0] === FrameType.opening) openings++
    // The opening is lost, once.
    if (frame[0] === FrameType.opening && lost) {
      lost = false
      return
    }
    if (frame[0] === FrameType.envelope) envelopes.push(readEnvelope(frame.subarray(1)).header.number)
    return received(from, frame)
  }
  const at = world.clock.monotonic()
  await Promise.all(Array.from({ length: 100 }, (_, i) => ada.send(bob, `number ${i}`)))
  await world.clock.advanceUntil(() => bob.texts.length === 100)
  // Long before anybody's patience is over.
  expect(world.clock.monotonic() - at).toBeLessThan(500)
  expect(openings).toBe(2)
  expect(envelopes).toHaveLength(200)
  await world.clock.advance(5_000)
  // A recipient that goes on saying so has it sent once for as long as an answer may take.
  const epoch = (await ada.machine.store.range('epochs', { prefix: ['out', bob.id] }))[0]?.key[2] as string
  bob.delivery.received = (_from, frame) => {
    if (frame[0] === FrameType.envelope) envelopes.push(readEnvelope(frame.subarray(1)).header.number)
    if (frame[0] === FrameType.opening) openings++
  }
  ;[openings, envelopes.length] = [0, 0]
  await ada.send(bob, 'lost')
  await world.clock.advance(100)
  expect(envelopes).toHaveLength(1)
  const word = unknownEpochsFrame([epoch])
  for (let i = 0; i < 50; i++) await ada.delivery.received(bob.id, word)
  await world.clock.advance(100)
  expect([openings, envelopes.length]).toEqual([1, 2])
})
