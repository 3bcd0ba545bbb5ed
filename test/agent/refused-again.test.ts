/** What a recipient refused once and would have now: out of its letter it goes again. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
let got: unknown[]
beforeEach(() => {
  world = drivenWorld()
  got = []
})
afterEach(() => world.close())

test('What a hook of its recipient refused is sent again by a retry of its letter', async () => {
  const ada = await world.join('ada', { guarantee: 'exactly-once' })
  let closed = true
  const afterReceive = (): void => {
    if (closed) throw new Error('the shop is closed')
  }
  const bob = await world.join('bob', { hooks: { afterReceive } })
  bob.handle(({ content }) => void got.push(content))
  await world.during(ada.waitFor(bob.id))
  const receipt = await ada.send(bob.id, 'an order')
  await world.during(receipt.processed.catch(() => {}))
  const [letter] = await ada.deadLetters.list()
  expect(letter).toMatchObject({ side: 'sender', inDoubt: false })
  closed = false
  expect(await world.during(ada.deadLetters.retry(letter?.id as string))).toBe('retried')
  await world.pass()
  expect(got).toEqual(['an order'])
})

test('What was too large for its recipient is sent again once that takes more', async () => {
  const limits = { messageBytes: 2 ** 19 }
  const ada = await world.join('ada', { guarantee: 'exactly-once', limits })
  const machine = { identity: await createIdentity(), store: Object.assign(memoryStore(), { close: async () => {} }) }
  const first = await world.join('bob', machine)
  await world.during(ada.waitFor(first.id))
  const receipt = await ada.send(first.id, 'x'.repeat(300_000))
  await world.during(receipt.processed.catch(() => {}))
  const [letter] = await ada.deadLetters.list()
  expect(letter).toMatchObject({ reason: 'too-large' })
  await world.during(first.close())
  const bob = await world.join('bob', { ...machine, limits })
  bob.handle(({ content }) => void got.push(String(content).length))
  await world.during(ada.waitFor(bob.id))
  expect(await world.during(ada.deadLetters.retry(letter?.id as string))).toBe('retried')
  await world.pass()
  expect(got).toEqual([300_000])
})
