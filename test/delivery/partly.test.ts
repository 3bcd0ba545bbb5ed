/** Messages that some of their recipients get, and letters that are sent once more. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { AfpDataStoreError, AfpRoutingError } from '../../src/common/errors.ts'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { readOutbox } from '../../src/delivery/rows.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch } from '../../src/store/store.ts'
import { DeliveryWorld, type Machine, type Node } from './world.ts'

let world: DeliveryWorld
let adas: Machine
let bob: Node
let cid: Node
let ada: Node
/** Batches for which ada's disk has no room. */
let full: (batch: Batch) => boolean
beforeEach(async () => {
  world = new DeliveryWorld()
  const store = memoryStore()
  const commit = store.commit.bind(store)
  full = () => false
  store.commit = async (batch, options) => {
    if (full(batch)) throw new AfpDataStoreError('STORE_FULL', 'there is no room')
    return commit(batch, options)
  }
  adas = await world.machine(store)
  bob = await world.start(await world.machine())
  cid = await world.start(await world.machine())
})
afterEach(() => world.close())

/** One to both; the second does not fit into the outbox. */
async function toBoth(strategy = fixedRetry({ delay: 700, retries: 9 })): ReturnType<typeof ada.delivery.send> {
  ada = await world.start(adas, undefined, { maxOutbox: { messages: 1 } })
  const message = Object.assign(ada.message(bob, 'hello'), { recipients: [bob.id, cid.id] })
  return ada.delivery.send(ada.delivery.draft(message, 'message', strategy), message.recipients)
}

/** The same machine after a restart, and what retries its letters. */
async function again(): Promise<Node> {
  await ada.stop()
  ada = await world.start(adas)
  return ada
}

const lettersOf = ({ deadLetters }: Node) => deadLetters.list({ processed: false })
const retry = async (): Promise<unknown> => {
  const [letter] = await lettersOf(ada)
  return ada.delivery.retryLetter(letter as NonNullable<typeof letter>, [])
}

describe('a recipient for whom there is no room', () => {
  it('is failed in the receipt, also after a restart, and a dead letter; the others get the message', async () => {
    const tracking = await toBoth()
    const states = (): unknown[] =>
      [bob, cid].map(({ id }) => ada.tracker.latest(tracking.id)?.recipients.get(id)?.state)
    expect(states()).toEqual(['queued', 'dead'])
    await expect(tracking.delivered).rejects.toMatchObject({ code: 'DELIVERY_FAILED' })
    expect(await lettersOf(ada)).toMatchObject([
      { peer: cid.id, reason: 'quota', inDoubt: false, lastError: { code: 'QUEUE_FULL' } },
    ])
    await again()
    expect(states()).toEqual(['queued', 'dead'])
    await ada.meet(bob)
    await world.clock.advanceUntil(() => bob.texts.length === 1)
    expect(await retry()).toBe('retried')
    await ada.meet(cid)
    await world.clock.advanceUntil(() => states().every(state => state === 'processed'))
    expect([bob.texts, cid.texts]).toEqual([['hello'], ['hello']])
    expect(cid.got[0]?.message.recipients).toEqual([bob.id, cid.id])
  })

  it('is failed at once, and in the store as soon as there is room for that', async () => {
    full = ({ writes }) => writes.some(({ table }) => table === 'dead-letters')
    const { receipt } = await toBoth()
    expect(receipt.recipients.get(cid.id)).toMatchObject({ state: 'dead', reason: 'quota' })
    expect(ada.deadLetters.count()).toBe(0)
    full = () => false
    await world.clock.advance(10_000)
    expect(await lettersOf(ada)).toMatchObject([{ peer: cid.id, reason: 'quota' }])
    await again()
    const kept = await ada.tracker.get(receipt.id)
    expect(kept?.recipients.get(cid.id)).toMatchObject({ state: 'dead', reason: 'quota' })
  })
})

it('several recipients for whom there is no room each have their letter once there is room for that one', async () => {
  const dan = await world.start(await world.machine())
  ada = await world.start(adas, undefined, { maxOutbox: { messages: 1 } }, { maxEntries: 1 })
  const recipients = [bob.id, cid.id, dan.id]
  const message = Object.assign(ada.message(bob, 'hello'), { recipients })
  await ada.delivery.send(ada.delivery.draft(message, 'message'), recipients)
  const peers: string[] = []
  for (let round = 0; round < 2; round++) {
    await world.clock.advance(10_000)
    for (const { id, peer, reason } of await lettersOf(ada)) {
      expect(reason).toBe('quota')
      peers.push(peer)
      await ada.deadLetters.markProcessed(id)
    }
  }
  expect(peers.sort()).toEqual([cid.id, dan.id].sort())
})

describe('a recipient whose copy cannot be kept', () => {
  /** One to both. Bob is not known: what is for him is kept in another batch. */
  async function toEither(error: Error): ReturnType<typeof ada.delivery.send> {
    world.nodes.delete(bob.id)
    const { commit } = adas.store
    vi.spyOn(adas.store, 'commit').mockImplementation((batch, options) => {
      const bobs = batch.writes.some(write => write.table === 'outbox' && 'key' in write && write.key[0] === bob.id)
      return bobs ? Promise.reject(error) : commit.call(adas.store, batch, options)
    })
    ada = await world.start(adas)
    const message = Object.assign(ada.message(bob, 'hello'), { recipients: [bob.id, cid.id] })
    return ada.delivery.send(ada.delivery.draft(message, 'message'), message.recipients)
  }

  it.each([
    ['not-kept', new AfpDataStoreError('STORE_FAILED', 'the disk is broken')],
    ['not-kept', new Error('anything')],
    ['quota', new AfpDataStoreError('STORE_FULL', 'there is no room')],
  ])('is dead as %s, for good, with what was wrong: %s', async (reason, error) => {
    const { id } = await toEither(error)
    const failed = { code: 'code' in error ? error.code : expect.any(String), message: error.message }
    const standing = ada.tracker.latest(id)?.recipients
    expect(standing?.get(bob.id)).toMatchObject({ state: 'dead', reason, final: true, left: false, error: failed })
    expect(standing?.get(cid.id)).toMatchObject({ state: 'queued' })
    expect(await lettersOf(ada)).toMatchObject([{ peer: bob.id, reason, inDoubt: false, lastError: failed }])
  })

  it('since the agent closes has no dead letter, and a receipt that says so', async () => {
    const { id } = await toEither(new AfpRoutingError('CLOSED', 'this agent has closed'))
    const standing = ada.tracker.latest(id)?.recipients.get(bob.id)
    expect(standing).toMatchObject({ state: 'cancelled', final: true, inDoubt: false, error: { code: 'CLOSED' } })
    expect(ada.deadLetters.count()).toBe(0)
    expect((await loadReceipt(adas.store, id))?.recipients.get(bob.id)).toEqual(standing)
  })
})

describe('a letter that is sent again', () => {
  it('keeps to the strategy of its message', async () => {
    await toBoth(fixedRetry({ delay: 700, retries: 9 }))
    await again()
    await retry()
    const [row] = (await adas.store.range('outbox', { prefix: [cid.id] })).map(readOutbox)
    expect(row?.row.strategy).toEqual(fixedRetry({ delay: 700, retries: 9 }))
  })

  it('is followed also where its receipt is gone', async () => {
    const { id } = await toBoth()
    await adas.store.commit({ writes: [{ op: 'deleteRange', table: 'receipts', range: {} }] })
    await again()
    // Of bob the row of the message says that it waits.
    expect([...(ada.tracker.latest(id)?.recipients.keys() ?? [])]).toEqual([bob.id])
    expect(await retry()).toBe('retried')
    await ada.meet(cid)
    await world.clock.advanceUntil(() => ada.tracker.latest(id)?.recipients.get(cid.id)?.state === 'processed')
  })

  it('that cannot be kept is not followed', async () => {
    const { id } = await toBoth()
    await adas.store.commit({ writes: [{ op: 'deleteRange', table: 'receipts', range: {} }] })
    await again()
    full = () => true
    await expect(retry()).rejects.toMatchObject({ code: 'STORE_FULL' })
    expect(ada.tracker.latest(id)?.recipients.has(cid.id)).toBe(false)
    full = () => false
    expect(await retry()).toBe('retried')
  })
})
