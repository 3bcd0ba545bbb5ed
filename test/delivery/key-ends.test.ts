/** When the keys of epochs are gone: what was recorded of a direct message is then closed to whoever takes a store. */

import { afterEach, expect, it } from 'vitest'
import { FrameType, readEnvelope } from '../../src/delivery/frames.ts'
import { readEpoch, readOpeningRow } from '../../src/delivery/rows.ts'
import { openEnvelope } from '../../src/delivery/sealing.ts'
import type { Tracking } from '../../src/delivery/tracker.ts'
import { importKey } from '../../src/security/aead.ts'
import type { Prekey } from '../../src/security/prekeys.ts'
import { DeliveryWorld, type Handler, type Machine, type Node } from './world.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

let world: DeliveryWorld
let adas: Machine
let bobs: Machine
let ada: Node
let bob: Node
/** Everything that went to the recipient. */
let frames: Uint8Array[]
afterEach(() => world.close())

/** The prekeys of those who are away are known to her. */
const startAda = (): Promise<Node> =>
  world.start(adas, undefined, { prekeyOf: agent => world.rings.get(agent)?.current() })

/** Somebody with a link to another, and someone who records what goes over it. */
async function linked(handler?: Handler): Promise<void> {
  world = new DeliveryWorld()
  adas = await world.machine()
  bobs = await world.machine()
  ada = await startAda()
  bob = await world.start(bobs, handler)
  frames = []
  const received = bob.delivery.received.bind(bob.delivery)
  bob.delivery.received = (from, frame) => {
    frames.push(frame.slice())
    return received(from, frame)
  }
  await ada.meet(bob)
}

const stateAt = (tracking: Tracking | undefined, node: Node): unknown =>
  tracking?.receipt.recipients.get(node.id)?.state

async function handled(text: string): Promise<void> {
  const tracking = await ada.send(bob, text)
  await world.clock.advanceUntil(() => stateAt(tracking, bob) === 'processed')
  await world.clock.advance(1_000)
}

/** How many of the recorded messages the keys in a store open. */
async function readable(machine: Machine): Promise<number> {
  const keys = (await machine.store.range('epochs')).flatMap(entry => {
    if (entry.key[0] === 'out') return readOpeningRow(entry).row.keyBytes
    const { row } = readEpoch(entry)
    return 'key' in row ? row.key : []
  })
  let count = 0
  for (const frame of frames) {
    if (frame[0] !== FrameType.envelope) continue
    for (const bytes of keys) {
      const of = { author: ada.id, self: bob.id, mesh: readEnvelope(frame.subarray(1)).header.mesh }
      const opening = (async () => openEnvelope(await importKey(bytes), readEnvelope(frame.subarray(1)), of as never))()
      count += await opening.then(() => 1).catch(() => 0)
    }
  }
  return count
}

/** Time goes by, days of it by the calendar alone, and running agents tidy up. */
async function later(ms: number, nodes: readonly Node[] = [ada, bob]): Promise<void> {
  if (ms <= HOUR) await world.clock.advance(ms)
  else world.clock.jump(ms)
  for (const node of nodes) await node.prekeys.rotate(world.clock.now())
  for (const node of nodes) await node.delivery.tidy()
  await world.clock.advance(1_000)
}

it('an author has the key of what is settled until nothing was sent for an hour, and no longer', async () => {
  await linked()
  await handled('one')
  await later(HOUR / 2)
  expect(await readable(adas)).toBe(1)
  await later(HOUR / 2)
  expect(await readable(adas)).toBe(0)
  expect(await adas.store.count('epochs', { prefix: ['out'] })).toBe(0)
  // What is sent now is in another epoch, with which its recipient lets go of the first.
  await handled('two')
  expect(bob.texts).toEqual(['one', 'two'])
  expect(await readable(adas)).toBe(1)
  expect(await readable(bobs)).toBe(1)
  expect([...ada.errors, ...bob.errors, ...ada.refused, ...bob.refused]).toEqual([])
})

it('what is sent in the turn in which its epoch is found quiet arrives once, in its order', async () => {
  await linked()
  const texts: string[] = []
  for (let round = 0; round < 2; round++) {
    texts.push(`${round} a`, `${round} b`)
    await world.clock.advance(HOUR)
    const first = round % 2 === 0 && ada.send(bob, `${round} a`)
    const tidied = ada.delivery.tidy()
    const sent = [first || ada.send(bob, `${round} a`), ada.send(bob, `${round} b`)]
    await Promise.all([tidied, ...sent])
    await world.clock.advanceUntil(() => bob.texts.length === texts.length)
    await world.clock.advance(1_000)
  }
  expect(bob.texts).toEqual(texts)
  expect(await adas.store.count('outbox')).toBe(0)
  expect([...ada.errors, ...bob.errors, ...ada.refused, ...bob.refused]).toEqual([])
})

it('an epoch whose row could not be deleted is deleted the next time', async () => {
  await linked()
  await handled('one')
  const commit = adas.store.commit.bind(adas.store)
  adas.store.commit = () => Promise.reject(new Error('no'))
  await later(HOUR, [ada])
  expect(ada.errors).toHaveLength(1)
  adas.store.commit = commit
  expect(await readable(adas)).toBe(1)
  await ada.delivery.tidy()
  expect(await readable(adas)).toBe(0)
})

it('an epoch ends within three weeks, whatever its recipient says of its prekey', async () => {
  await linked()
  ada.crash()
  await world.clock.advanceUntil(() => bob.network.link(ada.id) === undefined)
  const prekeyOf = (agent: string): Prekey | undefined => {
    const prekey = world.rings.get(agent)?.current()
    return prekey && { ...prekey, notAfter: 2 ** 50 }
  }
  ada = await world.start(adas, undefined, { prekeyOf })
  await ada.meet(bob)
  bob.crash()
  await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
  await ada.send(bob, 'two', { ttl: 600 })
  await later(HOUR, [ada])
  expect(await adas.store.count('epochs', { prefix: ['out'] })).toBe(1)
  await later(21 * DAY, [ada])
  expect(await adas.store.count('epochs', { prefix: ['out'] })).toBe(0)
})

it('what waits for its recipient keeps its key until it has arrived or expired', async () => {
  await linked()
  bob.crash()
  await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
  const tracking = await ada.send(bob, 'later', { ttl: (30 * DAY) / 1_000 })
  await later(HOUR, [ada])
  await later(10 * DAY, [ada])
  expect(await adas.store.count('outbox')).toBe(1)
  bob = await world.start(bobs)
  await ada.meet(bob)
  await world.clock.advanceUntil(() => stateAt(tracking, bob) === 'processed')
  expect(bob.texts).toEqual(['later'])
  await world.clock.advance(1_000)
  await later(HOUR)
  expect(await adas.store.count('epochs', { prefix: ['out'] })).toBe(0)
  expect([...ada.errors, ...bob.errors]).toEqual([])
})

it('a key is gone from its row while the word on what it sealed is waited for, which is heard after a restart', async () => {
  let wanted = false
  await linked(() => (wanted ? Promise.resolve() : 'waiting'))
  const tracking = await ada.send(bob, 'one', { ttl: (30 * DAY) / 1_000 })
  await world.clock.advanceUntil(() => stateAt(tracking, bob) === 'delivered')
  // As long as another message may go into it.
  await later(HOUR)
  expect(await readable(adas)).toBe(1)
  // A new prekey is shown.
  await later(8 * DAY)
  expect(await readable(adas)).toBe(0)
  expect(await adas.store.count('epochs', { prefix: ['out'] })).toBe(1)
  ada.crash()
  await world.clock.advanceUntil(() => bob.network.link(ada.id) === undefined)
  ada = await startAda()
  await ada.meet(bob)
  wanted = true
  bob.delivery.offerAgain()
  await world.clock.advanceUntil(() => stateAt(ada.tracker.tracking(tracking.id), bob) === 'processed')
  await world.clock.advance(1_000)
  expect(await adas.store.count('epochs', { prefix: ['out'] })).toBe(0)
  expect([...ada.errors, ...bob.errors, ...ada.refused, ...bob.refused]).toEqual([])
})

it('what has expired leaves no key beyond the end of its prekey, though its recipient is away', async () => {
  await linked()
  await handled('one')
  bob.crash()
  await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
  const tracking = await ada.send(bob, 'two', { ttl: 600 })
  await world.clock.advanceUntil(() => stateAt(tracking, bob) === 'expired')
  await later(HOUR, [ada])
  expect(await readable(adas)).toBe(1)
  // Its prekey has ended.
  await later(21 * DAY, [ada])
  expect(await readable(adas)).toBe(0)
  expect(await adas.store.count('epochs', { prefix: ['out'] })).toBe(0)
  bob = await world.start(bobs)
  await ada.meet(bob)
  await handled('three')
  expect(bob.texts).toEqual(['three'])
  expect([...ada.errors, ...bob.errors, ...ada.refused, ...bob.refused]).toEqual([])
})

/** The recipient has something that waits for what its author, who is gone, has sent and is lost. */
async function gap(lost: (frame: Uint8Array) => boolean): Promise<void> {
  const received = bob.delivery.received.bind(bob.delivery)
  bob.delivery.received = (from, frame) => (lost(frame) ? undefined : received(from, frame))
  const sent = [2, 3].map(number => ada.send(bob, number, { ttl: (30 * DAY) / 1_000 }))
  await Promise.all(sent)
  await world.clock.advance(100)
  ada.crash()
  await world.clock.advanceUntil(() => bob.network.link(ada.id) === undefined)
  expect(bob.texts).toEqual(['one'])
  expect(await bobs.store.count('inbox')).toBe(1)
}

/** Its key is there as long as anything may come in it, and then no longer. */
async function over(): Promise<void> {
  await later(51 * DAY, [bob])
  expect(await readable(bobs)).toBeGreaterThan(0)
  await later(2 * DAY, [bob])
  expect([await bobs.store.count('inbox'), bob.deadLetters.count()]).toEqual([0, 1])
  await later(HOUR, [bob])
  expect(await bobs.store.count('epochs', { prefix: ['in'] })).toBe(0)
  expect(bob.texts).toEqual(['one'])
  expect(bob.errors).toEqual([])
}

it('a recipient has the key of an epoch for 31 days after its end at most, whatever is missing in it', async () => {
  await linked()
  await handled('one')
  await gap(frame => frame[0] === FrameType.envelope && readEnvelope(frame.subarray(1)).header.number === 2)
  await over()
})

it('so it has where an earlier epoch is missing, or the end of one', async () => {
  await linked()
  await handled('one')
  await gap(frame => frame[0] === FrameType.envelope && readEnvelope(frame.subarray(1)).header.number === 2)
  // Of her next run, what says that the earlier epoch is over is lost as well.
  ada = await startAda()
  const received = bob.delivery.received.bind(bob.delivery)
  bob.delivery.received = (from, frame) => {
    const passes = [FrameType.opening, FrameType.envelope].includes(frame[0] as never)
    const earlier = frame[0] === FrameType.envelope && readEnvelope(frame.subarray(1)).header.number === 2
    return passes && !earlier ? received(from, frame) : undefined
  }
  await ada.send(bob, 'held', { ttl: (30 * DAY) / 1_000 })
  await ada.meet(bob)
  await world.clock.advance(5_000)
  ada.crash()
  await world.clock.advanceUntil(() => bob.network.link(ada.id) === undefined)
  expect(await bobs.store.count('inbox')).toBe(2)
  await later(53 * DAY, [bob])
  expect([await bobs.store.count('inbox'), bob.deadLetters.count()]).toEqual([0, 2])
  await later(HOUR, [bob])
  expect(await bobs.store.count('epochs', { prefix: ['in'] })).toBe(0)
  expect(bob.errors).toEqual([])
})
