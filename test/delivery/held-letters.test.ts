/** Refusals whose dead letters find no room: they wait, and nothing else does. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { AfpMessageError } from '../../src/common/errors.ts'
import type { DeliveryParts } from '../../src/delivery/delivery.ts'
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
