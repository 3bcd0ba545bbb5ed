/** Epochs of which nothing but openings and states ever came: they outlive nothing, and nobody misses them. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { toHex } from '../../src/common/bytes.ts'
import { FrameType, frameOf, statesFrame } from '../../src/delivery/frames.ts'
import { putEpoch } from '../../src/delivery/rows.ts'
import { Epochs, MAX_OPEN, type RangeWire } from '../../src/feed/index.ts'
import { agentIdOf, createIdentity, type Identity } from '../../src/identity/keys.ts'
import { makeOpening } from '../../src/security/opening.ts'
import type { OwnPrekey } from '../../src/security/prekeys.ts'
import { MESH } from '../contracts/network-world.ts'
import { DeliveryWorld, type Machine, type Node } from './world.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Every other number, as many ranges as a state may have. */
const MANY: RangeWire = [0, new Array(2_048).fill(1)]

let world: DeliveryWorld
let bobs: Machine
let bob: Node
let lost: unknown[]
beforeEach(async () => {
  world = new DeliveryWorld()
  bobs = await world.machine()
  lost = []
  await start()
})
afterEach(() => world.close())

async function start(handler?: Parameters<DeliveryWorld['start']>[1]): Promise<void> {
  bob = await world.start(bobs, handler, { onLost: (_, __, numbers) => void lost.push(numbers) })
}

const rows = (): Promise<number> => bobs.store.count('epochs', { prefix: ['in'] })

/** Opens epochs at bob, and says of each, and of another, what was skipped; returns their ids. */
async function open(author: Identity, count: number, other: readonly string[] = []): Promise<string[]> {
  const prekey = bob.prekeys.current() as OwnPrekey
  const { notAfter } = prekey
  const ids: string[] = []
  for (let i = 0; i < count; i++) {
    const options = { author, mesh: MESH, recipient: bob.id, prekey, earlier: [], notAfter, random: world.random }
    const { epoch, packet } = await makeOpening(options)
    ids.push(epoch)
    await bob.delivery.received(author.id, frameOf(FrameType.opening, packet))
  }
  const states = [...other, ...ids].map(epoch => ({ epoch, base: 0, last: 4_000, skips: MANY }))
  await bob.delivery.received(author.id, statesFrame(states))
  return ids
}

/** So many others come that it is looked for those who may be forgotten. */
async function crowd(): Promise<void> {
  const garbage = frameOf(FrameType.opening, new Uint8Array(40))
  for (let i = 0; i < 1_300; i++) await bob.delivery.received(agentIdOf(world.random.bytes(32)), garbage)
  bob.refused.length = 0
}

/** Which of these epochs are known: that they are somebody else's shows it. */
async function known(ids: readonly string[]): Promise<string[]> {
  const found: string[] = []
  const asker = agentIdOf(world.random.bytes(32))
  for (const epoch of ids) {
    bob.refused.length = 0
    await bob.delivery.received(asker, statesFrame([{ epoch, base: 0, last: 0, skips: [0, []] }]))
    if (bob.refused.includes('wrong-author')) found.push(epoch)
  }
  return found
}

function heap(): number {
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().heapUsed
}

describe('an identity of which no message came', () => {
  it('takes little memory and no disk, and is forgotten', async () => {
    await open(await createIdentity(), MAX_OPEN)
    const before = heap()
    const ids: string[] = []
    for (let i = 0; i < 10; i++) ids.push(...(await open(await createIdentity(), MAX_OPEN)))
    expect((heap() - before) / 10).toBeLessThan(700_000)
    expect(await rows()).toBe(0)
    expect(await known(ids.slice(0, 100))).toHaveLength(100)
    await crowd()
    expect(await known(ids.slice(0, 100))).toEqual([])
    expect(bob.errors).toEqual([])
  }, 60_000)
})

it('Epochs in which nothing arrived give way once there are 4,096, however few opened them', async () => {
  const ids: string[] = []
  for (let i = 0; i < 4_096 / MAX_OPEN; i++) ids.push(...(await open(await createIdentity(), MAX_OPEN)))
  expect(await known(ids)).toHaveLength(4_096)
  const latest = await open(await createIdentity(), 2)
  await world.clock.advance(1)
  expect(await known([...ids, ...latest])).toEqual(latest)
}, 60_000)

describe('an author of which a message came', () => {
  it('leaves, once it is away, the epoch with that message and no other', async () => {
    const ada = await world.start(await world.machine())
    await ada.meet(bob)
    await ada.send(bob, 'hello')
    await world.clock.advanceUntil(() => bob.texts.length === 1)
    await world.clock.advance(100)
    const [row] = await bobs.store.range('epochs', { prefix: ['in', ada.id] })
    const taken = row?.key[2] as string
    const ids = await open(ada.machine.identity, MAX_OPEN - 1, [taken])
    expect(await known([...ids, taken])).toHaveLength(MAX_OPEN)
    ada.crash()
    await world.clock.advanceUntil(() => bob.network.link(ada.id) === undefined)
    await crowd()
    expect(await known([...ids, taken])).toEqual([taken])
    expect(await rows()).toBe(1)
  }, 60_000)
})

describe('what its author gave up, where nothing arrived', () => {
  let adas: Machine
  let ada: Node
  beforeEach(async () => {
    adas = await world.machine()
    ada = await world.start(adas)
  })

  it('is confirmed without a row, and told again after a restart: nothing counts as lost', async () => {
    const late = await ada.send(bob, 'late', { ttl: 10 })
    // Its recipient hears that it is there, and does not get it.
    ada.breakers.get(bob.id)?.forceOpen()
    await ada.meet(bob)
    await world.clock.advanceUntil(() => late.receipt.recipients.get(bob.id)?.final === true)
    expect(late.status).toBe('expired')
    expect(await rows()).toBe(0)
    bob.crash()
    await start()
    ada.breakers.get(bob.id)?.reset()
    await ada.meet(bob)
    const next = await ada.send(bob, 'next')
    await world.clock.advanceUntil(() => next.receipt.recipients.get(bob.id)?.state === 'processed')
    await world.clock.advance(60_000)
    expect(bob.texts).toEqual(['next'])
    expect(await rows()).toBe(1)
    expect([lost, bob.holes, ada.refused]).toEqual([[], [], []])
  })

  it('holds up nothing of a later epoch after a restart, though its author does not come again', async () => {
    await ada.send(bob, 'late', { ttl: 10 })
    ada.crash()
    bob.crash()
    world.clock.jump(20_000)
    await start(() => 'waiting')
    ada = await world.start(adas)
    const next = await ada.send(bob, 'next')
    await ada.meet(bob)
    await world.clock.advanceUntil(() => next.status === 'delivered')
    // By then its author has heard of the skip, and names the epoch no more.
    await world.clock.advance(60_000)
    expect(await rows()).toBe(1)
    for (const node of [ada, bob]) node.crash()
    await start()
    await world.clock.advance(1_000)
    expect(bob.texts).toEqual(['next'])
  })

  it('nor where that author has gone before it could name the epoch no more', async () => {
    await ada.send(bob, 'late', { ttl: 10 })
    ada.crash()
    bob.crash()
    world.clock.jump(20_000)
    let offered = false
    await start(() => {
      offered = true
      return 'waiting'
    })
    ada = await world.start(adas)
    const next = await ada.send(bob, 'next')
    await ada.meet(bob)
    await world.clock.advanceUntil(() => next.status === 'delivered' && offered)
    ada.crash()
    await world.clock.advance(60_000)
    bob.crash()
    await start()
    await world.clock.advance(1_000)
    expect(bob.texts).toEqual(['next'])
  })
})

it('A row without anything that arrived, as a commit that failed may leave it, goes at the next start', async () => {
  const { id } = await createIdentity()
  const epoch = toHex(world.random.bytes(16))
  const epochs = new Epochs()
  epochs.open(epoch, [])
  epochs.applyStates([{ epoch, base: 0, last: 4_000, skips: MANY }])
  const snapshot = epochs.snapshot(epoch)?.value
  const row = { key: world.random.bytes(32), notAfter: world.clock.now() + 86_400_000, earlier: [], snapshot }
  bob.crash()
  await bobs.store.commit({ writes: [putEpoch(id, epoch, row)] })
  await start()
  await world.clock.advance(1)
  expect(await rows()).toBe(0)
  expect(await known([epoch])).toEqual([])
})
