/** What waits for its turn: it ends with its own time to live, whatever it waits behind. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Untaken } from '../../src/delivery/processing.ts'
import { DeliveryWorld, type Handler, type Node } from './world.ts'

let world: DeliveryWorld
let ada: Node
let bob: Node
/** What becomes of the message that is in the way. */
let first: () => Promise<void> | Untaken

beforeEach(async () => {
  world = new DeliveryWorld()
  const handler: Handler = ({ message }) => (message.content === 'first' ? first() : Promise.resolve())
  ada = await world.start(await world.machine())
  bob = await world.start(await world.machine(), handler)
  await ada.meet(bob)
})
afterEach(() => {
  for (const node of [ada, bob]) node.crash()
})

const send = (content: string, ttl: number) => ada.send(bob, content, { guarantee: 'exactly-once', ttl })
const rows = (): Promise<number> => bob.machine.store.count('inbox')
const letters = async (): Promise<unknown[]> => (await bob.deadLetters.list()).map(({ reason }) => reason)

describe('What comes behind a message', () => {
  it.each([
    ['for which there is no room', (): Untaken => 'full'],
    ['that is at work', (): Promise<void> => new Promise(() => {})],
  ])('%s ends with its own time, and with a dead letter each', async (_, taken) => {
    first = taken
    await send('first', 3_600)
    const hasty = [await send('a', 5), await send('b', 5)]
    await send('later', 3_600)
    await world.clock.advance(4_000)
    expect(await rows()).toBe(4)
    await world.clock.advance(2_500)
    expect(await rows()).toBe(2)
    expect(await letters()).toEqual(['expired', 'expired'])
    expect(hasty.map(({ receipt }) => receipt.recipients.get(bob.id)?.state)).toEqual(['expired', 'expired'])
    expect(bob.texts).not.toContain('later')
  })

  it('that waits for room is handled after it, in its order, as far as its time lasts', async () => {
    first = () => 'full'
    await send('first', 3_600)
    for (const [content, ttl] of [
      ['b', 3_600],
      ['gone', 5],
      ['c', 3_600],
    ] as const)
      await send(content, ttl)
    await world.clock.advance(7_000)
    first = () => Promise.resolve()
    bob.delivery.offerFull()
    await world.clock.advance(100)
    expect(bob.texts.slice(-3)).toEqual(['first', 'b', 'c'])
    expect(bob.texts).not.toContain('gone')
    expect([await rows(), await letters()]).toEqual([0, ['expired']])
  })

  it('ends where wall time jumped as soon as somebody looks', async () => {
    first = () => 'full'
    await send('first', 86_400)
    await send('hasty', 60)
    await world.clock.advance(100)
    world.clock.jump(3_600_000)
    await bob.delivery.tidy()
    await world.clock.advance(100)
    expect([await rows(), await letters()]).toEqual([1, ['expired']])
  })
})

it('A request waits for no room that another message wants, however many wait for that', async () => {
  first = () => 'full'
  await send('first', 3_600)
  await send('behind', 3_600)
  const question = ada.message(bob, 'question', { guarantee: 'exactly-once', ttl: 60 })
  const asked = await ada.delivery.send(ada.delivery.draft(question, 'request'), [bob.id])
  await world.clock.advance(1_000)
  expect(asked.receipt.recipients.get(bob.id)?.state).toBe('processed')
  expect(bob.texts.filter(text => text !== 'first')).toEqual(['question'])
  expect(await rows()).toBe(2)
})
