/** Replies for which there is no room: what they cost while they wait, and how that ends. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AfpError } from '../../src/common/errors.ts'
import { FrameType } from '../../src/delivery/frames.ts'
import type { Quota } from '../../src/delivery/ledger.ts'
import { OutboxQuota } from '../../src/delivery/outbox-quota.ts'
import type { RepliesFull } from '../../src/delivery/reply-room.ts'
import { DeliveryWorld, type Handler, type Node } from './world.ts'

const ROOM = 20
/** What one recipient has of it. */
const SHARE = ROOM / 2 + 1
const LONG = 3_600
const SHORT = 100

let world: DeliveryWorld
let server: Node
let eve: Node
/** How often the server tried to send a reply. */
let tries: number

beforeEach(async () => {
  world = new DeliveryWorld()
  const handler: Handler = async ({ message, author }, transaction) => {
    await transaction.put(['said', String(message.content)], new Uint8Array([1]))
    const init = { parentId: message.id, ttl: message.ttl }
    return { message: server.message({ id: author } as Node, `to ${message.content}`, init), kind: 'reply' }
  }
  server = await world.start(await world.machine(), handler, { maxOutbox: { messages: ROOM } })
  tries = 0
  const draft = server.delivery.draft.bind(server.delivery)
  server.delivery.draft = (...message) => {
    tries++
    return draft(...message)
  }
  eve = await world.start(await world.machine())
  await eve.meet(server)
  const received = server.delivery.received.bind(server.delivery)
  server.delivery.received = (from, frame) =>
    from === eve.id && frame[0] === FrameType.acks ? undefined : received(from, frame)
})
afterEach(() => world.close())

const ask = (content: string, ttl: number): Promise<unknown> =>
  eve.delivery.send(eve.delivery.draft(eve.message(server, content, { ttl }), 'request'), [server.id])

const codes = (): string[] => server.errors.map(error => (error instanceof AfpError ? error.code : String(error)))

describe('Replies to one that takes none', () => {
  const STUCK = 30

  beforeEach(async () => {
    for (let i = 0; i < SHARE; i++) await ask(`${i}`, LONG)
    await world.clock.advance(1_000)
    for (let i = 0; i < STUCK; i++) await ask(`stuck ${i}`, SHORT)
    await world.clock.advance(1_000)
    expect(await server.machine.store.count('outbox')).toBe(SHARE)
  })

  it('are told once each, and tried seldom while nothing changes', async () => {
    expect(codes()).toEqual(Array(STUCK).fill('QUEUE_FULL'))
    tries = 0
    await world.clock.advance(60_000)
    expect(tries).toBe(2 * STUCK)
    expect(codes()).toHaveLength(STUCK)
  })

  it('go as soon as there is room', async () => {
    Reflect.deleteProperty(server.delivery, 'received')
    tries = 0
    await world.clock.advanceUntil(() => eve.got.length > SHARE)
    const from = world.clock.monotonic()
    await world.clock.advanceUntil(() => eve.got.length === SHARE + STUCK)
    expect(world.clock.monotonic() - from).toBeLessThan(1_000)
    await world.clock.advance(1_000)
    expect(tries).toBeLessThan(2 * STUCK)
    expect(codes()).toHaveLength(STUCK)
    expect(await server.machine.store.count('inbox')).toBe(0)
  })

  it('are dropped when nobody waits for them any more, which is told; what their handlers wrote stays', async () => {
    expect(await server.machine.store.count('inbox')).toBe(STUCK)
    await world.clock.advance(SHORT * 1_000)
    expect(codes().slice(STUCK)).toEqual(Array(STUCK).fill('MESSAGE_EXPIRED'))
    expect(await server.machine.store.count('inbox')).toBe(0)
    expect(await server.machine.store.count('outbox')).toBe(SHARE)
    expect(await server.machine.store.get('app', ['said', 'stuck 0'])).toBeDefined()
    expect(server.got).toHaveLength(SHARE + STUCK)
  })

  it('are made anew by the next run', async () => {
    let stopped = false
    const stopping = server.stop().then(() => {
      stopped = true
    })
    await world.clock.advanceUntil(() => stopped)
    await stopping
    world.nodes.delete(server.id)
    expect(codes()).toHaveLength(STUCK)
    expect(await server.machine.store.count('inbox')).toBe(STUCK)
    const again: Handler = async ({ message, author }) => ({
      message: next.message({ id: author } as Node, 'again', { parentId: message.id }),
      kind: 'reply',
    })
    const next = await world.start(server.machine, again)
    await world.clock.advanceUntil(() => next.got.length === STUCK)
    await world.clock.advance(1_000)
    expect(await server.machine.store.count('inbox')).toBe(0)
  })
})

/** Takes room as soon as there is some, and notes that it was woken. */
async function take(share: Quota, bytes: number, onWoken: () => void): Promise<void> {
  const { clock } = world
  for (;;) {
    try {
      return share.take(bytes, true)
    } catch (error) {
      const { signal } = new AbortController()
      await (error as RepliesFull).room({ clock, until: clock.now() + 10_000, signal })
      onWoken()
    }
  }
}

it('room that is left wakes as many as it is for, each recipient’s in their turn', async () => {
  const quota = new OutboxQuota({ messages: 4 })
  const [ada, bob, carol] = [quota.share(), quota.share(), quota.share()]
  const woken: string[] = []
  const wait = (name: string, share: Quota): Promise<void> => take(share, 10, () => woken.push(name))
  for (let i = 0; i < 4; i++) carol.keep(10, true)
  const all = [wait('ada', ada), wait('ada', ada), wait('bob', bob)]
  carol.give(10, true)
  await world.clock.advance(10)
  expect(woken).toEqual(['ada'])
  carol.give(10, true)
  carol.give(10, true)
  await world.clock.advance(10)
  expect(woken).toEqual(['ada', 'bob', 'ada'])
  await Promise.all(all)
})

it('room that one long reply leaves is for several short ones, at once', async () => {
  const quota = new OutboxQuota({ bytes: 100 })
  const [ada, bob, carol] = [quota.share(), quota.share(), quota.share()]
  let woken = 0
  carol.keep(100, true)
  const all = [ada, bob].map(share => take(share, 40, () => void woken++))
  carol.give(100, true)
  await world.clock.advance(10)
  expect(woken).toBe(2)
  await Promise.all(all)
})
