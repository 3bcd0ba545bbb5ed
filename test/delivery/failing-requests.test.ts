import { afterEach, expect, it } from 'vitest'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { DeliveryWorld, type Machine, type Node } from './world.ts'

const PAUSE = 60_000

let world: DeliveryWorld
let ada: Node
let bobs: Machine
let handled: string[]
let tries: number
afterEach(() => world.close())

const start = (): Promise<Node> =>
  world.start(
    bobs,
    async ({ message, kind }) => {
      if (kind === 'request' && ++tries < 3) throw new Error('not yet')
      handled.push(String(message.content))
    },
    { handlerStrategy: fixedRetry({ delay: PAUSE }) },
  )

/** Somebody who has failed once at a request. */
async function failedOnce(ttl: number): Promise<Node> {
  world = new DeliveryWorld()
  handled = []
  tries = 0
  ada = await world.start(await world.machine())
  bobs = await world.machine()
  const bob = await start()
  await ada.meet(bob)
  const question = ada.message(bob, 'question', { ttl })
  await ada.delivery.send(ada.delivery.draft(question, 'request'), [bob.id])
  await world.clock.advanceUntil(() => tries === 1)
  return bob
}

it('A request whose handler fails holds up nothing until it is tried again, nor after a restart', async () => {
  let bob = await failedOnce(600)
  await ada.send(bob, 'behind it')
  await world.clock.advance(PAUSE / 2)
  expect([tries, ...handled]).toEqual([1, 'behind it'])
  await world.clock.advanceUntil(() => tries === 2)
  bob.crash()
  await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
  bob = await start()
  await ada.meet(bob)
  await ada.send(bob, 'and this')
  await world.clock.advance(PAUSE / 2)
  expect([tries, ...handled]).toEqual([2, 'behind it', 'and this'])
  await world.clock.advanceUntil(() => handled.length === 3)
  expect([tries, ...handled]).toEqual([3, 'behind it', 'and this', 'question'])
  await world.clock.advance(1_000)
  expect(await bobs.store.count('inbox')).toBe(0)
  expect(bob.errors).toEqual([])
})

it('A request that waits for its next try ends when it expires, and is not tried then', async () => {
  const bob = await failedOnce(600)
  // By the calendar alone: its next try is as far away as before.
  world.clock.jump(600_000)
  await bob.delivery.tidy()
  await world.clock.advance(1_000)
  expect(await bobs.store.count('inbox')).toBe(0)
  await world.clock.advance(2 * PAUSE)
  expect([tries, ...handled]).toEqual([1])
  expect(bob.deadLetters.count()).toBe(1)
  expect(bob.errors).toEqual([])
})
