/** A message is given up just as its recipient says that it has it. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AfpSecurityError } from '../../src/common/errors.ts'
import { FrameType } from '../../src/delivery/frames.ts'
import { Disk } from './held-disk.ts'
import { DeliveryWorld, type Node } from './world.ts'

const ROOM = 3

let world: DeliveryWorld
let disk: Disk
let ada: Node
let bob: Node
/** What the recipient says is held back, until {@link say}. */
let words: Uint8Array[]
let say: () => unknown
let refuses = false
beforeEach(async () => {
  world = new DeliveryWorld()
  disk = new Disk()
  refuses = false
  ada = await world.start(await world.machine(disk.store), undefined, { maxOutbox: { messages: ROOM } })
  bob = await world.start(await world.machine(), undefined, {
    judge: () => {
      if (refuses) throw new AfpSecurityError('UNAUTHORIZED', 'not from there')
    },
  })
  await ada.meet(bob)
  words = []
  const received = ada.delivery.received.bind(ada.delivery)
  say = () => words.splice(0).map(frame => received(bob.id, frame))
  ada.delivery.received = (from, frame) => {
    if (frame[0] !== FrameType.acks) return received(from, frame)
    words.push(frame.slice())
  }
})
afterEach(() => world.close())

/** How many messages there is room for, with nobody there to take them. */
async function room(): Promise<number> {
  bob.crash()
  await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
  let taken = 0
  for (; taken < 2 * ROOM; taken++) if ((await ada.send(bob, 'x').catch(() => undefined)) === undefined) break
  return taken
}

/** Everything that the recipient has to say is there, and nobody has heard it. */
const said = (): Promise<void> => world.clock.advance(500)

describe('a message that is called off as its recipient says that it has it', () => {
  // Whatever comes between two steps of either.
  it.each(Array.from({ length: 30 }, (_, turns) => turns))('%i turns before, is given up once', async turns => {
    const tracking = await ada.send(bob, 'x')
    await said()
    const cancelling = ada.delivery.cancel(tracking.id)
    for (let i = 0; i < turns; i++) await Promise.resolve()
    const before = tracking.receipt.recipients.get(bob.id)?.state
    say()
    if (await cancelling) expect(before).toBe('cancelled')
    await world.clock.advance(500)
    say()
    await world.clock.advance(500)
    expect(tracking.receipt.recipients.get(bob.id)).toMatchObject({ state: 'processed', final: true })
    expect(await disk.rows.count('outbox')).toBe(0)
    expect(await room()).toBe(ROOM)
  })

  it('is not called off when that takes long to be written', async () => {
    const tracking = await ada.send(bob, 'x')
    await said()
    const gate = Promise.withResolvers<void>()
    disk.gate = gate.promise
    const cancelling = ada.delivery.cancel(tracking.id)
    await world.clock.advance(100)
    say()
    await world.clock.advance(100)
    gate.resolve()
    expect(await cancelling).toBe(false)
    await world.clock.advance(500)
    expect(tracking.receipt.recipients.get(bob.id)).toMatchObject({ state: 'processed', final: true })
    expect(await room()).toBe(ROOM)
  })
})

it('a message that expires as its recipient refuses it has one dead letter', async () => {
  refuses = true
  const { receipt } = await ada.send(bob, 'x', { ttl: 5 })
  await said()
  const gate = Promise.withResolvers<void>()
  disk.gate = gate.promise
  await world.clock.advance(5_000)
  say()
  await world.clock.advance(100)
  gate.resolve()
  await world.clock.advance(500)
  expect(await ada.deadLetters.list()).toMatchObject([{ reason: 'expired', messageId: receipt.id }])
  expect(await room()).toBe(ROOM)
})

it.each(Array.from({ length: 30 }, (_, turns) => turns))(
  'a message that is refused %i turns after it was called off is either, and has a dead letter if it was refused',
  async turns => {
    refuses = true
    const tracking = await ada.send(bob, 'x')
    await said()
    const cancelling = ada.delivery.cancel(tracking.id)
    for (let i = 0; i < turns; i++) await Promise.resolve()
    say()
    const cancelled = await cancelling
    await world.clock.advance(500)
    say()
    await world.clock.advance(500)
    const letters = await ada.deadLetters.list()
    expect(letters.map(({ reason }) => reason)).toEqual(cancelled ? [] : ['rejected'])
    expect(tracking.receipt.recipients.get(bob.id)).toMatchObject({ final: true })
    expect(await disk.rows.count('outbox')).toBe(0)
    expect(await room()).toBe(ROOM)
  },
)
