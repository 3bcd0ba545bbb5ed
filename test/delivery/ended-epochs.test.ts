/** What is remembered of authors that do not come any more, and for how long. */

import { afterEach, expect, it, vi } from 'vitest'
import { toHex } from '../../src/common/bytes.ts'
import { nextTask } from '../../src/common/slices.ts'
import { FrameType, statesFrame } from '../../src/delivery/frames.ts'
import { Incoming } from '../../src/delivery/incoming.ts'
import { putSettled } from '../../src/delivery/rows.ts'
import { agentIdOf } from '../../src/identity/keys.ts'
import { DEFAULT_LIMITS } from '../../src/message/validate.ts'
import { DeliveryWorld, type Handler, type Machine, type Node } from './world.ts'

const DAY = 86_400_000
/** A prekey is used for 21 days; what was sealed on the last has expired 30 days later. */
const KEPT = 52 * DAY

let world: DeliveryWorld
let bobs: Machine
let adas: string
/** Everything that the author sent. */
let frames: Uint8Array[]
afterEach(() => world.close())

/** Somebody who wrote once, and is gone; so is the run that heard of it. */
async function heard(handler?: Handler): Promise<void> {
  world = new DeliveryWorld()
  bobs = await world.machine()
  const [ada, bob] = [await world.start(await world.machine()), await world.start(bobs, handler)]
  adas = ada.id
  await ada.meet(bob)
  frames = []
  const received = bob.delivery.received.bind(bob.delivery)
  bob.delivery.received = (from, frame) => {
    frames.push(frame.slice())
    return received(from, frame)
  }
  await ada.send(bob, 'hello', { ttl: (30 * DAY) / 1_000 })
  await world.clock.advanceUntil(() => frames.some(([type]) => type === FrameType.envelope))
  await world.clock.advance(1_000)
  for (const node of [ada, bob]) {
    await node.delivery.close()
    node.crash()
  }
}

const openings = (): Promise<number> => bobs.store.count('epochs', { prefix: ['in'] })

/** Has everything of the author played again, to a run of now. */
async function replay(bob: Node): Promise<void> {
  for (const frame of frames) await bob.delivery.received(adas, frame)
  await world.clock.advance(100)
}

it('an epoch is remembered for as long as anything of it could be taken again', async () => {
  await heard()
  world.clock.jump(29 * DAY)
  let bob = await world.start(bobs)
  await replay(bob)
  expect(bob.texts).toEqual([])
  bob.crash()
  world.clock.jump(KEPT - 30 * DAY)
  bob = await world.start(bobs)
  expect(await openings()).toBe(1)
  bob.crash()
  world.clock.jump(2 * DAY)
  bob = await world.start(bobs)
  expect(await openings()).toBe(0)
  await replay(bob)
  expect(bob.texts).toEqual([])
  expect(bob.refused).toEqual(['expired', 'expired'])
  expect(await openings()).toBe(0)
})

it('it is forgotten while an agent runs as well', async () => {
  await heard()
  const bob = await world.start(bobs)
  world.clock.jump(KEPT - DAY)
  await bob.delivery.tidy()
  expect(await openings()).toBe(1)
  world.clock.jump(2 * DAY)
  await bob.prekeys.rotate(world.clock.now())
  await bob.delivery.tidy()
  expect(await openings()).toBe(0)
  await replay(bob)
  expect(bob.texts).toEqual([])
  expect(bob.refused).toEqual(['expired', 'expired'])
})

it('one that is settled is remembered until its last message has expired, by whatever clock that was made', async () => {
  world = new DeliveryWorld()
  bobs = await world.machine()
  const machine = await world.machine()
  let ada = await world.start(machine)
  let bob = await world.start(bobs)
  adas = ada.id
  frames = []
  const received = bob.delivery.received.bind(bob.delivery)
  bob.delivery.received = (from, frame) => {
    frames.push(frame.slice())
    return received(from, frame)
  }
  await ada.meet(bob)
  // Its author's clock is ahead, as far as it may be.
  const ahead = DEFAULT_LIMITS.clockSkew * 1_000
  world.clock.jump(ahead)
  const hello = await ada.send(bob, 'hello', { ttl: (30 * DAY) / 1_000 })
  world.clock.jump(-ahead)
  await world.clock.advanceUntil(() => hello.receipt.recipients.get(bob.id)?.state === 'processed')
  ada.crash()
  await world.clock.advanceUntil(() => bob.network.link(adas) === undefined)
  ada = await world.start(machine)
  const replayed = frames.splice(0)
  await ada.meet(bob)
  await ada.send(bob, 'later')
  const settled = async (): Promise<boolean> => {
    return (await bobs.store.range('epochs', { prefix: ['in'] })).some(({ value }) => value.length < 32)
  }
  for (let i = 0; i < 100 && !(await settled()); i++) await world.clock.advance(1_000)
  expect(await settled()).toBe(true)
  for (const node of [ada, bob]) node.crash()
  frames = replayed
  world.clock.jump(30 * DAY + ahead - 120_000)
  bob = await world.start(bobs)
  await replay(bob)
  expect(bob.texts).toEqual([])
})

it('one with a message that was not handled stays until that has its end, which is told', async () => {
  await heard(() => 'waiting')
  world.clock.jump(KEPT + DAY)
  const bob = await world.start(bobs, () => 'waiting')
  expect(await openings()).toBe(1)
  await world.clock.advanceUntil(() => bob.deadLetters.count() === 1)
  await world.clock.advance(1_000)
  expect(await bobs.store.count('inbox')).toBe(0)
  await bob.delivery.tidy()
  expect(await openings()).toBe(0)
})

it('who may be forgotten is looked for as often as there are new authors, however many are known, and not at a start', async () => {
  const [KNOWN, NEW] = [3_000, 2_000]
  world = new DeliveryWorld()
  bobs = await world.machine()
  const stranger = (): string => agentIdOf(world.random.bytes(32))
  const epoch = (): string => toHex(world.random.bytes(16))
  const settled = { floor: 3, at: world.clock.now() }
  const writes = Array.from({ length: KNOWN }, () => putSettled(stranger(), { epoch: epoch(), ...settled }))
  await bobs.store.commit({ writes })
  const looks = vi.spyOn(Incoming.prototype, 'forget')
  try {
    const bob = await world.start(bobs)
    expect(looks).not.toHaveBeenCalled()
    let held = KNOWN
    let most = 0
    for (let i = 0; i < NEW; i++) {
      await bob.delivery.received(stranger(), statesFrame([{ epoch: epoch(), base: 0, last: 1, skips: [0, []] }]))
      await nextTask()
      held = KNOWN + i + 1 - looks.mock.results.filter(({ value }) => value === true).length
      most = Math.max(most, held)
    }
    // Those of whom something is known stay, and of the others no more than came since.
    expect(held).toBeGreaterThanOrEqual(KNOWN)
    expect(most).toBeLessThan(1.2 * KNOWN)
    expect(looks.mock.calls.length).toBeGreaterThan(KNOWN)
    expect(looks.mock.calls.length).toBeLessThan(10 * NEW)
    expect(bob.errors).toEqual([])
  } finally {
    looks.mockRestore()
  }
})
