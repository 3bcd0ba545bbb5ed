/** What handlers of one author and class write reaches the disk in their order, and the next one reads it. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { keptValues } from '../../src/delivery/transaction.ts'
import type { Content } from '../../src/message/message.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { DeliveryWorld, type Handler, type Node } from './world.ts'

let world: DeliveryWorld
beforeEach(() => {
  world = new DeliveryWorld()
})
afterEach(() => world.close())

const once = { guarantee: 'exactly-once' } as const
const ACCOUNT = ['account']

/** A disk that has no room for one key, as long as it has none. */
function diskWithout(key: string): { readonly store: Store; full: boolean; refused: number } {
  const store = memoryStore()
  const disk = { store, full: true, refused: 0 }
  const commit = store.commit.bind(store)
  store.commit = async (batch, options) => {
    const large = batch.writes.some(write => write.op === 'put' && write.table === 'app' && write.key[0] === key)
    if (!disk.full || !large) return commit(batch, options)
    // Others run meanwhile.
    await new Promise<void>(resolve => world.clock.after(10, resolve))
    disk.refused++
    throw new AfpDataStoreError('STORE_FULL', 'there is no room')
  }
  return disk
}

async function pair(handler: Handler, store?: Store): Promise<{ ada: Node; bob: Node }> {
  const ada = await world.start(await world.machine())
  const parts = { handlerStrategy: fixedRetry({ delay: 100, retries: 0 }) }
  const bob = await world.start(await world.machine(store), handler, parts)
  await ada.meet(bob)
  return { ada, bob }
}

const isOver = async (...ends: readonly Promise<unknown>[]): Promise<void> => {
  let left = ends.length
  for (const end of ends) end.then(() => left--)
  await world.clock.advanceUntil(() => left === 0)
}

const kept = async ({ machine }: Node): Promise<Record<string, Content>> =>
  Object.fromEntries((await keptValues(() => machine.store).list()).map(({ key, value }) => [key.join(), value]))

describe('A message whose handler reads what that of the message before it wrote', () => {
  it.each(['says so', 'fails'])(
    'finds it, also where there was no room for it at first, and %s without it',
    async how => {
      const disk = diskWithout('account')
      const { ada, bob } = await pair(async ({ message }, transaction) => {
        if (message.content === 'open') return transaction.put(ACCOUNT, 'open')
        const account = await transaction.get(ACCOUNT)
        if (account === undefined && how === 'fails') throw new Error('there is no account')
        transaction.put(['deposit'], account ?? 'refused')
      }, disk.store)
      const open = await ada.send(bob, 'open', once)
      const deposit = await ada.send(bob, 'deposit', once)
      await world.clock.advanceUntil(() => disk.refused > 2)
      expect(await kept(bob)).toEqual({})
      disk.full = false
      await isOver(open.processed, deposit.processed)
      expect(await kept(bob)).toEqual({ account: 'open', deposit: 'open' })
      expect(bob.texts).toEqual(['open', 'deposit', 'deposit'])
      expect(bob.deadLetters.count()).toBe(0)
    },
  )

  it('finds it where a handler of another author has that to itself', async () => {
    let slow = 0
    const { ada, bob } = await pair(async ({ message }, transaction) => {
      if (message.content === 'slow') {
        slow++
        await transaction.get(ACCOUNT)
        // Others are quicker, until it has the key to itself.
        if (slow < 5) await keptValues(() => bob.machine.store).change(async other => other.put(ACCOUNT, slow))
        else await new Promise<void>(resolve => world.clock.after(1_000, resolve))
        transaction.put(ACCOUNT, 'slow')
      } else if (message.content === 'set') transaction.put(ACCOUNT, 'mine')
      else transaction.put(['asked'], (await transaction.get(ACCOUNT)) ?? 'nothing')
    })
    const eve = await world.start(await world.machine())
    await eve.meet(bob)
    const slowly = await eve.send(bob, 'slow', once)
    await world.clock.advanceUntil(() => slow === 5)
    const sent = [await ada.send(bob, 'set', once), await ada.send(bob, 'ask', once)]
    await isOver(slowly.processed, ...sent.map(({ processed }) => processed))
    expect(await kept(bob)).toEqual({ account: 'mine', asked: 'mine' })
    expect(slow).toBe(5)
  })

  it('runs once, where nothing is in its way', async () => {
    const { ada, bob } = await pair(async ({ message }, transaction) => {
      const { set, get } = message.content as { set?: number; get?: number }
      if (set !== undefined) transaction.put(ACCOUNT, set)
      else transaction.put(['got', get as number], (await transaction.get(ACCOUNT)) ?? 'nothing')
    })
    const { store } = bob.machine
    const commit = store.commit.bind(store)
    // As long as a disk takes.
    store.commit = async batch => {
      await new Promise<void>(resolve => world.clock.after(5, resolve))
      return commit(batch)
    }
    const sent = []
    for (let i = 0; i < 50; i++) sent.push(await ada.send(bob, { set: i }, once), await ada.send(bob, { get: i }, once))
    await isOver(...sent.map(({ processed }) => processed))
    expect(bob.got).toHaveLength(sent.length)
    for (const [key, value] of Object.entries(await kept(bob))) {
      if (key !== 'account') expect(key).toBe(`got,${value}`)
    }
  })
})

describe('Messages whose handlers only write, of which the first finds no room', () => {
  const effect: Handler = async ({ message }, transaction) => transaction.put([String(message.content)], true)

  it('have no effect before it, go on once there is room, and run again in their order after a crash', async () => {
    const disk = diskWithout('0')
    const { ada, bob } = await pair(effect, disk.store)
    const sent = []
    for (let i = 0; i < 5; i++) sent.push(await ada.send(bob, String(i), once))
    await world.clock.advanceUntil(() => disk.refused > 2)
    expect(bob.texts[0]).toBe('0')
    expect(await kept(bob)).toEqual({})
    bob.crash()
    const next = await world.start(bob.machine, effect)
    expect(await kept(bob)).toEqual({})
    disk.full = false
    await ada.meet(next)
    await isOver(...sent.map(({ processed }) => processed))
    expect(next.texts).toEqual(['0', '1', '2', '3', '4'])
    expect(Object.keys(await kept(next))).toHaveLength(5)
  })

  it('have none where their recipient closes before there is, either', async () => {
    const disk = diskWithout('0')
    const { ada, bob } = await pair(effect, disk.store)
    for (let i = 0; i < 3; i++) await ada.send(bob, String(i), once)
    await world.clock.advanceUntil(() => disk.refused > 1)
    await isOver(bob.stop())
    expect(await kept(bob)).toEqual({})
    expect(await bob.machine.store.count('inbox')).toBe(3)
  })

  it('hold up no other class', async () => {
    const disk = diskWithout('0')
    const { ada, bob } = await pair(effect, disk.store)
    for (let i = 0; i < 400; i++) await ada.send(bob, String(i), once)
    await world.clock.advance(10_000)
    const urgent = await ada.send(bob, 'urgent', { ...once, priority: 9 })
    await isOver(urgent.processed)
    expect(await kept(bob)).toEqual({ urgent: true })
    disk.full = false
  })
})
