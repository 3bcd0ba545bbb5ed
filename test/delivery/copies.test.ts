/** Replies to an agent whose inbox has no room for them: it may be waiting for one of them before it makes any. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AfpRoutingError } from '../../src/common/errors.ts'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import type { RecipientReceipt } from '../../src/delivery/receipts.ts'
import type { Message } from '../../src/message/message.ts'
import { DeliveryWorld, type Handler, type Node } from './world.ts'

let world: DeliveryWorld
/** Ids of the replies that were made. */
let replies: string[]
beforeEach(() => {
  replies = []
  world = new DeliveryWorld()
})
afterEach(() => world.close())

/** One that answers every request, when `ready` says so. */
async function answerer(ttl = 60, ready = (): Promise<void> => Promise.resolve()): Promise<Node> {
  const answers: Handler = async ({ message, author, kind }) => {
    if (kind !== 'request') return
    await ready()
    const reply = node.message({ id: author } as Node, 're', { parentId: message.id, ttl })
    replies.push(reply.id)
    return { message: reply, kind: 'reply' }
  }
  const node = await world.start(await world.machine(), answers)
  return node
}

const request = (message: Message, from: Node, to: Node): Promise<unknown> =>
  from.delivery.send(from.delivery.draft(message, 'request'), [to.id])

describe.each([1, 2, 5, 20])('Handlers that ask the author back, with room for %i messages', messages => {
  test('have their replies at once, however much that has under way', async () => {
    const waiting = new Map<string, () => void>()
    const replied = ({ parentId }: Message): void => waiting.get(parentId as string)?.()
    const took: number[] = []
    const ada = await answerer()
    const asks: Handler = async ({ message, kind }) => {
      if (kind === 'reply') return replied(message)
      const question = bob.message(ada, `about ${message.content}`, { ttl: 60 })
      const reply = new Promise<void>(resolve => waiting.set(question.id, resolve))
      const from = world.clock.monotonic()
      await request(question, bob, ada)
      await reply
      took.push(world.clock.monotonic() - from)
    }
    const bob = await world.start(await world.machine(), asks, { inbox: { messages }, onOnce: replied })
    await ada.meet(bob)
    const items = Array.from({ length: 40 }, (_, i) => `item ${i}`)
    for (const item of items) await ada.send(bob, item)
    await world.clock.advance(300_000)
    expect(bob.texts.filter(text => text !== 're')).toEqual(items)
    expect(took.length).toBe(items.length)
    expect(Math.max(...took)).toBeLessThan(900)
    expect(await ada.machine.store.count('outbox')).toBe(0)
  })
})

describe('A reply to one whose inbox is full', () => {
  /** How the first one stands. */
  const standing = (from: Node, to: Node): RecipientReceipt | undefined =>
    from.tracker.tracking(replies[0] as string)?.receipt.recipients.get(to.id)

  /** Who asks, with an inbox that is full of what nobody wants. */
  async function full(ada: Node): Promise<Node> {
    const wanted: Handler = ({ kind }) => (kind === 'message' ? 'waiting' : Promise.resolve())
    const bob = await world.start(await world.machine(), wanted, { inbox: { messages: 3 } })
    await ada.meet(bob)
    for (let i = 0; i < 6; i++) await ada.send(bob, `unwanted ${i}`)
    await world.clock.advance(2_000)
    return bob
  }

  /** Ada answers only once there is no way from her to Bob, who asked. */
  async function apart(answerTtl: number, ttl?: number): Promise<{ ada: Node; bob: Node }> {
    const ready = Promise.withResolvers<void>()
    const ada = await answerer(answerTtl, () => ready.promise)
    const bob = await full(ada)
    await request(bob.message(ada, 'question', { ttl }), bob, ada)
    await world.clock.advanceUntil(() => ada.got.length === 1)
    world.net.partition([ada.id], [bob.id])
    await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
    ready.resolve()
    return { ada, bob }
  }

  test('goes as one copy over each link', async () => {
    const ada = await answerer(600)
    const bob = await full(ada)
    await request(bob.message(ada, 'question'), bob, ada)
    await world.clock.advance(60_000)
    expect(bob.once.map(({ content }) => content)).toEqual(['re'])
    world.net.kill(ada.id, bob.id)
    await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
    await ada.meet(bob)
    await world.clock.advance(60_000)
    expect(bob.once.map(({ content }) => content)).toEqual(['re', 're'])
  })

  test('goes as a copy when its author is a later run of the one that was asked', async () => {
    const { ada, bob } = await apart(600)
    await world.clock.advance(1_000)
    ada.crash()
    world.net.heal()
    await (await world.start(ada.machine)).meet(bob)
    await world.clock.advanceUntil(() => bob.once.length > 0)
    expect(bob.once.map(({ content }) => content)).toEqual(['re'])
  })

  test('goes as a copy as soon as the connection takes it', async () => {
    const ada = await answerer(600)
    const bob = await full(ada)
    const send = ada.network.send.bind(ada.network)
    let refused = 0
    ada.network.send = async (agent, frame, options) => {
      // Whatever is said beside it has its frame already.
      if (frame instanceof Uint8Array || ++refused > 3) return send(agent, frame, options)
      throw new AfpRoutingError('QUEUE_FULL', 'too much waits on the connection')
    }
    await request(bob.message(ada, 'question'), bob, ada)
    await world.clock.advance(1_000)
    expect(refused).toBe(4)
    expect(bob.once.map(({ content }) => content)).toEqual(['re'])
  })

  test('does not leave any more once it was called off', async () => {
    const { ada, bob } = await apart(600)
    await world.clock.advance(1_000)
    expect(await ada.delivery.cancel(replies[0] as string)).toBe(true)
    world.net.heal()
    await ada.meet(bob)
    await world.clock.advance(60_000)
    expect(bob.once).toEqual([])
  })

  test('leaves no dead letter once its copy has left, and nobody says that it has not come', async () => {
    const ada = await answerer(10)
    const bob = await full(ada)
    await request(bob.message(ada, 'question', { ttl: 5 }), bob, ada)
    await world.clock.advanceUntil(() => bob.once.length === 1)
    await world.clock.advanceUntil(() => ada.tracker.tracking(replies[0] as string)?.status === 'expired')
    const end = { state: 'expired', inDoubt: true, final: true }
    expect(standing(ada, bob)).toMatchObject(end)
    // Bob says that the one with the number never came.
    await world.clock.advance(5_000)
    expect(standing(ada, bob)).toMatchObject(end)
    expect(ada.deadLetters.count()).toBe(0)
    expect(await loadReceipt(ada.machine.store, replies[0] as string)).toBeUndefined()
  })

  test('is forgotten where its recipient speaks to a later run alone', async () => {
    const ada = await answerer(10)
    const bob = await full(ada)
    await request(bob.message(ada, 'question', { ttl: 5 }), bob, ada)
    await world.clock.advanceUntil(() => bob.once.length === 1)
    world.net.cut(bob.id, ada.id)
    await world.clock.advanceUntil(() => ada.tracker.tracking(replies[0] as string)?.status === 'expired')
    ada.crash()
    world.net.heal()
    const later = await world.start(ada.machine)
    await later.meet(bob)
    await world.clock.advance(5_000)
    expect(await loadReceipt(ada.machine.store, replies[0] as string)).toBeUndefined()
    // What made bob's inbox full.
    expect(await ada.machine.store.count('outbox')).toBe(6)
    expect(later.errors).toEqual([])
    expect(later.deadLetters.count()).toBe(0)
  })

  test('leaves no dead letter where no copy of it could leave either: nobody waits for it any more', async () => {
    const { ada, bob } = await apart(10, 5)
    await world.clock.advance(60_000)
    expect(standing(ada, bob)).toMatchObject({ state: 'expired', inDoubt: false })
    expect(ada.deadLetters.count()).toBe(0)
  })
})
