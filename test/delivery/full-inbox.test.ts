/** Inboxes that are full of what waits for something that is not there yet: that comes in all the same. */

import { afterEach, describe, expect, test } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import type { Arrived } from '../../src/delivery/arrived.ts'
import type { DeliveryParts } from '../../src/delivery/delivery.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Key, Store } from '../../src/store/store.ts'
import { DeliveryWorld, type Node } from './world.ts'

let world: DeliveryWorld
afterEach(() => world.close())

const SMALL: Partial<DeliveryParts> = { inbox: { messages: 10 } }
const MINUTE = 60_000

const texts = (count: number, name: string): string[] => Array.from({ length: count }, (_, i) => `${name} ${i}`)

/** A store that has no room for some of the messages that come in. */
function picky(refuses: (key: Key) => boolean): Store {
  const store = memoryStore()
  const commit = store.commit.bind(store)
  store.commit = async (batch, options) => {
    if (batch.writes.some(write => write.op === 'put' && write.table === 'inbox' && refuses(write.key))) {
      throw new AfpDataStoreError('STORE_FULL', 'there is no room')
    }
    return commit(batch, options)
  }
  return store
}

/** Until so many messages are on its disk and unhandled. */
async function filled({ machine }: Node, count: number): Promise<void> {
  let there = 0
  for (let i = 0; i < 600 && there < count; i++) {
    await world.clock.advance(100)
    there = await machine.store.count('inbox')
  }
  expect(there).toBe(count)
}

async function restarted(node: Node, other: Node, parts = SMALL): Promise<Node> {
  node.crash()
  const again = await world.start(node.machine, undefined, parts)
  await other.meet(again)
  return again
}

describe.each([false, true])('An inbox that is full, its agent started anew: %s:', anew => {
  test('with what waits for one message, it takes that one', async () => {
    world = new DeliveryWorld()
    let refused = 0
    const store = picky(() => refused++ === 0)
    const ada = await world.start(await world.machine())
    let bob = await world.start(await world.machine(store), undefined, SMALL)
    await ada.meet(bob)
    const all = texts(30, 'message')
    for (const text of all) await ada.send(bob, text)
    await filled(bob, 10)
    expect(bob.texts).toEqual([])
    if (anew) bob = await restarted(bob, ada)
    await world.clock.advance(2 * MINUTE)
    expect(bob.texts).toEqual(all)
    expect(bob.holes).toEqual([])
    expect(await ada.machine.store.count('outbox')).toBe(0)
  })

  test('with what waits for an earlier epoch, it takes that', async () => {
    world = new DeliveryWorld()
    const [low, high] = [texts(5, 'low'), texts(30, 'high')]
    let earlier: unknown
    // What is of the later one comes first.
    let full = true
    const store = picky(([, epoch]) => full && epoch === earlier)
    let bob = await world.start(await world.machine(store), undefined, SMALL)
    const machine = await world.machine()
    let ada = await world.start(machine)
    for (const text of low) await ada.send(bob, text, { priority: 0 })
    await ada.stop()
    earlier = (await machine.store.range('epochs'))[0]?.key[2]
    ada = await world.start(machine)
    for (const text of high) await ada.send(bob, text, { priority: 9 })
    await ada.meet(bob)
    await filled(bob, 10)
    full = false
    if (anew) bob = await restarted(bob, ada)
    await world.clock.advance(2 * MINUTE)
    expect(bob.texts).toEqual([...low, ...high])
    expect(bob.holes).toEqual([])
    expect(await ada.machine.store.count('outbox')).toBe(0)
  })

  test('with classes that wait for one that goes a hundred times less often, it takes that', async () => {
    world = new DeliveryWorld()
    const [low, high] = [texts(5, 'low'), texts(30, 'high')]
    let full = true
    const store = picky(([, , number]) => full && (number as number) <= low.length)
    const ada = await world.start(await world.machine())
    let bob = await world.start(await world.machine(store), undefined, SMALL)
    for (const text of low) await ada.send(bob, text, { priority: 0 })
    // What is behind one that never comes waits for all that is below it: nobody can say of which class that was.
    const never = await ada.send(bob, 'never', { priority: 9, ttl: 0.01 })
    for (const text of high) await ada.send(bob, text, { priority: 9 })
    await world.clock.advanceUntil(() => never.status === 'expired')
    await ada.meet(bob)
    await filled(bob, 9)
    full = false
    if (anew) bob = await restarted(bob, ada)
    await world.clock.advance(2 * MINUTE)
    for (const all of [low, high]) expect(bob.texts.filter(text => all.includes(text as string))).toEqual(all)
    expect(await ada.machine.store.count('outbox')).toBe(0)
  })
})

test('An inbox that is full of what waits for one message takes that although there is one that nobody wants', async () => {
  world = new DeliveryWorld()
  let refused = 0
  const store = picky(([, , number]) => number === 2 && refused++ === 0)
  const wants = ({ message }: Arrived): Promise<void> | 'waiting' =>
    message.content === 'unwanted' ? 'waiting' : Promise.resolve()
  const bob = await world.start(await world.machine(store), wants, SMALL)
  const ada = await world.start(await world.machine())
  await ada.meet(bob)
  await ada.send(bob, 'unwanted', { priority: 5 })
  const all = texts(30, 'message')
  for (const text of all) await ada.send(bob, text)
  await filled(bob, 10)
  await world.clock.advance(2 * MINUTE)
  expect(bob.texts).toEqual(all)
})

test('An inbox grows no further while its messages wait for room among the dead letters', async () => {
  world = new DeliveryWorld()
  const inbox = { messages: 10, bytes: 20_000 }
  const fails = async (): Promise<void> => {
    throw new Error('no')
  }
  const handlerStrategy = fixedRetry({ delay: 10, retries: 0 })
  const bob = await world.start(await world.machine(), fails, { inbox, handlerStrategy }, { maxEntries: 4 })
  const ada = await world.start(await world.machine())
  await ada.meet(bob)
  for (const text of texts(100, 'x'.repeat(2_000))) await ada.send(bob, text)
  await world.clock.advanceUntil(() => bob.deadLetters.count() === 2)
  await world.clock.advance(30 * MINUTE)
  expect(bob.deadLetters.count()).toBe(2)
  const rows = await bob.machine.store.range('inbox')
  expect(rows.length).toBeLessThanOrEqual(11)
  expect(rows.reduce((bytes, { value }) => bytes + value.length, 0)).toBeLessThan(25_000)
})

test('What is left of several earlier runs is sent run by run, whatever its priority', async () => {
  world = new DeliveryWorld()
  const bob = await world.start(await world.machine())
  const machine = await world.machine()
  const epochs: unknown[] = []
  for (let run = 0; run < 5; run++) {
    const ada = await world.start(machine)
    for (const text of texts(4, `run ${run}, message`)) {
      await ada.send(bob, text, { priority: run })
    }
    const rows = await machine.store.range('epochs', { prefix: ['out'] })
    epochs.push(...rows.map(({ key }) => key[2]).filter(id => !epochs.includes(id)))
    if (run === 4) await ada.meet(bob)
    else await ada.stop()
  }
  const came: unknown[] = []
  const commit = bob.machine.store.commit
  bob.machine.store.commit = (batch, options) => {
    for (const { op, table, ...rest } of batch.writes) {
      if (op === 'put' && table === 'inbox' && 'key' in rest) came.push(rest.key[1])
    }
    return commit.call(bob.machine.store, batch, options)
  }
  await world.clock.advanceUntil(() => bob.texts.length === 20)
  expect(came).toEqual(epochs.flatMap(epoch => [epoch, epoch, epoch, epoch]))
})

test('Four that fill the inbox with what waits leave a fifth of it to others', async () => {
  world = new DeliveryWorld()
  const greedy = new Set<unknown>()
  const store = picky(([author, , number]) => greedy.has(author) && number === 1)
  const inbox = { messages: 100, bytes: 20_000, totalBytes: 60_000 }
  const bob = await world.start(await world.machine(store), () => 'waiting', { inbox })
  const four: Node[] = []
  while (four.length < 4) four.push(await world.start(await world.machine()))
  for (const one of four) {
    greedy.add(one.id)
    await one.meet(bob)
  }
  for (const text of texts(20, 'junk'.repeat(250))) {
    for (const one of four) await one.send(bob, text)
    await world.clock.advance(100)
  }
  await world.clock.advance(2 * MINUTE)
  const held = async (): Promise<number> =>
    (await store.range('inbox')).reduce((bytes, { value }) => bytes + value.length, 0)
  expect(await held()).toBeGreaterThan(40_000)
  expect(await held()).toBeLessThan(54_000)
  const ada = await world.start(await world.machine())
  await ada.meet(bob)
  const sent = await Promise.all(texts(4, 'word'.repeat(250)).map(text => ada.send(bob, text)))
  await world.clock.advance(1_000)
  expect(sent.map(({ status }) => status)).toEqual(sent.map(() => 'delivered'))
})

test('A message of any size fits an inbox that is empty, one after the other', async () => {
  world = new DeliveryWorld()
  const bob = await world.start(await world.machine(), undefined, { inbox: { bytes: 10, totalBytes: 10 } })
  const ada = await world.start(await world.machine())
  await ada.meet(bob)
  const all = texts(5, 'x'.repeat(100_000))
  for (const text of all) await ada.send(bob, text)
  await world.clock.advance(MINUTE)
  expect(bob.texts).toEqual(all)
})
