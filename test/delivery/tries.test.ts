/** Tries on the disk: when they are written, with what, and what becomes of sending where they cannot be. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import type { RecipientReceipt } from '../../src/delivery/receipts.ts'
import { fixedRetry, type RetryStrategy } from '../../src/delivery/retry.ts'
import type { Tracking } from '../../src/delivery/tracker.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch } from '../../src/store/store.ts'
import { DeliveryWorld, type Node } from './world.ts'

let world: DeliveryWorld
let ada: Node
/** Takes what comes for as long as it likes before it keeps it. */
let bob: Node
let answers: PromiseWithResolvers<void>
/** What ada's disk was given since she met bob. */
let batches: Batch[]
/** Stands before it. */
let gate: (batch: Batch) => Promise<void> | undefined
beforeEach(async () => {
  world = new DeliveryWorld()
  const store = memoryStore()
  const commit = store.commit.bind(store)
  gate = () => undefined
  store.commit = async (batch, options) => {
    batches.push(batch)
    await gate(batch)
    return commit(batch, options)
  }
  batches = []
  answers = Promise.withResolvers()
  ada = await world.start(await world.machine(store))
  bob = await world.start(await world.machine(), undefined, { judge: () => answers.promise })
  await ada.meet(bob)
  batches = []
})
afterEach(() => world.close())

const send = (text: string, strategy: RetryStrategy, recipients = [bob.id]): Promise<Tracking> => {
  const message = Object.assign(ada.message(bob, text), { recipients })
  return ada.delivery.send(ada.delivery.draft(message, 'message', strategy), recipients)
}
const onlyReceipts = ({ writes }: Batch): boolean => writes.every(({ table }) => table === 'receipts')

const stored = async ({ id }: Tracking, to = bob): Promise<RecipientReceipt | undefined> =>
  (await loadReceipt(ada.machine.store, id))?.recipients.get(to.id)
const stateOf = ({ receipt }: Tracking, to = bob): unknown => receipt.recipients.get(to.id)?.state

/** How often messages were said to be tried again. */
function retries(): { readonly count: number } {
  const told = { count: 0 }
  ada.tracker.addEventListener('delivery:retry', () => told.count++)
  return told
}

describe('tries', () => {
  it('cost the disk nothing as long as they are answered, and one batch for all that fail together', async () => {
    const told = retries()
    const all = await Promise.all(Array.from({ length: 200 }, (_, i) => send(`${i}`, fixedRetry({ delay: 60_000 }))))
    expect(all.every(tracking => stateOf(tracking) === 'sent')).toBe(true)
    expect(batches).toHaveLength(200)
    expect(batches.filter(onlyReceipts)).toEqual([])
    await world.clock.advanceUntil(() => told.count === 200)
    await world.clock.advance(100)
    const written = batches.slice(200)
    expect(written).toHaveLength(1)
    expect(written.filter(onlyReceipts).flatMap(({ writes }) => writes)).toHaveLength(200)
    for (const tracking of all) {
      expect(await stored(tracking)).toMatchObject({ state: 'sent', retries: 1, retry: { attempts: 1 } })
    }
    expect(ada.errors).toEqual([])
  })

  it('go on where there is no room to write them, and are told of', async () => {
    const full = new AfpDataStoreError('STORE_FULL', 'there is no room')
    gate = batch => (onlyReceipts(batch) ? Promise.reject(full) : undefined)
    const told = retries()
    const tracking = await send('x', fixedRetry({ delay: 1_000, retries: 3 }))
    await world.clock.advanceUntil(() => tracking.status === 'failed')
    expect(told.count).toBe(3)
    expect(ada.errors).toEqual([full, full, full])
    expect(await stored(tracking)).toMatchObject({ state: 'dead', reason: 'attempts-exhausted', retries: 3 })
  })

  it('that fail while others are written are written after them', async () => {
    const writing = Promise.withResolvers<void>()
    gate = batch => (onlyReceipts(batch) ? writing.promise : undefined)
    const told = retries()
    const one = await send('one', fixedRetry({ delay: 60_000 }))
    await world.clock.advance(300)
    const two = await send('two', fixedRetry({ delay: 60_000 }))
    await world.clock.advanceUntil(() => told.count === 2)
    expect(batches.filter(onlyReceipts)).toHaveLength(1)
    writing.resolve()
    await world.clock.advance(10)
    expect(batches.filter(onlyReceipts)).toHaveLength(2)
    for (const tracking of [one, two]) expect(await stored(tracking)).toMatchObject({ retries: 1 })
  })

  it('do not bring back what ends while they are written', async () => {
    const writing = Promise.withResolvers<void>()
    const tracking = await send('x', fixedRetry({ delay: 60_000 }))
    gate = batch => (onlyReceipts(batch) ? writing.promise : undefined)
    const told = retries()
    await world.clock.advanceUntil(() => told.count === 1)
    // As a store does, what comes later waits for what came before it.
    gate = () => writing.promise
    answers.resolve()
    await world.clock.advance(100)
    writing.resolve()
    await world.clock.advanceUntil(() => stateOf(tracking) === 'processed')
    expect(await stored(tracking)).toMatchObject({ state: 'processed', retries: 1 })
    expect(await ada.machine.store.count('outbox')).toBe(0)
    // Nor does one that comes after its end.
    await world.clock.advance(120_000)
    expect(await stored(tracking)).toMatchObject({ state: 'processed', retries: 1 })
    expect(ada.errors).toEqual([])
  })

  it('do not say of another recipient what may yet fail to be written', async () => {
    const cid = await world.start(await world.machine())
    await ada.meet(cid)
    const told = retries()
    const tracking = await send('x', fixedRetry({ delay: 1_000, retries: 9 }), [bob.id, cid.id])
    const held = Promise.withResolvers<void>()
    let holds = 0
    gate = batch => {
      if (onlyReceipts(batch)) return undefined
      holds++
      return held.promise
    }
    await world.clock.advanceUntil(() => told.count === 1)
    await world.clock.advance(10)
    expect(holds).toBeGreaterThan(0)
    // What cid said is not on the disk, and does not get there by itself.
    expect(await stored(tracking, cid)).toMatchObject({ state: 'queued' })
    gate = () => undefined
    held.reject(new AfpDataStoreError('STORE_FAILED', 'once'))
    await world.clock.advanceUntil(() => stateOf(tracking, cid) === 'processed')
    await world.clock.advanceUntil(() => told.count === 3)
    await world.clock.advance(10)
    expect(await stored(tracking, cid)).toMatchObject({ state: 'processed', retries: 0 })
    expect(await stored(tracking)).toMatchObject({ state: 'sent', retries: 3 })
    expect(ada.errors).toHaveLength(holds)
  })

  it('that waited for what is said of another recipient are written with the next ones', async () => {
    const cid = await world.start(await world.machine())
    await ada.meet(cid)
    const told = retries()
    const tracking = await send('x', fixedRetry({ delay: 60_000 }), [bob.id, cid.id])
    const held = Promise.withResolvers<void>()
    gate = batch => (onlyReceipts(batch) ? undefined : held.promise)
    await world.clock.advanceUntil(() => told.count === 1)
    gate = () => undefined
    held.resolve()
    await world.clock.advanceUntil(() => stateOf(tracking, cid) === 'processed')
    const next = await send('y', fixedRetry({ delay: 60_000 }))
    await world.clock.advanceUntil(() => told.count === 2)
    await world.clock.advance(10)
    for (const each of [tracking, next]) expect(await stored(each)).toMatchObject({ state: 'sent', retries: 1 })
    expect(await stored(tracking, cid)).toMatchObject({ state: 'processed' })
  })
})
