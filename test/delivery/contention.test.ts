/** Handlers that are in each other's way: they read and write the same keys. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { keptValues, type Transaction } from '../../src/delivery/transaction.ts'
import { DeliveryWorld, type Handler, type Node } from './world.ts'

let world: DeliveryWorld
beforeEach(() => {
  world = new DeliveryWorld()
})
afterEach(() => world.close())

const COUNT = ['count']
const number = (value: unknown): number => (value as number | undefined) ?? 0
const slow = { guarantee: 'exactly-once', timeout: 0 } as const

/** Adds one, some time after it looked. */
const add =
  (ms: (text: unknown) => number): Handler =>
  async ({ message }, transaction) => {
    const count = number(await transaction.get(COUNT))
    await new Promise<void>(resolve => world.clock.after(ms(message.content), resolve))
    transaction.put(COUNT, count + 1)
  }

/** A recipient whose handlers have one try, and its authors. */
async function crowd(authors: number, handler: Handler): Promise<{ bob: Node; from: Node[] }> {
  const bob = await world.start(await world.machine(), handler, {
    handlerStrategy: fixedRetry({ delay: 1_000, retries: 0 }),
  })
  const from: Node[] = []
  for (let i = 0; i < authors; i++) {
    const author = await world.start(await world.machine())
    await author.meet(bob)
    from.push(author)
  }
  return { bob, from }
}

const over = async (ending: Promise<unknown>): Promise<void> => {
  let done = false
  ending.then(() => {
    done = true
  })
  await world.clock.advanceUntil(() => done)
}

const count = async (node: Node): Promise<number> => {
  const [row] = await keptValues(() => node.machine.store).list({ prefix: COUNT })
  return number(row?.value)
}

describe('a handler that takes longer than others that write what it reads', () => {
  it('gets its turn, and nothing is lost or dead of either', async () => {
    const { bob, from } = await crowd(
      3,
      add(text => (text === 'slow' ? 2_000 : 90)),
    )
    const [patient, ...others] = from as [Node, Node, Node]
    const sent = [await patient.send(bob, 'slow', slow)]
    // For longer than all its tries take.
    for (let i = 0; i < 400; i++) for (const other of others) sent.push(await other.send(bob, `${i}`, slow))
    let slowDone = false
    sent[0]?.processed.then(() => {
      slowDone = true
    })
    await world.clock.advanceUntil(() => slowDone)
    expect(await count(bob)).toBeLessThan(sent.length)
    let done = 0
    for (const { processed } of sent) processed.then(() => done++)
    await world.clock.advanceUntil(() => done === sent.length)
    expect(await count(bob)).toBe(sent.length)
    expect(bob.deadLetters.count()).toBe(0)
  })

  it('holds the others up for so long, and no longer', async () => {
    const stuck = Promise.withResolvers<void>()
    let runs = 0
    const handler: Handler = async ({ message }, transaction) => {
      const before = number(await transaction.get(COUNT))
      if (message.content === 'stuck') {
        runs++
        if (runs > 4) await stuck.promise
        else await keptValues(() => bob.machine.store).change(kept => addOne(kept))
      }
      transaction.put(COUNT, before + 1)
    }
    const addOne = async (kept: Transaction): Promise<void> => kept.put(COUNT, number(await kept.get(COUNT)) + 1)
    const { bob, from } = await crowd(2, handler)
    const [patient, other] = from as [Node, Node]
    await patient.send(bob, 'stuck', slow)
    await world.clock.advanceUntil(() => runs === 5)
    const began = world.clock.monotonic()
    const { processed } = await other.send(bob, 'quick', slow)
    let done = false
    processed.then(() => {
      done = true
    })
    await world.clock.advanceUntil(() => done)
    expect(world.clock.monotonic() - began).toBeGreaterThan(5_000)
    expect(world.clock.monotonic() - began).toBeLessThan(15_000)
    stuck.resolve()
    await world.clock.advanceUntil(() => runs === 6)
  })

  it('holds nobody up while the disk has no room for what it wrote', async () => {
    let runs = 0
    const handler: Handler = async ({ message }, transaction) => {
      const before = number(await transaction.get(COUNT))
      if (message.content === 'large' && ++runs < 5)
        await keptValues(() => bob.machine.store).change(async kept =>
          kept.put(COUNT, number(await kept.get(COUNT)) + 1),
        )
      transaction.put(COUNT, before + 1)
    }
    const { bob, from } = await crowd(2, handler)
    const [large, other] = from as [Node, Node]
    const { store } = bob.machine
    const commit = store.commit.bind(store)
    let full = true
    let refused = 0
    store.commit = async (batch, options) => {
      const ends = batch.writes.some(
        write => write.op === 'delete' && write.table === 'inbox' && write.key[0] === large.id,
      )
      if (!full || !ends || runs < 5) return commit(batch, options)
      refused++
      throw new AfpDataStoreError('STORE_FULL', 'there is no room')
    }
    const waits = await large.send(bob, 'large', slow)
    await world.clock.advanceUntil(() => refused > 0)
    const began = world.clock.monotonic()
    const { processed } = await other.send(bob, 'quick', slow)
    await over(processed)
    expect(world.clock.monotonic() - began).toBeLessThan(1_000)
    full = false
    await over(waits.processed)
    expect(await count(bob)).toBe(6)
  })

  it('that changes what it read in another way is in its own, and fails', async () => {
    let runs = 0
    const { bob, from } = await crowd(1, async (_, transaction) => {
      runs++
      const before = number(await transaction.get(COUNT))
      await keptValues(() => bob.machine.store).change(kept => kept.put(COUNT, runs))
      transaction.put(COUNT, before + 1)
    })
    await from[0]?.send(bob, 'twice', slow)
    await world.clock.advanceUntil(() => bob.deadLetters.count() === 1)
    expect(runs).toBe(17)
    const [letter] = await bob.deadLetters.list()
    expect(letter).toMatchObject({ reason: 'handler-error', lastError: { code: 'STORE_CONFLICT' } })
  })

  it('reads a key twice at once while it changes, and runs again for that', async () => {
    let runs = 0
    const { bob, from } = await crowd(1, async (_, transaction) => {
      runs++
      if (runs > 1) return void transaction.put(COUNT, runs)
      const first = transaction.get(COUNT)
      await bob.machine.store.commit({ writes: [{ op: 'put', table: 'app', key: COUNT, value: Uint8Array.of(7) }] })
      await Promise.all([first, transaction.get(COUNT)])
    })
    const store = bob.machine.store
    const get = store.get.bind(store)
    const reads: (() => void)[] = []
    // The first of two reads answers last.
    store.get = async (table, key) => {
      const value = await get(table, key)
      if (table === 'app' && reads.length === 0) await new Promise<void>(resolve => reads.push(resolve))
      else reads[0]?.()
      return value
    }
    await from[0]?.send(bob, 'twice', slow)
    await world.clock.advanceUntil(() => runs === 2)
    expect(bob.deadLetters.count()).toBe(0)
    expect(bob.got.map(({ redelivered }) => redelivered)).toEqual([false, true])
  })
})

describe('handlers of one author', () => {
  it('that change one value in many classes do so one after the other, without a pause', async () => {
    const { bob, from } = await crowd(
      1,
      add(() => 20),
    )
    const [author] = from as [Node]
    const sent = []
    for (let i = 0; i < 40; i++) sent.push(await author.send(bob, `${i}`, { ...slow, priority: i % 10 }))
    let done = 0
    for (const { processed } of sent) processed.then(() => done++)
    const began = world.clock.monotonic()
    await world.clock.advanceUntil(() => done === sent.length)
    expect(await count(bob)).toBe(40)
    expect(world.clock.monotonic() - began).toBeLessThan(5_000)
  })

  it('that hold nothing up are let in again when there is room, whatever class they are of', async () => {
    const gate = Promise.withResolvers<void>()
    const { bob, from } = await crowd(1, ({ message }) =>
      message.content === 'urgent' ? Promise.resolve() : gate.promise,
    )
    const [author] = from as [Node]
    const ask = (text: string, priority: number): Promise<unknown> =>
      author.delivery.send(author.delivery.draft(author.message(bob, text, { priority }), 'request'), [bob.id])
    for (let i = 0; i < 256; i++) await ask('slow', 0)
    await world.clock.advanceUntil(() => bob.texts.length === 256)
    await ask('urgent', 9)
    await world.clock.advance(5_000)
    expect(bob.texts).not.toContain('urgent')
    gate.resolve()
    await world.clock.advance(5_000)
    expect(bob.texts).toContain('urgent')
  })
})

it('a recipient closes while a handler has keys to itself and others wait for them', async () => {
  let runs = 0
  const { bob, from } = await crowd(2, async ({ message }, transaction) => {
    await transaction.get(COUNT)
    if (message.content === 'stuck') {
      runs++
      if (runs > 4) await new Promise(() => {})
      await keptValues(() => bob.machine.store).change(kept => kept.put(COUNT, runs))
    }
    transaction.put(COUNT, 1)
  })
  await from[0]?.send(bob, 'stuck', slow)
  await world.clock.advanceUntil(() => runs === 5)
  await from[1]?.send(bob, 'quick', slow)
  await world.clock.advanceUntil(() => bob.texts.includes('quick'))
  let closed = false
  void bob.stop().then(() => {
    closed = true
  })
  await world.clock.advanceUntil(() => closed)
  expect(await bob.machine.store.count('inbox')).toBeLessThanOrEqual(2)
})
