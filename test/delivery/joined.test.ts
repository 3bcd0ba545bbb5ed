/** A recipient that a receipt did not name joins it when its letter is retried, in the batch that makes it so. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { letterBytes } from '../../src/delivery/dead-letter.ts'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import { advance, newReceipt } from '../../src/delivery/receipts.ts'
import { type ReceiptChange, Tracker } from '../../src/delivery/tracker.ts'
import { messageIdFrom } from '../../src/message/ids.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { DeliveryWorld, type Machine, type Node } from './world.ts'

let clock: DrivenClock
let tracker: Tracker
beforeEach(() => {
  clock = new DrivenClock()
  tracker = new Tracker({ clock })
  tracker.track(newReceipt({ id: 'm', guarantee: 'at-least-once', createdAt: 0, expiresAt: 3_600_000 }, ['bob']))
})

const join = (): ReceiptChange => {
  const change = tracker.apply('m', 'eve', { type: 'queued' })
  expect(change).toBeDefined()
  return change as ReceiptChange
}
const named = (): unknown => [tracker.tracking('m'), tracker.latest('m')].map(all => [...recipientsOf(all)])
const recipientsOf = (all: ReturnType<Tracker['tracking']> | ReturnType<Tracker['latest']>): Iterable<string> =>
  (all && 'receipt' in all ? all.receipt : all)?.recipients.keys() ?? []

describe('A recipient that is queued for a message that did not name it', () => {
  it('is in its receipt with that, as one that has not been tried', () => {
    const receipt = newReceipt({ id: 'm', guarantee: 'at-least-once', createdAt: 0, expiresAt: 1 }, ['bob'])
    const { recipients } = advance(receipt, 'eve', { type: 'queued' }, 5) ?? {}
    expect([...(recipients?.keys() ?? [])]).toEqual(['bob', 'eve'])
    expect(recipients?.get('eve')).toMatchObject({ state: 'queued', retries: 0, left: false, final: false, at: 5 })
  })

  it('is told once that is on the disk, and the others wait for what they waited for', async () => {
    const told: unknown[] = []
    tracker.addEventListener('delivery:changed', ({ detail }) => told.push([detail.recipient, detail.receipt.state]))
    const { delivered } = tracker.tracking('m') ?? {}
    const change = join()
    expect(named()).toEqual([['bob'], ['bob', 'eve']])
    // What is made from it meanwhile is not to be on the disk without it.
    expect(tracker.changing('m', new Set(['bob']))).toBe(true)
    change.committed()
    expect(named()).toEqual([
      ['bob', 'eve'],
      ['bob', 'eve'],
    ])
    for (const recipient of ['bob', 'eve']) tracker.apply('m', recipient, { type: 'delivered' })?.committed()
    expect([...((await delivered)?.keys() ?? [])]).toEqual(['bob', 'eve'])
    expect(told).toEqual([
      ['eve', 'queued'],
      ['bob', 'delivered'],
      ['eve', 'delivered'],
    ])
  })

  it('is none of its recipients where that could not be written', () => {
    join().abandoned()
    expect(named()).toEqual([['bob'], ['bob']])
    expect(tracker.changing('m')).toBe(false)
    tracker.apply('m', 'bob', { type: 'processed' })?.committed()
    expect(tracker.tracking('m')?.status).toBe('delivered')
  })
})

describe('A recipient whose letter is retried beside others of its message', () => {
  const id = messageIdFrom('to both')
  let world: DeliveryWorld
  let adas: Machine
  let ada: Node
  let bob: Node
  let eve: Node
  /** Stands before ada's disk. */
  let gate: () => Promise<void> | undefined
  beforeEach(async () => {
    world = new DeliveryWorld()
    gate = () => undefined
    const store = memoryStore()
    const commit = store.commit.bind(store)
    store.commit = async (batch, options) => {
      await gate()
      return commit(batch, options)
    }
    adas = await world.machine(store)
    ada = await world.start(adas)
    bob = await world.start(await world.machine())
    eve = await world.start(await world.machine())
  })
  afterEach(() => world.close())

  const letterTo = async (to: Node): Promise<string> => {
    const message = letterBytes('hello', { sender: ada.id, recipient: to.id, id, clock: world.clock })
    const why = { reason: 'rejected', attempts: 0 } as const
    return (await ada.deadLetters.add({ side: 'sender', peer: to.id, sender: ada.id, message, ...why })).id
  }
  const standing = async (): Promise<unknown> => {
    const all = [await loadReceipt(adas.store, id), ada.tracker.latest(id)]
    return all.map(receipt => [bob, eve].map(to => receipt?.recipients.get(to.id)?.state))
  }

  it('joins their receipt in the batch that keeps it, or not at all, whatever becomes of the others meanwhile', async () => {
    const [bobs, eves] = [await letterTo(bob), await letterTo(eve)]
    expect(await ada.deadLetters.retry(bobs)).toBe('retried')
    const disk = Promise.withResolvers<void>()
    let asked = false
    gate = () => {
      if (asked) return undefined
      asked = true
      return disk.promise
    }
    const retrying = ada.deadLetters.retry(eves)
    retrying.catch(() => {})
    await world.clock.advanceUntil(() => asked)
    // What bob says is made from a receipt that names eve, and must not be written before that is so.
    await ada.meet(bob)
    await world.clock.advanceUntil(() => bob.texts.length > 0)
    await world.clock.advance(100)
    disk.reject(new AfpDataStoreError('STORE_FULL', 'there is no room'))
    await expect(retrying).rejects.toMatchObject({ code: 'STORE_FULL' })
    await world.clock.advanceUntil(() => ada.tracker.latest(id)?.recipients.get(bob.id)?.final === true)
    await world.clock.advance(1_000)
    expect(await standing()).toEqual([
      ['processed', undefined],
      ['processed', undefined],
    ])
    expect(await ada.deadLetters.retry(eves)).toBe('retried')
    expect(await standing()).toEqual([
      ['processed', 'queued'],
      ['processed', 'queued'],
    ])
    ada.crash()
    ada = await world.start(adas)
    await ada.meet(eve)
    await world.clock.advanceUntil(() => eve.texts.length > 0)
    await world.clock.advance(1_000)
    expect(await standing()).toEqual([
      ['processed', 'processed'],
      ['processed', 'processed'],
    ])
    expect([bob.texts, eve.texts]).toEqual([['hello'], ['hello']])
  })
})
