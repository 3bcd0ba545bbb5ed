/** On the recipient's side of dead letters no author takes the room that others need. */

import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { LetterIndex, type Summary } from '../../src/delivery/dead-letter-index.ts'
import { LetterRoom } from '../../src/delivery/letter-room.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { newLetter, openLetters } from '../contracts/dead-letters.ts'
import { DeliveryWorld, type Handler } from './world.ts'

describe('Letters of an author', () => {
  let world: DeliveryWorld
  beforeEach(() => {
    world = new DeliveryWorld()
  })
  afterEach(() => world.close())

  test('are as many as are left free: those of others have room beside them, and nobody is woken in vain', async () => {
    const picky: Handler = ({ message }) =>
      message.content === 'unwanted' ? 'waiting' : message.content === 'bad' ? Promise.reject(Error('bad')) : done()
    const done = async (): Promise<void> => {}
    const parts = { handlerStrategy: fixedRetry({ delay: 1, retries: 0 }) }
    const bob = await world.start(await world.machine(), picky, parts, { maxEntries: 20 })
    const [stranger, ada] = [await world.start(await world.machine()), await world.start(await world.machine())]
    const stage = vi.spyOn(bob.deadLetters, 'stage')
    const held = () => [stranger, ada].map(({ id: peer }) => bob.deadLetters.count({ peer }))
    await stranger.meet(bob)
    for (let i = 0; i < 30; i++) await stranger.send(bob, 'unwanted', { ttl: 10 })
    await world.clock.advance(60_000)
    expect(held()).toEqual([10, 0])
    await ada.meet(bob)
    for (let i = 0; i < 10; i++) await ada.send(bob, 'bad')
    const good = await ada.send(bob, 'good')
    await world.clock.advanceUntil(() => good.receipt.recipients.get(bob.id)?.state === 'processed')
    await world.clock.advance(60_000)
    expect(held()).toEqual([10, 5])
    expect(stage).toHaveBeenCalledTimes(40)
    // The stranger has waited for longer, and has more than is free all the same.
    const [oldest] = (await bob.deadLetters.list({ peer: stranger.id })).slice(-1)
    await bob.deadLetters.discard(oldest?.id as string)
    await world.clock.advance(60_000)
    expect(held()).toEqual([9, 6])
    expect(stage).toHaveBeenCalledTimes(41)
    expect(await bob.deadLetters.purge({ processed: 'any' })).toBe(15)
    await world.clock.advance(60_000)
    expect(held()).toEqual([10, 4])
    expect(stage).toHaveBeenCalledTimes(55)
    // Nothing is lost: each has its letter in the end, or is still where it was.
    let letters = 1 + 15 + 14
    while (bob.deadLetters.count() > 0) {
      expect(await bob.machine.store.count('inbox')).toBe(40 - letters)
      const gone = await bob.deadLetters.purge({ processed: 'any' })
      await world.clock.advance(60_000)
      expect(gone).toBeGreaterThan(0)
      letters += bob.deadLetters.count()
    }
    expect(letters).toBe(40)
  })
})

describe('The share of an author', () => {
  const letters = (options: object) => openLetters(memoryStore(), new DrivenClock(), options)
  const full = expect.objectContaining({ code: 'QUEUE_FULL' })

  test('is one of bytes too, and of what is staged; processed letters take none', async () => {
    const open = await letters({ maxBytes: 10_000 })
    const letter = (peer: string, bytes = 3_500) =>
      newLetter({ side: 'recipient', peer, message: new Uint8Array(bytes) })
    const staged = open.stage(letter('eve'))
    expect(() => open.stage(letter('eve'))).toThrow(full)
    staged.abandoned()
    const { id } = await open.add(letter('eve'))
    expect(() => open.stage(letter('eve'))).toThrow(full)
    await open.add(letter('bob'))
    expect(() => open.stage(letter('bob'))).toThrow(full)
    await open.markProcessed(id)
    await open.add(letter('eve'))
  })

  test('is not asked for on the side of the sender', async () => {
    const open = await letters({ maxEntries: 3 })
    for (let i = 0; i < 3; i++) await open.add(newLetter({ peer: 'eve' }))
    expect(open.count()).toBe(3)
  })

  test('is had in turn: who has just got room is asked last', async () => {
    const index = new LetterIndex({ entries: 6, bytes: 1_000 })
    const room = new LetterRoom(new DrivenClock(), index)
    const summary = { side: 'recipient', reason: 'expired', createdAt: 0, bytes: 1, processed: false } as const
    for (const peer of ['eve', 'eve', 'ada', 'ada']) index.set({ ...summary, id: crypto.randomUUID(), peer })
    const first = index.select({ peer: 'eve' }, 0)
    const woken: string[] = []
    for (const peer of ['eve', 'eve', 'ada', 'ada'])
      void room.wait('recipient', peer, 1).then(() => {
        woken.push(peer)
        index.set({ ...summary, id: crypto.randomUUID(), peer })
      })
    for (const id of first) {
      index.delete(id)
      room.changed()
      await setImmediate()
    }
    expect(woken).toEqual(['eve', 'ada', 'eve'])
    room.close()
  })

  test('does not count what may go by its age', async () => {
    const index = new LetterIndex({ entries: 4, bytes: 1_000, maxAge: 10 })
    const wanted = { side: 'recipient', peer: 'eve', entries: 1, bytes: 1 } as const
    const reserve = (now: number) => index.reserve(wanted, now, () => true)?.map(({ id }) => id)
    const summary = { ...wanted, reason: 'expired', createdAt: 0, processed: false } as const
    for (const id of ['a', 'b']) index.set({ ...summary, id })
    expect(reserve(10)).toBeUndefined()
    expect(index.room('recipient', 11, 'eve')).toEqual({ entries: 4, bytes: 1_000 })
    expect([reserve(11), reserve(11)]).toEqual([[], []])
    expect(reserve(11)).toBeUndefined()
    expect(index.reserve({ ...wanted, peer: 'ada' }, 11, () => true)).toMatchObject([{ id: 'a' }])
  })

  test('is known without looking at its letters', () => {
    const index = new LetterIndex({ entries: 1_000, bytes: 2 ** 30 })
    let looks = 0
    const peer = (): string => {
      looks++
      return 'eve'
    }
    for (let i = 0; i < 500; i++) {
      const summary = { id: `${i}`, side: 'recipient', reason: 'expired', createdAt: i, bytes: 1, processed: false }
      index.set(Object.defineProperty(summary, 'peer', { get: peer }) as unknown as Summary)
    }
    looks = 0
    const wanted = { side: 'recipient', entries: 1, bytes: 1 } as const
    expect(index.reserve({ ...wanted, peer: 'eve' }, 2_000, () => true)).toBeUndefined()
    expect(index.reserve({ ...wanted, peer: 'ada' }, 2_000, () => true)).toEqual([])
    expect(looks).toBe(0)
  })
})
