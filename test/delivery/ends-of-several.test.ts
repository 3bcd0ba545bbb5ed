/** Several recipients of one message: what one of them does while the disk refuses the end of another. */

import { afterEach, beforeEach, expect, it } from 'vitest'
import { AfpDataStoreError, type AfpErrorCode } from '../../src/common/errors.ts'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch } from '../../src/store/store.ts'
import { DeliveryWorld, type Machine, type Node } from './world.ts'

let world: DeliveryWorld
let adas: Machine
let ada: Node
/** Away. */
let bob: Node
/** Has the message at work, until it is let go. */
let cid: Node
let release: () => void
/** Of these ada's disk takes 300 ms to say no. */
let refuses: (batch: Batch) => AfpErrorCode | undefined
let refused: number
beforeEach(async () => {
  world = new DeliveryWorld()
  const store = memoryStore()
  const commit = store.commit.bind(store)
  refuses = () => undefined
  refused = 0
  store.commit = async (batch, options) => {
    const code = refuses(batch)
    if (code === undefined) return commit(batch, options)
    refused++
    await new Promise<void>(resolve => world.clock.after(300, resolve))
    throw new AfpDataStoreError(code, 'this is not written')
  }
  adas = await world.machine(store)
  ada = await world.start(adas)
  bob = await world.start(await world.machine())
  const atWork = Promise.withResolvers<undefined>()
  release = () => atWork.resolve(undefined)
  cid = await world.start(await world.machine(), () => atWork.promise)
})
afterEach(() => world.close())

/** To both, and to one who is never done with it: its receipt stays open. */
async function toAll(ttl: number): Promise<string> {
  const dan = await world.start(await world.machine(), () => new Promise<never>(() => {}))
  const message = ada.message(bob, 'x', { guarantee: 'exactly-once', ttl })
  await ada.delivery.send(ada.delivery.draft(message, 'message'), [bob.id, cid.id, dan.id])
  for (const there of [cid, dan]) await ada.meet(there)
  await world.clock.advance(1_000)
  return message.id
}

const stateAt = async (id: string, { id: recipient }: Node): Promise<unknown> =>
  (await loadReceipt(adas.store, id))?.recipients.get(recipient)?.state

/** Power fails, and comes back with a disk that works. */
async function restart(): Promise<void> {
  ada.crash()
  refuses = () => undefined
  ada = await world.start(adas)
}

it('one that expired while its letter found no room is a dead letter after a restart', async () => {
  const id = await toAll(5)
  refuses = ({ writes }) => (writes.some(({ table }) => table === 'dead-letters') ? 'STORE_FULL' : undefined)
  await world.clock.advanceUntil(() => refused > 0)
  release()
  await world.clock.advance(2_000)
  expect([await stateAt(id, bob), await stateAt(id, cid)]).toEqual(['queued', 'processed'])
  await restart()
  await world.clock.advance(20_000)
  expect((await ada.deadLetters.list()).map(({ peer, reason }) => [peer === bob.id, reason])).toEqual([
    [true, 'expired'],
  ])
  expect([await stateAt(id, bob), await stateAt(id, cid)]).toEqual(['expired', 'processed'])
})

it('a cancel that failed has cancelled nothing, after a restart too', async () => {
  const id = await toAll(3_600)
  refuses = ({ writes }) =>
    writes.some(write => 'key' in write && write.table === 'outbox' && write.key[0] === bob.id)
      ? 'STORE_FAILED'
      : undefined
  const cancelled = ada.delivery.cancel(id)
  const failed = expect(cancelled).rejects.toMatchObject({ code: 'STORE_FAILED' })
  release()
  await world.clock.advance(2_000)
  await failed
  expect([await stateAt(id, bob), await stateAt(id, cid)]).toEqual(['queued', 'processed'])
  await restart()
  await ada.meet(bob)
  await world.clock.advanceUntil(() => bob.texts.length > 0)
  await world.clock.advance(1_000)
  expect(await stateAt(id, bob)).toBe('processed')
})

it('what waits for keys is sealed in its order, and that is no failure, though word of another recipient is refused', async () => {
  const errors: unknown[] = []
  let known = false
  ada.crash()
  const prekeyOf = (agent: string) =>
    agent === bob.id && !known ? undefined : world.nodes.get(agent)?.prekeys.current()
  ada = await world.start(adas, undefined, { prekeyOf, onError: error => errors.push(error) })
  const message = ada.message(bob, 'to both')
  await ada.delivery.send(ada.delivery.draft(message, 'message'), [cid.id, bob.id])
  await ada.send(bob, 'to one')
  refuses = ({ writes }) => {
    const word = writes.some(write => 'key' in write && write.table === 'outbox' && write.key[0] === cid.id)
    return word && refused === 0 ? 'STORE_FULL' : undefined
  }
  await ada.meet(cid)
  await world.clock.advanceUntil(() => refused > 0)
  known = true
  ada.delivery.cardChanged(bob.id)
  await world.clock.advance(2_000)
  expect(errors).toMatchObject([{ code: 'STORE_FULL' }])
  await ada.meet(bob)
  await world.clock.advance(1_000)
  expect(bob.texts).toEqual(['to both', 'to one'])
})
