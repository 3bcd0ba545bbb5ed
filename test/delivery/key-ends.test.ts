/** When the keys of epochs are gone: what was recorded of a direct message is then closed to whoever takes a store. */

import { afterEach, expect, it } from 'vitest'
import { FrameType, readEnvelope } from '../../src/delivery/frames.ts'
import { readEpoch, readOpeningRow } from '../../src/delivery/rows.ts'
import { openEnvelope } from '../../src/delivery/sealing.ts'
import type { Tracking } from '../../src/delivery/tracker.ts'
import { importKey } from '../../src/security/aead.ts'
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

/** Time goes by with nothing under way but what a running agent does on its own. */
async function later(ms: number, nodes: readonly Node[] = [ada, bob]): Promise<void> {
  const driven = Math.min(ms, HOUR)
  await world.clock.advance(driven)
  world.clock.jump(ms - driven)
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
  for (let round = 0; round < 4; round++) {
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

it('what waits for its recipient keeps its key until it has arrived or expired', async () => {
  await linked()
  bob.crash()
  await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
  const tracking = await ada.send(bob, 'later', { ttl: (30 * DAY) / 1_000 })
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
  expect(await adas.store.count('epochs', { prefix: ['out'] })).toBe(1)
  bob = await world.start(bobs)
  await ada.meet(bob)
  await handled('three')
  expect(bob.texts).toEqual(['three'])
  await later(HOUR)
  expect(await adas.store.count('epochs', { prefix: ['out'] })).toBe(0)
  expect([...ada.errors, ...bob.errors, ...ada.refused, ...bob.refused]).toEqual([])
})
