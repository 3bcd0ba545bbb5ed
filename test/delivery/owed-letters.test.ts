/** More ends without room for their letters than words on a feed can name, on either side: nothing else waits for them. */

import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { AfpMessageError } from '../../src/common/errors.ts'
import type { DeliveryParts } from '../../src/delivery/delivery.ts'
import { FrameType } from '../../src/delivery/frames.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import type { Identity } from '../../src/identity/keys.ts'
import { Message } from '../../src/message/message.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { Disk } from './held-disk.ts'
import { DeliveryWorld, type Handler, type Machine, type Node } from './world.ts'

let world: DeliveryWorld
beforeEach(() => {
  world = new DeliveryWorld()
})
afterEach(() => world.close())

/** Beyond what an acknowledgement has room for: 1,024 refusals, or ranges. */
const MANY = 1_100
const ONE = { maxEntries: 1 }
const ROOM = { maxEntries: 10_000 }
const isBad = (content: unknown): boolean => String(content).startsWith('bad')
/** Will have none of what is bad. */
const judge: DeliveryParts['judge'] = ({ content }) => {
  if (isBad(content)) throw new AfpMessageError('HOOK_REFUSED', 'no')
}
/** Fails at what is bad, once. */
const failing: Handler = async ({ message }) => {
  if (isBad(message.content)) throw new Error('bad')
}
const once = { handlerStrategy: fixedRetry({ delay: 1, retries: 0 }) }

/** A machine, run after run: nothing of one that has lost its power reaches the disk any more. */
class Runs {
  readonly rows = memoryStore()
  readonly #identity: Identity
  readonly #start: (machine: Machine, letters: typeof ONE) => Promise<Node>
  disk = new Disk(this.rows)
  #node: Node | undefined

  private constructor(identity: Identity, start: (machine: Machine, letters: typeof ONE) => Promise<Node>) {
    this.#identity = identity
    this.#start = start
  }

  static async of(start: (machine: Machine, letters: typeof ONE) => Promise<Node>): Promise<Runs> {
    return new Runs((await world.machine()).identity, start)
  }

  async next(letters = ONE): Promise<Node> {
    this.crash()
    this.disk = new Disk(this.rows)
    this.#node = await this.#start({ identity: this.#identity, store: this.disk.store }, letters)
    return this.#node
  }

  crash(): void {
    this.disk.left = 0
    this.#node?.crash()
    this.#node = undefined
  }
}

const authors = (parts: Partial<DeliveryParts> = {}): Promise<Runs> =>
  Runs.of((machine, letters) => world.start(machine, undefined, parts, letters))
const clumsy = (parts: Partial<DeliveryParts> = {}): Promise<Runs> =>
  Runs.of((machine, letters) => world.start(machine, failing, { ...once, ...parts }, letters))
const picky = async (): Promise<Node> => world.start(await world.machine(), undefined, { judge })

/** Sends bad ones, some 50 a second. */
async function sendBad(from: Node, to: Node, first: number, end: number): Promise<string[]> {
  const ids: string[] = []
  for (let i = first; i < end; i++) {
    ids.push((await from.send(to, `bad ${i}`, { ttl: 86_400 })).id)
    await world.clock.advance(20)
  }
  return ids
}

/** The messages that there are letters of. */
const lettersOf = async (node: Node): Promise<unknown[]> =>
  (await node.deadLetters.list({ limit: 10_000 })).map(({ messageId }) => messageId).sort()

describe('Without room for letters, more ends than an acknowledgement can name', () => {
  it('leave the way open for what comes behind them where the recipient refuses, over restarts; the letters follow', async () => {
    const bob = await picky()
    const adas = await authors()
    let ada = await adas.next()
    await ada.meet(bob)
    const ids = await sendBad(ada, bob, 0, 600)
    ada = await adas.next()
    await ada.meet(bob)
    ids.push(...(await sendBad(ada, bob, 600, MANY)))
    const good = await ada.send(bob, 'good', { ttl: 60 })
    await world.clock.advance(30_000)
    expect(bob.texts).toEqual(['good'])
    expect(good.status).toBe('delivered')
    expect(await adas.rows.count('outbox')).toBe(MANY - 1)
    // As long as a letter waits, its receipt says no more than before.
    expect(ada.tracker.tracking(ids.at(-1) as string)?.status).toBe('sent')
    // The epochs that they came from are over, and gone with their keys.
    ada = await adas.next()
    expect(await adas.rows.count('epochs', { prefix: ['out'] })).toBe(0)
    await ada.meet(bob)
    await world.clock.advance(30_000)
    expect(bob.texts).toEqual(['good'])
    ada = await adas.next(ROOM)
    await world.clock.advance(30_000)
    expect(await lettersOf(ada)).toEqual(ids.sort())
    expect(await ada.deadLetters.list({ limit: 2 })).toMatchObject([{ reason: 'rejected' }, { reason: 'rejected' }])
    const last = await ada.tracker.get(ids.at(-1) as string)
    expect(last?.recipients.get(bob.id)).toMatchObject({ state: 'dead', reason: 'rejected', final: true })
    expect(await adas.rows.count('outbox')).toBe(0)
  }, 60_000)

  it('leave it open where they expired between others, of which a word names only as many', async () => {
    const bobs = await world.machine()
    let bob = await world.start(bobs)
    const adas = await authors()
    let ada = await adas.next()
    await ada.meet(bob)
    await ada.send(bob, 'hello')
    await world.clock.advance(1_000)
    bob.crash()
    await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
    const short: string[] = []
    const long: string[] = []
    for (let i = 0; i < MANY; i++) {
      short.push((await ada.send(bob, `short ${i}`, { ttl: 20 })).id)
      long.push(`long ${i}`)
      await ada.send(bob, `long ${i}`, { ttl: 86_400 })
    }
    await world.clock.advance(500)
    ada = await adas.next()
    await world.clock.advance(60_000)
    bob = await world.start(bobs)
    await ada.meet(bob)
    await world.clock.advance(120_000)
    expect(bob.texts).toEqual(long)
    ada = await adas.next(ROOM)
    await world.clock.advance(30_000)
    expect(await lettersOf(ada)).toEqual(short.sort())
    expect(ada.deadLetters.count({ reason: 'expired' })).toBe(MANY)
    expect(await adas.rows.count('outbox')).toBe(0)
  }, 60_000)

  it('leave it open where its handler fails, which runs once for each, over restarts; the letters follow', async () => {
    const ada = await world.start(await world.machine())
    const bobs = await clumsy()
    let bob = await bobs.next()
    await ada.meet(bob)
    const ids = await sendBad(ada, bob, 0, 600)
    await world.clock.advance(1_000)
    expect(bob.texts).toHaveLength(600)
    bob = await bobs.next()
    await ada.meet(bob)
    ids.push(...(await sendBad(ada, bob, 600, MANY)))
    const good = await ada.send(bob, 'good', { ttl: 60 })
    await world.clock.advance(30_000)
    expect(bob.texts).toEqual([...Array.from({ length: MANY - 600 }, (_, i) => `bad ${600 + i}`), 'good'])
    expect(good.status).toBe('delivered')
    for (const id of ids)
      expect((await ada.tracker.get(id))?.recipients.get(bob.id)).toMatchObject({
        reason: 'handler-error',
        final: true,
      })
    expect(await bobs.rows.count('inbox')).toBe(MANY - 1)
    bobs.crash()
    // Nothing else is left of their author: its epochs are over, and were so too long ago to be remembered.
    const epochs = await bobs.rows.range('epochs', { prefix: ['in'] })
    await bobs.rows.commit({ writes: epochs.map(({ key }) => ({ op: 'delete', table: 'epochs', key })) })
    bob = await bobs.next(ROOM)
    await world.clock.advance(30_000)
    expect(await lettersOf(bob)).toEqual(ids.sort())
    expect(await bobs.rows.count('inbox')).toBe(0)
    expect(bob.texts).toEqual([])
  }, 60_000)
})

describe('Power that fails', () => {
  it.each([0, 1, 2, 3, 4])('%s commits after the word of who refuses leaves one letter of each', async commits => {
    const bob = await picky()
    const adas = await authors()
    let ada = await adas.next()
    await ada.meet(bob)
    const ids = await sendBad(ada, bob, 0, 1)
    await world.clock.advance(1_000)
    const received = ada.delivery.received.bind(ada.delivery)
    ada.delivery.received = (from, frame) => {
      if (frame[0] === FrameType.acks) adas.disk.left = Math.min(adas.disk.left, commits)
      return received(from, frame)
    }
    ids.push(...(await sendBad(ada, bob, 1, 2)))
    await world.clock.advance(2_000)
    ada = await adas.next()
    await ada.meet(bob)
    await world.clock.advance(60_000)
    await ada.send(bob, 'good')
    await world.clock.advance(5_000)
    expect(bob.texts).toEqual(['good'])
    ada = await adas.next(ROOM)
    await ada.meet(bob)
    await world.clock.advance(60_000)
    expect(await lettersOf(ada)).toEqual(ids.sort())
    expect(await adas.rows.count('outbox')).toBe(0)
  })

  it.each([0, 1, 2, 3, 4])('%s commits after a message came leaves one letter of it', async commits => {
    const ada = await world.start(await world.machine())
    const bobs = await clumsy()
    let bob = await bobs.next()
    await ada.meet(bob)
    const ids = await sendBad(ada, bob, 0, 1)
    await world.clock.advance(1_000)
    bobs.disk.left = commits
    ids.push(...(await sendBad(ada, bob, 1, 2)))
    await world.clock.advance(2_000)
    bob = await bobs.next()
    await ada.meet(bob)
    await world.clock.advance(60_000)
    bob = await bobs.next(ROOM)
    await ada.meet(bob)
    await world.clock.advance(60_000)
    expect(await lettersOf(bob)).toEqual(ids.sort())
    expect(await bobs.rows.count('inbox')).toBe(0)
    const receipts = await Promise.all(ids.map(id => ada.tracker.get(id)))
    const reasons = receipts.map(receipt => receipt?.recipients.get(bob.id)?.reason)
    expect(reasons).toEqual(['handler-error', 'handler-error'])
  })
})

test('A message that two recipients refuse has its letter of each.', async () => {
  const [bob, cid] = [await picky(), await picky()]
  const adas = await authors()
  let ada = await adas.next()
  await ada.meet(bob)
  await ada.meet(cid)
  await sendBad(ada, bob, 0, 1)
  await world.clock.advance(1_000)
  const message = new Message({ ...ada.message(bob, 'bad for both', { ttl: 86_400 }), recipients: [bob.id, cid.id] })
  await ada.delivery.send(ada.delivery.draft(message, 'message'), [bob.id, cid.id])
  await world.clock.advance(30_000)
  expect(await adas.rows.count('outbox')).toBe(2)
  ada = await adas.next(ROOM)
  await world.clock.advance(30_000)
  const letters = (await ada.deadLetters.list()).filter(({ messageId }) => messageId === message.id)
  expect(letters.map(({ peer }) => peer).sort()).toEqual([bob.id, cid.id].sort())
  const { recipients } = (await ada.tracker.get(message.id)) ?? {}
  expect([...(recipients?.values() ?? [])].map(({ reason }) => reason)).toEqual(['rejected', 'rejected'])
  expect(await adas.rows.count('outbox')).toBe(0)
})

test('What owes a letter takes its room in the outbox, over a restart too, until it is made.', async () => {
  const bob = await picky()
  const adas = await authors({ maxOutbox: { messages: 3 } })
  let ada = await adas.next()
  await ada.meet(bob)
  await sendBad(ada, bob, 0, 4)
  await world.clock.advance(5_000)
  await expect(ada.send(bob, 'good')).rejects.toMatchObject({ code: 'QUEUE_FULL' })
  ada = await adas.next()
  await ada.meet(bob)
  await expect(ada.send(bob, 'good')).rejects.toMatchObject({ code: 'QUEUE_FULL' })
  await ada.deadLetters.purge({ processed: 'any' })
  await world.clock.advance(60_000)
  await ada.send(bob, 'good')
  await world.clock.advance(1_000)
  expect(bob.texts).toEqual(['good'])
})

test('What owes a letter takes its room in the inbox: beyond that nothing is taken, until there is room again.', async () => {
  const ada = await world.start(await world.machine())
  const bobs = await clumsy({ inbox: { messages: 3 } })
  let bob = await bobs.next()
  await ada.meet(bob)
  await sendBad(ada, bob, 0, 4)
  await world.clock.advance(5_000)
  expect(await bobs.rows.count('inbox')).toBe(3)
  const good = await ada.send(bob, 'good', { ttl: 86_400 })
  await world.clock.advance(60_000)
  bob = await bobs.next()
  await ada.meet(bob)
  await world.clock.advance(60_000)
  expect(bob.texts).toEqual([])
  expect(good.status).not.toBe('delivered')
  await bob.deadLetters.purge({ processed: 'any' })
  await world.clock.advance(60_000)
  expect(bob.texts).toEqual(['good'])
  expect(good.status).toBe('delivered')
})
