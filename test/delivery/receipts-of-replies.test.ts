/** Receipts of replies: whoever is asked keeps none of those that have arrived. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { DeliveryWorld, type Handler, type Node } from './world.ts'

let world: DeliveryWorld
beforeEach(() => {
  world = new DeliveryWorld()
})
afterEach(() => world.close())

/** What answers every request. */
const answers =
  (node: () => Node): Handler =>
  async ({ message, author, kind }) => {
    if (kind !== 'request') return
    return { message: node().message({ id: author } as Node, 're', { parentId: message.id, ttl: 60 }), kind: 'reply' }
  }

const ask = (from: Node, to: Node, text: string): Promise<unknown> =>
  from.delivery.send(from.delivery.draft(from.message(to, text, { ttl: 60 }), 'request'), [to.id])

const QUESTIONS = 30

test('However many requests come, of the replies that have arrived no receipt is kept', async () => {
  const ada: Node = await world.start(
    await world.machine(),
    answers(() => ada),
  )
  const bob = await world.start(await world.machine())
  await ada.meet(bob)
  for (let i = 0; i < QUESTIONS; i++) await ask(bob, ada, `question ${i}`)
  await world.clock.advanceUntil(() => bob.texts.length === QUESTIONS)
  await world.clock.advance(5_000)
  expect(await ada.machine.store.count('outbox')).toBe(0)
  expect(await ada.machine.store.count('receipts')).toBe(0)
  expect(await bob.machine.store.count('receipts')).toBe(QUESTIONS)
})

test('nor where whoever asked never handles them, over a restart of whoever was asked', async () => {
  const machine = await world.machine()
  const first: Node = await world.start(
    machine,
    answers(() => first),
  )
  const over = Promise.withResolvers<void>()
  const bob = await world.start(await world.machine(), async ({ kind }) => {
    if (kind === 'reply') await over.promise
  })
  await first.meet(bob)
  for (let i = 0; i < QUESTIONS; i++) await ask(bob, first, `question ${i}`)
  await world.clock.advance(5_000)
  expect(bob.texts).toHaveLength(QUESTIONS)
  expect(await machine.store.count('receipts')).toBe(0)
  first.crash()
  const again: Node = await world.start(
    machine,
    answers(() => again),
  )
  await again.meet(bob)
  over.resolve()
  await ask(bob, again, 'one more')
  await world.clock.advance(30_000)
  expect([again.errors, await machine.store.count('receipts'), await machine.store.count('outbox')]).toEqual([[], 0, 0])
})

test('One that has not arrived has its receipt, until it has', async () => {
  const machine = await world.machine()
  const ada: Node = await world.start(
    machine,
    answers(() => ada),
  )
  const bob = await world.start(await world.machine())
  await ada.meet(bob)
  await ask(bob, ada, 'question')
  await world.clock.advanceUntil(() => ada.got.length === 1)
  bob.crash()
  await world.clock.advance(1_000)
  expect(await machine.store.count('receipts')).toBe(1)
  const back = await world.start(bob.machine)
  await ada.meet(back)
  await world.clock.advanceUntil(() => back.texts.length === 1)
  await world.clock.advance(5_000)
  expect(await machine.store.count('receipts')).toBe(0)
})
