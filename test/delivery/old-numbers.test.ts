/** A message that is sent again has another number: what its recipient says of the old one is not about that. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FrameType } from '../../src/delivery/frames.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { DeliveryWorld, type Handler, type Machine, type Node } from './world.ts'

let world: DeliveryWorld
let adas: Machine
let ada: Node
let bob: Node
let effects: number
beforeEach(async () => {
  world = new DeliveryWorld()
  effects = 0
  adas = await world.machine()
  bob = await world.start(await world.machine(), handler)
  ada = await start()
})
afterEach(() => world.close())

const handler: Handler = async ({ message }) => {
  if (message.content === 'effect') effects++
}

// His card stays known.
const start = (): Promise<Node> => world.start(adas, undefined, { prekeyOf: () => world.rings.get(bob.id)?.current() })

/** Keeps frames from a node, all or some; returns what hands them over, in their order, and lets the rest through. */
function hold(node: () => Node, types?: readonly number[]): () => Promise<void> {
  const held: [from: string, frame: Uint8Array][] = []
  const { delivery } = node()
  const received = delivery.received.bind(delivery)
  delivery.received = (from, frame) => {
    if (types !== undefined && !types.includes(frame[0] as number)) return received(from, frame)
    held.push([from, frame.slice()])
  }
  return async () => {
    Reflect.deleteProperty(delivery, 'received')
    for (const [from, frame] of held) await node().delivery.received(from, frame)
  }
}

const standing = (id: string) => ada.tracker.latest(id)?.recipients.get(bob.id)

/** Its recipient is told of a message that never leaves and expires; its id. */
async function toldOf(): Promise<string> {
  await ada.meet(bob)
  await ada.send(bob, 'first')
  await world.clock.advance(1_000)
  ada.breakers.borrow(bob.id).forceOpen()
  const message = ada.message(bob, 'effect', { ttl: 3, guarantee: 'exactly-once' })
  const once = fixedRetry({ delay: 100, retries: 0 })
  const { id } = await ada.delivery.send(ada.delivery.draft(message, 'message', once), [bob.id])
  const other = await ada.send(bob, 'other')
  // With that he is told of all numbers.
  await ada.delivery.cancel(other.id)
  await world.clock.advance(100)
  return id
}

const letters = () => ada.deadLetters.list({ processed: false })

async function retry(): Promise<string> {
  const [letter] = await letters()
  return ada.deadLetters.retry(letter?.id as string)
}

/** It goes again under another number, and nothing is heard of that for so long that it is dead; what hands it over. */
async function dies(id: string): Promise<() => Promise<void>> {
  const hand = hold(() => bob)
  ada.breakers.get(bob.id)?.reset()
  expect(await retry()).toBe('retried')
  await world.clock.advanceUntil(() => standing(id)?.state === 'dead')
  expect(standing(id)).toMatchObject({ left: true, inDoubt: true, final: false })
  return hand
}

describe('A message that was told of, never left, and is sent again', () => {
  it.each([
    ['goes on', false],
    ['starts anew', true],
  ])(
    'stays in doubt when the skip of its first number comes late, and has one effect: its author %s',
    async (_, anew) => {
      const id = await toldOf()
      const say = hold(() => ada, [FrameType.acks])
      await world.clock.advance(4_000)
      expect(standing(id)).toMatchObject({ state: 'expired', left: false, inDoubt: false, final: false })
      const hand = await dies(id)
      if (anew) {
        ada.crash()
        ada = await start()
        await world.clock.advance(10)
      }
      await say()
      await world.clock.advance(10)
      expect(standing(id)).toMatchObject({ state: 'dead', inDoubt: true, final: false })
      expect(await retry()).toBe('waiting')
      await ended(id, hand)
    },
  )

  it('stays in doubt when the key of its first number is lost, and has one effect', async () => {
    const id = await toldOf()
    await world.clock.advance(2_000)
    bob.crash()
    await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
    await world.clock.advance(2_000)
    expect(standing(id)).toMatchObject({ state: 'expired', left: false, inDoubt: false, final: false })
    bob = await world.start({ identity: bob.machine.identity, store: memoryStore() }, handler)
    const say = hold(() => ada, [FrameType.lostKey])
    await ada.meet(bob)
    await world.clock.advanceUntil(() => bob.refused.includes('lost-key'))
    await world.clock.advance(1_000)
    const hand = await dies(id)
    await say()
    await world.clock.advance(10)
    expect(standing(id)).toMatchObject({ state: 'dead', inDoubt: true, final: false })
    expect(await retry()).toBe('waiting')
    await ended(id, hand)
  })

  /** It comes after all: once, whoever tries it again, and nothing is left of it. */
  async function ended(id: string, hand: () => Promise<void>): Promise<void> {
    await hand()
    if (ada.network.link(bob.id) === undefined) await ada.meet(bob)
    await world.clock.advance(30_000)
    expect(effects).toBe(1)
    expect(standing(id)).toMatchObject({ state: 'processed', final: true })
    expect(await retry()).toBe('delivered')
    await world.clock.advance(10_000)
    expect(effects).toBe(1)
    expect(await letters()).toEqual([])
    expect(await adas.store.count('outbox')).toBe(0)
    expect([bob.holes, bob.errors, ada.errors]).toEqual([[], [], []])
  }
})
