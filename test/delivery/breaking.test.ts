/** Recipients whose circuit breaker opens: they are left alone for a while, and no longer. And those whose does not. */

import { afterEach, expect, it } from 'vitest'
import { AfpMessageError } from '../../src/common/errors.ts'
import type { DeliveryParts } from '../../src/delivery/delivery.ts'
import { FrameType } from '../../src/delivery/frames.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { DeliveryWorld, type Node } from './world.ts'

let world: DeliveryWorld
afterEach(() => world.close())

const MINUTES = 60_000

/** Two who have met, and what becomes of the breaker that one has for the other. */
async function pair(parts: Partial<DeliveryParts> = {}, resetTimeout?: number) {
  world = new DeliveryWorld()
  const store = memoryStore()
  const ada = await world.start(await world.machine())
  const bob = await world.start(await world.machine(store), undefined, parts)
  const breaker = ada.breakers.getOrCreate(bob.id, { resetTimeout })
  const states: string[] = []
  breaker.addEventListener('change', ({ detail }) => states.push(detail.to))
  await ada.meet(bob)
  return { ada, bob, store, breaker, states }
}

/** Sends one that is not kept. @throws AfpRoutingError */
const sendOnce = (ada: Node, bob: Node): Promise<void> => {
  const message = ada.message(bob, 'once', { guarantee: 'at-most-once' })
  return ada.delivery.sendOnce(ada.delivery.draft(message, 'message'), bob.id)
}

it.each([30_000, 5_000])(
  'a recipient that hung for a while gets everything, tried again after %i ms',
  async resetTimeout => {
    const { ada, bob, breaker, states } = await pair({}, resetTimeout)
    await ada.send(bob, 'one')
    await world.clock.advanceUntil(() => bob.texts.length === 1)
    const received = bob.delivery.received.bind(bob.delivery)
    bob.delivery.received = () => {}
    await ada.send(bob, 'two')
    await world.clock.advance(2 * MINUTES)
    expect(states).toContain('open')
    bob.delivery.received = received
    await world.clock.advance(2 * MINUTES)
    expect(bob.texts).toEqual(['one', 'two'])
    await ada.send(bob, 'three')
    await world.clock.advance(1_000)
    expect(bob.texts).toEqual(['one', 'two', 'three'])
    expect(breaker.state).toBe('closed')
  },
)

it('a recipient whose disk failed for a while answers: it is not left alone, and gets everything', async () => {
  const { ada, bob, store, states } = await pair()
  const commit = store.commit.bind(store)
  let fails = true
  store.commit = async (batch, options) => {
    if (fails && batch.writes.some(({ table }) => table === 'inbox')) throw new Error('the disk failed')
    return commit(batch, options)
  }
  await ada.send(bob, 'one')
  await world.clock.advance(2 * MINUTES)
  await sendOnce(ada, bob)
  await world.clock.advance(1_000)
  expect(bob.once.map(({ content }) => content)).toEqual(['once'])
  fails = false
  await world.clock.advance(MINUTES)
  expect(bob.texts).toEqual(['one'])
  expect(states).toEqual([])
})

it.each([
  ['room for the others', 100],
  ['an inbox that is full of what waits for it', 10],
])('a recipient that one message comes too early for, with %s, is not left alone', async (_, messages) => {
  let early = true
  const { ada, bob, states } = await pair({
    inbox: { messages },
    judge: ({ content }) => {
      if (content !== 'early' || !early) return
      throw new AfpMessageError('INVALID_MESSAGE', 'early', { details: { reason: 'clock-skew' } })
    },
  })
  await ada.send(bob, 'early')
  for (let i = 0; i < 30; i++) await ada.send(bob, `${i}`)
  for (let i = 0; i < 20; i++) {
    await world.clock.advance(15_000)
    await sendOnce(ada, bob)
  }
  await world.clock.advance(1_000)
  expect(bob.once).toHaveLength(20)
  early = false
  // How soon it comes again, and the others behind it, is chance.
  await world.clock.advance(2 * MINUTES)
  expect(new Set(bob.texts)).toEqual(new Set(['early', ...Array.from({ length: 30 }, (_, i) => `${i}`)]))
  expect(bob.texts).toHaveLength(31)
  expect(states).toEqual([])
})

it('a recipient that could not keep a message says anew what room there is', async () => {
  const { ada, bob, store } = await pair({ inbox: { messages: 1 } })
  const commit = store.commit.bind(store)
  let fails = true
  store.commit = async (batch, options) => {
    if (fails && batch.writes.some(({ table }) => table === 'inbox')) {
      fails = false
      // Meanwhile the author hears that there is no room, for this one takes it up.
      await new Promise<void>(resolve => void world.clock.after(100, resolve))
      throw new Error('the disk failed')
    }
    return commit(batch, options)
  }
  await ada.send(bob, 'one')
  await world.clock.advance(3_000)
  expect(bob.texts).toEqual(['one'])
})

it('a recipient that answers, and cannot open what it gets, is not left alone', async () => {
  const { ada, bob, states } = await pair()
  const received = bob.delivery.received.bind(bob.delivery)
  bob.delivery.received = (from, frame) => (frame[0] === FrameType.opening ? undefined : received(from, frame))
  await ada.send(bob, 'one')
  await world.clock.advance(3 * MINUTES)
  expect(states).toEqual([])
  bob.delivery.received = received
  await world.clock.advance(MINUTES)
  expect(bob.texts).toEqual(['one'])
})

it('a recipient that is linked again is tried at once, unless it is held back by hand', async () => {
  const { ada, bob, breaker, states } = await pair()
  const again = async (node: Node): Promise<Node> => {
    node.crash()
    await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
    const next = await world.start(node.machine)
    await ada.meet(next)
    return next
  }
  bob.delivery.received = () => {}
  await ada.send(bob, 'one')
  await world.clock.advanceUntil(() => breaker.state === 'open', 10 * MINUTES)
  let next = await again(bob)
  await world.clock.advance(2_000)
  expect(next.texts).toEqual(['one'])
  expect(states).toEqual(['open', 'half-open', 'closed'])

  breaker.forceOpen()
  await ada.send(bob, 'two')
  next = await again(next)
  await world.clock.advance(2_000)
  expect(next.texts).toEqual([])
  breaker.reset()
  await world.clock.advance(2_000)
  expect(next.texts).toEqual(['two'])
})
