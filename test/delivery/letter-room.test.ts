/** What happens where there is no room for another dead letter, and before that. */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { LetterIndex, type Summary } from '../../src/delivery/dead-letter-index.ts'
import type { DeadLettersOptions } from '../../src/delivery/dead-letters.ts'
import { LetterRoom } from '../../src/delivery/letter-room.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { newLetter, openLetters } from '../contracts/dead-letters.ts'
import { DeliveryWorld, type Handler, type Machine, type Node } from './world.ts'

describe('Messages that end while there is no room for their dead letters', () => {
  let world: DeliveryWorld
  let bobs: Machine
  let ada: Node
  let bob: Node
  beforeEach(async () => {
    world = new DeliveryWorld()
    bobs = await world.machine()
    bob = await world.start(bobs)
  })
  afterEach(() => world.close())

  const start = async (letters: Partial<DeadLettersOptions>): Promise<void> => {
    ada = await world.start(await world.machine(), undefined, {}, letters)
  }

  /** Five messages that expire, and how often letters for them were tried from then on, and told to be refused. */
  async function fiveExpire(): Promise<{ tries: () => number; refused: unknown[] }> {
    const stage = vi.spyOn(ada.deadLetters, 'stage')
    const refused: unknown[] = []
    ada.deadLetters.addEventListener('dead-letter:refused', ({ detail }) => refused.push(detail.letter.messageId))
    for (let i = 0; i < 5; i++) await ada.send(bob, `${i}`, { ttl: 10 })
    await world.clock.advance(10_001)
    await world.clock.advanceUntil(() => refused.length === 3)
    return { tries: () => stage.mock.calls.length, refused }
  }

  test.each([
    ['sealed', true],
    ['not sealed yet', false],
  ])('and that are %s wait for it without another try, each told once, and go as room is made', async (_, key) => {
    if (!key) world.nodes.delete(bob.id)
    await start({ maxEntries: 2 })
    const { tries, refused } = await fiveExpire()
    await world.clock.advance(3_600_000)
    expect(tries()).toBe(5)
    expect(new Set(refused).size).toBe(3)
    expect(refused).toHaveLength(3)
    expect(ada.errors).toHaveLength(3)
    const [newest, oldest] = await ada.deadLetters.list()
    await ada.deadLetters.markProcessed(oldest?.id as string)
    await world.clock.advanceUntil(() => ada.deadLetters.count({ processed: true }) === 0)
    await world.clock.advance(1_000)
    expect(tries()).toBe(6)
    await ada.deadLetters.discard(newest?.id as string)
    await world.clock.advanceUntil(() => ada.deadLetters.count() === 2)
    expect(await ada.deadLetters.purge({ processed: 'any' })).toBe(2)
    await world.clock.advanceUntil(() => ada.deadLetters.count() === 1)
    await world.clock.advance(1_000)
    expect(tries()).toBe(8)
    expect(refused).toHaveLength(3)
    // Nothing of them is left but what bob has to confirm.
    const rows = await ada.machine.store.range('outbox')
    expect(rows.filter(({ value }) => value.length > 200)).toEqual([])
    world.nodes.set(bob.id, bob)
  })

  test('go once the oldest letters are beyond the age that was given', async () => {
    await start({ maxEntries: 2, maxAge: 60_000 })
    const gone: string[] = []
    ada.deadLetters.addEventListener('dead-letter:removed', ({ detail }) => gone.push(detail.why, ...detail.ids))
    await fiveExpire()
    const before = (await ada.deadLetters.list()).map(({ id }) => id)
    await world.clock.advance(50_000)
    expect(gone).toEqual([])
    await world.clock.advanceUntil(() => gone.length === 4)
    expect(new Set(gone)).toEqual(new Set(['room', ...before]))
    expect(ada.deadLetters.count()).toBe(2)
  })

  test('do not take it up, one after the other, to try again each second while the disk fails', async () => {
    const store = memoryStore()
    const commit = store.commit.bind(store)
    let fails = false
    let tries = 0
    store.commit = (batch, options) => {
      if (!fails) return commit(batch, options)
      tries++
      return Promise.reject(new Error('no disk'))
    }
    ada = await world.start(await world.machine(store), undefined, {}, { maxEntries: 2, maxAge: 60_000 })
    const added: unknown[] = []
    const sent = await Promise.all(Array.from({ length: 40 }, (_, i) => ada.send(bob, `${i}`, { ttl: 10 })))
    await world.clock.advance(20_000)
    expect(ada.deadLetters.count()).toBe(2)
    ada.deadLetters.addEventListener('dead-letter:added', ({ detail }) => added.push(detail))
    fails = true
    // Letters grow old, so that there is room for two others: these try.
    await world.clock.advance(600_000)
    tries = 0
    await world.clock.advance(20_000)
    expect(tries).toBeGreaterThan(0)
    expect(tries).toBeLessThanOrEqual(2 * 21)
    fails = false
    await world.clock.advance(2_000)
    expect(added).toHaveLength(2)
    // And the others have their turn as they did before.
    await world.clock.advance(20 * 91_000)
    expect(sent.map(({ status }) => status)).toEqual(sent.map(() => 'expired'))
    expect(added).toHaveLength(38)
  })

  test('hold up nothing that comes behind them, however many there are', async () => {
    const picky: Handler = async ({ message }) => {
      if (message.content === 'bad') throw new Error('bad')
    }
    await bob.stop()
    bob = await world.start(bobs, picky, { handlerStrategy: fixedRetry({ delay: 1, retries: 0 }) }, { maxEntries: 1 })
    await start({})
    await ada.meet(bob)
    const bad = await Promise.all(Array.from({ length: 600 }, () => ada.send(bob, 'bad')))
    const good = await ada.send(bob, 'good')
    const from = world.clock.now()
    await world.clock.advanceUntil(() => good.receipt.recipients.get(bob.id)?.state === 'processed')
    expect(world.clock.now() - from).toBeLessThan(5_000)
    expect(bob.texts).toHaveLength(601)
    const ended = (): number => bad.filter(({ receipt }) => receipt.recipients.get(bob.id)?.final === true).length
    await world.clock.advanceUntil(() => ended() === 600)
    // Each of them is kept where it was until there is room.
    expect(await bobs.store.count('inbox')).toBe(599)
    const added = vi.fn()
    bob.deadLetters.addEventListener('dead-letter:added', added)
    await bob.deadLetters.purge({ processed: 'any' })
    await world.clock.advanceUntil(() => added.mock.calls.length === 1)
    expect(await bobs.store.count('inbox')).toBe(598)
  })

  test('hold up no recipient that closes', async () => {
    const broken = async (): Promise<void> => {
      throw new Error('broken')
    }
    await bob.stop()
    bob = await world.start(bobs, broken, { handlerStrategy: fixedRetry({ delay: 1, retries: 1 }) }, { maxEntries: 1 })
    await start({})
    const refused = vi.fn()
    bob.deadLetters.addEventListener('dead-letter:refused', refused)
    await ada.meet(bob)
    await ada.send(bob, 'one')
    const two = await ada.send(bob, 'two')
    await world.clock.advanceUntil(() => refused.mock.calls.length === 1)
    await world.clock.advance(600_000)
    expect(refused).toHaveBeenCalledOnce()
    expect(two.receipt.recipients.get(bob.id)).toMatchObject({ state: 'dead', reason: 'handler-error', final: true })
    let stopped = false
    const stopping = bob.stop().then(() => {
      stopped = true
    })
    const from = world.clock.now()
    await world.clock.advanceUntil(() => stopped)
    await stopping
    expect(world.clock.now() - from).toBeLessThan(1_000)
    world.nodes.delete(bob.id)
    bob = await world.start(bobs, undefined)
    await world.clock.advanceUntil(() => bob.deadLetters.count() === 2)
    const [letter] = await bob.deadLetters.list()
    expect(letter).toMatchObject({ messageId: two.id, reason: 'handler-error', attempts: 2 })
    expect(letter?.lastError).toEqual({ code: 'HANDLER_FAILED', message: 'broken' })
    expect(bob.got).toEqual([])
    expect(await bobs.store.count('inbox')).toBe(0)
  })
})

test.each([
  ['nobody', 0],
  ['another', 1],
])(
  'Whoever comes to wait for room after the close, where %s waited before, is told nothing and sets no timer',
  async (_, before) => {
    const clock = new DrivenClock()
    const room = new LetterRoom(clock, new LetterIndex({ entries: 10, bytes: 1_000 }))
    const told = vi.fn()
    for (let i = 0; i < before; i++) void room.wait('sender', 'bob', 1).then(told)
    expect(clock.pending).toBe(before)
    room.close()
    void room.wait('sender', 'bob', 1).then(told)
    expect(clock.pending).toBe(0)
    await clock.advance(120_000)
    expect(told).not.toHaveBeenCalled()
  },
)

describe('Little room for dead letters', () => {
  test('is told once for each side, until there is room again, and at the start of a run', async () => {
    const clock = new DrivenClock()
    const store = memoryStore()
    const options = { maxEntries: 20 }
    let letters = await openLetters(store, clock, options)
    let told: unknown[] = []
    const listen = (): void => {
      told = []
      letters.addEventListener('dead-letter:low', ({ detail }) => told.push(detail))
      letters.start()
    }
    listen()
    let peers = 0
    const add = async (side: 'sender' | 'recipient'): Promise<string> =>
      (await letters.add(newLetter({ side, peer: `${++peers}` }))).id
    const ids: string[] = []
    for (let i = 0; i < 17; i++) ids.push(await add('sender'))
    expect(told).toEqual([])
    ids.push(await add('sender'), await add('sender'))
    expect(told).toEqual([
      { side: 'sender', entries: 18, bytes: expect.any(Number), maxEntries: 20, maxBytes: 2 ** 26 },
    ])
    for (let i = 0; i < 18; i++) await add('recipient')
    expect(told).toMatchObject([{ side: 'sender' }, { side: 'recipient' }])
    letters = await openLetters(store, clock, options)
    listen()
    expect(told).toMatchObject([{ side: 'sender', entries: 19 }, { side: 'recipient' }])
    // Processed ones give way: they take no room.
    for (const id of ids.slice(0, 2)) await letters.markProcessed(id)
    await add('sender')
    expect(told).toHaveLength(2)
    for (const id of ids.slice(2, 5)) await letters.markProcessed(id)
    for (let i = 0; i < 3; i++) await add('sender')
    expect(told).toMatchObject([{}, {}, { side: 'sender', entries: 18 }])
  })

  test('is no reason to look at the letters: that there is none is known without', () => {
    const index = new LetterIndex({ entries: 1_000, bytes: 2 ** 30 })
    let looks = 0
    for (let i = 0; i < 1_000; i++) {
      const summary = { id: `${i}`, peer: 'bob', reason: 'expired', createdAt: i, bytes: 1, processed: false } as const
      index.set(
        Object.defineProperty({ ...summary, side: 'sender' } as Summary, 'processed', {
          get: () => {
            looks++
            return false
          },
        }),
      )
    }
    const before = looks
    expect(index.reserve({ side: 'sender', peer: 'bob', entries: 1, bytes: 1 }, 2_000, () => true)).toBeUndefined()
    expect(looks).toBe(before)
    expect(index.room('sender', 2_000, 'bob')).toEqual({ entries: 0, bytes: 2 ** 30 - 1_000 })
  })
})
