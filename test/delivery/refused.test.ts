/** What becomes of messages that their recipient has, and refuses. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { FrameType } from '../../src/delivery/frames.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { Disk } from './held-disk.ts'
import { DeliveryWorld, type Handler, type Machine, type Node } from './world.ts'

let world: DeliveryWorld
beforeEach(() => {
  world = new DeliveryWorld()
})
afterEach(() => world.close())

/** Refuses what begins so. */
const judge = ({ content }: { readonly content: unknown }): void => {
  if (String(content).startsWith('unwanted')) throw new Error('not wanted')
}
const letters = async (node: Node): Promise<unknown[]> => (await node.deadLetters.list()).map(({ reason }) => reason)

/** They are linked again when the time of what was sent is over. */
async function meetLate(ada: Node, bob: Node): Promise<void> {
  await world.clock.advance(61_000)
  world.net.heal()
  await ada.meet(bob)
  await world.clock.advance(60_000)
}

/** Keeps what a node is told from it; returns that, and hands a frame to it. */
function tap(node: Node, type: number): { kept: Uint8Array[]; give: (from: Node, frame: Uint8Array) => void } {
  const kept: Uint8Array[] = []
  const received = node.delivery.received.bind(node.delivery)
  node.delivery.received = (from, frame) => {
    if (frame[0] !== type) return received(from, frame)
    kept.push(frame)
    return Promise.resolve()
  }
  return { kept, give: (from, frame) => void received(from.id, frame) }
}

describe('A message that its recipient would not have', () => {
  it('has a letter, out of which it is sent again', async () => {
    let wanted = false
    const ada = await world.start(await world.machine())
    const bob = await world.start(await world.machine(), undefined, {
      judge: message => (wanted ? undefined : judge(message)),
    })
    await ada.meet(bob)
    await ada.send(bob, 'unwanted', { guarantee: 'exactly-once' })
    await world.clock.advance(1_000)
    expect([await letters(ada), await letters(bob)]).toEqual([['rejected'], []])
    wanted = true
    const [letter] = await ada.deadLetters.list()
    expect(await ada.deadLetters.retry(letter?.id as string)).toBe('retried')
    await world.clock.advance(1_000)
    expect(bob.texts).toEqual(['unwanted'])
  })

  it.each([0, 1, 2, 3])('has it though power fails after %s commits of that word', async commits => {
    const disk = new Disk()
    const { identity } = await world.machine()
    const first = await world.start({ identity, store: disk.store })
    const bob = await world.start(await world.machine(), undefined, { judge })
    await first.meet(bob)
    const { kept, give } = tap(first, FrameType.acks)
    await first.send(bob, 'unwanted', { ttl: 60 })
    await world.clock.advance(1_000)
    disk.left = commits
    for (const frame of kept) give(bob, frame)
    await world.clock.advance(100)
    first.crash()
    world.net.partition([first.id], [bob.id])
    disk.left = Number.POSITIVE_INFINITY
    const ada = await world.start({ identity, store: disk.store })
    await meetLate(ada, bob)
    expect(await letters(ada)).toHaveLength(1)
    expect(await disk.rows.count('outbox')).toBe(0)
  })

  it('has it though there was no room for it before a restart, and its time is over since', async () => {
    const adas = await world.machine()
    const first = await world.start(adas, undefined, {}, { maxEntries: 1 })
    const bob = await world.start(await world.machine(), undefined, { judge })
    await first.meet(bob)
    for (const text of ['unwanted 1', 'unwanted 2']) {
      await first.send(bob, text, { ttl: 60 })
      await world.clock.advance(1_000)
    }
    expect(await letters(first)).toHaveLength(1)
    world.net.partition([first.id], [bob.id])
    let stopped = false
    const stopping = first.stop().then(() => {
      stopped = true
    })
    await world.clock.advanceUntil(() => stopped)
    await stopping
    const ada = await world.start(adas)
    await meetLate(ada, bob)
    expect(await letters(ada)).toHaveLength(2)
    expect(await adas.store.count('outbox')).toBe(0)
  })

  it.each([0, 1])('lets what waits behind it go on in order, where the disk refuses that %s times', async times => {
    const rows = memoryStore()
    const ada = await world.start(await world.machine())
    const bob = await world.start(await world.machine(rows), undefined, { judge })
    await ada.meet(bob)
    const { kept, give } = tap(bob, FrameType.envelope)
    for (const text of ['unwanted', 'first', 'second']) await ada.send(bob, text)
    await world.clock.advance(50)
    const come = async (at: number): Promise<void> => {
      give(ada, kept[at] as Uint8Array)
      await world.clock.advance(1)
    }
    await come(1)
    const commit = rows.commit.bind(rows)
    let fails = times
    rows.commit = (...batch) =>
      fails-- > 0 ? Promise.reject(new AfpDataStoreError('STORE_FULL', 'no room now')) : commit(...batch)
    await come(0)
    await come(2)
    await world.clock.advance(5_000)
    expect(bob.texts).toEqual(['first', 'second'])
  })
})

describe('A message that was given up, and whose handler then failed', () => {
  let adas: Machine
  let ada: Node
  let bob: Node
  let fail: ((error: Error) => void) | undefined
  /** Fails once. */
  const once: Handler = async () => {
    if (fail !== undefined) return
    const { promise, reject } = Promise.withResolvers<undefined>()
    fail = reject
    return promise
  }

  it('is handled once, whoever retries its letters, though word that it had come could not be written', async () => {
    const rows = memoryStore()
    adas = await world.machine(rows)
    ada = await world.start(adas)
    bob = await world.start(await world.machine(), once, { handlerStrategy: fixedRetry({ delay: 10, retries: 0 }) })
    await ada.meet(bob)
    const { received } = ada.delivery
    ada.delivery.received = () => Promise.resolve()
    const message = ada.message(bob, 'pay', { guarantee: 'exactly-once' })
    const strategy = fixedRetry({ delay: 100, retries: 1 })
    await ada.delivery.send(ada.delivery.draft(message, 'message', strategy), [bob.id])
    await world.clock.advance(120_000)
    const [letter] = await ada.deadLetters.list()
    expect(letter).toMatchObject({ reason: 'attempts-exhausted', inDoubt: true })
    // It hears that it is there: its disk refuses that once.
    ada.delivery.received = received
    const commit = rows.commit.bind(rows)
    let refused = 0
    rows.commit = (batch, ...rest) => {
      const noted = batch.writes.some(write => 'key' in write && write.table === 'receipts')
      if (refused > 0 || !noted) return commit(batch, ...rest)
      refused++
      return Promise.reject(new AfpDataStoreError('STORE_FAILED', 'the disk fails just now'))
    }
    await world.clock.advanceUntil(() => refused > 0)
    fail?.(new Error('a bad day'))
    await world.clock.advance(10_000)
    expect(await letters(bob)).toEqual(['handler-error'])
    expect(await ada.deadLetters.retry(letter?.id as string)).toBe('delivered')
    const [theirs] = await bob.deadLetters.list()
    expect(await bob.deadLetters.retry(theirs?.id as string)).toBe('retried')
    await world.clock.advance(10_000)
    expect(bob.texts).toEqual(['pay', 'pay'])
  })
})
