/** What ends and finds no room for its dead letter: that waits, and nothing else does. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { AfpMessageError } from '../../src/common/errors.ts'
import type { DeliveryParts } from '../../src/delivery/delivery.ts'
import { FrameType } from '../../src/delivery/frames.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { DeliveryWorld, type Node } from './world.ts'

let world: DeliveryWorld
beforeEach(() => {
  world = new DeliveryWorld()
})
afterEach(() => world.close())

/** Will have none of what is bad. */
const judge: DeliveryParts['judge'] = ({ content }) => {
  if (String(content).startsWith('bad')) throw new AfpMessageError('HOOK_REFUSED', 'no')
}

/** An author with room for one letter, and a recipient that is picky. */
async function pair(): Promise<{ ada: Node; bob: Node }> {
  const bob = await world.start(await world.machine(), undefined, { judge })
  const ada = await world.start(await world.machine(), undefined, {}, { maxEntries: 1 })
  await ada.meet(bob)
  return { ada, bob }
}

test('A recipient that has lost its keys gets what is sent to it, and the letter is made once there is room.', async () => {
  const { ada, bob } = await pair()
  for (const text of ['bad 1', 'bad 2']) {
    await ada.send(bob, text)
    await world.clock.advance(1_000)
  }
  await ada.send(bob, 'before')
  await world.clock.advance(1_000)
  bob.crash()
  const again = await world.start({ identity: bob.machine.identity, store: memoryStore() }, undefined, { judge })
  await ada.meet(again)
  await world.clock.advance(5_000)
  const sent = []
  for (let i = 0; i < 5; i++) {
    sent.push(await ada.send(again, `message ${i}`))
    await world.clock.advance(60_000)
  }
  expect(again.texts).toEqual([0, 1, 2, 3, 4].map(i => `message ${i}`))
  expect(sent.map(({ status }) => status)).toEqual(Array(5).fill('delivered'))
  expect(ada.deadLetters.count()).toBe(1)
  await ada.deadLetters.purge({ processed: 'any' })
  await world.clock.advance(60_000)
  expect(await ada.deadLetters.list()).toMatchObject([{ reason: 'rejected', messageId: expect.any(String) }])
  expect(await ada.machine.store.count('outbox')).toBe(0)
  // Nothing is left of it that a next run could stumble over.
  const ids = (await ada.deadLetters.list()).map(({ messageId }) => messageId)
  ada.crash()
  const next = await world.start(ada.machine, undefined, {}, { maxEntries: 1 })
  expect((await next.deadLetters.list()).map(({ messageId }) => messageId)).toEqual(ids)
})

test('A run that ends while its letters wait goes on waiting in the next one, after its recipient has lost its keys too.', async () => {
  const { ada, bob } = await pair()
  const sent = []
  for (const text of ['bad 1', 'bad 2']) {
    sent.push(await ada.send(bob, text))
    await world.clock.advance(1_000)
  }
  bob.crash()
  const again = await world.start({ identity: bob.machine.identity, store: memoryStore() }, undefined, { judge })
  await ada.meet(again)
  await world.clock.advance(5_000)
  ada.crash()
  const next = await world.start(ada.machine, undefined, {}, { maxEntries: 1 })
  await next.meet(again)
  await world.clock.advance(60_000)
  await next.deadLetters.purge({ processed: 'any' })
  await world.clock.advance(60_000)
  // Its recipient has forgotten that it refused it, and does so once more.
  expect((await next.deadLetters.list()).map(({ messageId }) => messageId)).toEqual([sent[1]?.id])
  const { id } = await next.send(again, 'after')
  await world.clock.advance(5_000)
  expect(again.texts).toEqual(['after'])
  expect(next.tracker.tracking(id)?.status).toBe('delivered')
})

test('However many wait, the link to their recipient goes on.', async () => {
  const { ada, bob } = await pair()
  for (let i = 0; i < 600; i++) {
    await ada.send(bob, `bad ${i}`)
    await world.clock.advance(20)
  }
  await world.clock.advance(5_000)
  await ada.send(bob, 'good')
  await world.clock.advance(5_000)
  expect(bob.texts).toEqual(['good'])
  await bob.send(ada, 'and back')
  await world.clock.advance(5_000)
  expect(ada.texts).toEqual(['and back'])
})

/** Ada, with no room for another letter, and whom she writes to. */
async function full(): Promise<{ ada: Node; bob: Node }> {
  const { ada, bob } = await pair()
  await ada.send(bob, 'bad 0')
  await world.clock.advance(1_000)
  expect(ada.deadLetters.count()).toBe(1)
  return { ada, bob }
}

test.each([false, true])(
  'What comes behind a message that has expired is handed on, its author started anew: %s.',
  async anew => {
    const { ada, bob } = await full()
    bob.crash()
    await world.clock.advance(10_000)
    const expiring = await Promise.all([0, 1].map(i => ada.send(bob, `short ${i}`, { ttl: 30 })))
    const sent = await Promise.all([0, 1, 2].map(i => ada.send(bob, `long ${i}`, { ttl: 86_400 })))
    await world.clock.advance(60_000)
    let author = ada
    if (anew) {
      ada.crash()
      author = await world.start(ada.machine, undefined, {}, { maxEntries: 1 })
    }
    const again = await world.start(bob.machine, undefined, { judge })
    await author.meet(again)
    await world.clock.advance(60_000)
    expect(again.texts).toEqual(['long 0', 'long 1', 'long 2'])
    for (const { id } of sent) expect(author.tracker.tracking(id)?.status).toBe('delivered')
    expect(author.deadLetters.count()).toBe(1)
    // Both have their letter, one after the other, and a run that ends meanwhile loses none.
    const letters = new Map<unknown, unknown>()
    const look = async (): Promise<void> => {
      for (const { messageId, reason } of await author.deadLetters.list()) letters.set(messageId, reason)
      await author.deadLetters.purge({ processed: 'any' })
      await world.clock.advance(60_000)
    }
    for (let i = 0; i < 3; i++) {
      await look()
      if (i > 0) continue
      await look()
      author.crash()
      author = await world.start(author.machine, undefined, {}, { maxEntries: 1 })
      await author.meet(again)
      await world.clock.advance(60_000)
    }
    for (const { id } of expiring) expect(letters.get(id)).toBe('expired')
    for (const { id } of expiring)
      expect((await author.tracker.get(id))?.recipients.get(again.id)).toMatchObject({ state: 'expired', final: true })
    expect(await author.machine.store.count('outbox')).toBe(0)
  },
)

test('One whose end cannot be written just as its recipient refuses it has its dead letter all the same.', async () => {
  const { ada, bob } = await pair()
  const { store } = ada.machine
  const commit = store.commit.bind(store)
  const gate = Promise.withResolvers<void>()
  let fails = 1
  store.commit = async (batch, options) => {
    const letter = batch.writes.some(({ op, table }) => op === 'put' && table === 'dead-letters')
    if (!letter || fails-- <= 0) return commit(batch, options)
    await gate.promise
    throw new Error('the disk is gone')
  }
  const received = ada.delivery.received.bind(ada.delivery)
  const words: Uint8Array[] = []
  ada.delivery.received = (from, frame) => {
    if (frame[0] === FrameType.acks) words.push(frame.slice())
    else return received(from, frame)
  }
  const { id } = await ada.send(bob, 'bad', { ttl: 10 })
  await world.clock.advance(10_100)
  expect(fails).toBe(0)
  for (const frame of words) void received(bob.id, frame)
  ada.delivery.received = received
  await world.clock.advance(100)
  gate.resolve()
  await world.clock.advance(60_000)
  expect(await ada.deadLetters.list()).toMatchObject([{ messageId: id, reason: 'rejected' }])
  expect(await store.count('outbox')).toBe(0)
})
