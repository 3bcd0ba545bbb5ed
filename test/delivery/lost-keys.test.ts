/** A recipient has lost its key while its sender is still writing: nothing is lost with it, and nothing goes twice. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { Disk } from './held-disk.ts'
import { DeliveryWorld, type Machine, type Node } from './world.ts'

let world: DeliveryWorld
let disk: Disk
let adas: Machine
let ada: Node
let bob: Node
/** What the sender believes to be the recipient's key. */
let shown: ReturnType<Node['prekeys']['current']> | undefined
let release: () => void
beforeEach(async () => {
  world = new DeliveryWorld()
  disk = new Disk()
  adas = await world.machine(disk.store)
  bob = await world.start(await world.machine())
  shown = bob.prekeys.current()
  ada = await start()
})
afterEach(() => world.close())

const start = (): Promise<Node> => world.start(adas, undefined, { prekeyOf: () => shown })

/** The recipient comes back with nothing. */
async function bobLoses(): Promise<void> {
  bob.crash()
  bob = await world.start({ identity: bob.machine.identity, store: memoryStore() })
}

/** From here on nothing reaches the sender's disk until {@link release}. */
function hold(): void {
  const gate = Promise.withResolvers<void>()
  disk.gate = gate.promise
  release = gate.resolve
}

/** The sender hears that the key is lost, and has done by then what it can. */
async function hears(): Promise<void> {
  world.net.heal()
  await ada.meet(bob)
  await world.clock.advanceUntil(() => bob.refused.includes('lost-key'))
  shown = bob.prekeys.current()
  ada.delivery.cardChanged(bob.id)
  await world.clock.advance(500)
}

const outRows = (table: 'outbox' | 'epochs'): Promise<number> =>
  disk.rows.count(table, table === 'epochs' ? { prefix: ['out'] } : {})

/** What is sent from here on is sealed to a key that is lost, and is not on its way yet. */
async function away(): Promise<void> {
  await ada.meet(bob)
  await ada.send(bob, 'first')
  await world.clock.advanceUntil(() => bob.texts.length === 1)
  await world.clock.advance(1_000)
  world.net.partition([ada.id], [bob.id])
  await bobLoses()
}

describe('a message that is still being written when its key is found to be lost', () => {
  it('goes again once it is written', async () => {
    await away()
    await ada.send(bob, 'before')
    hold()
    const sending = ada.send(bob, 'meanwhile')
    await hears()
    release()
    await sending
    await world.clock.advance(10_000)
    expect(bob.texts).toEqual(['before', 'meanwhile'])
    expect(await outRows('outbox')).toBe(0)
    expect(ada.errors).toEqual([])
  })

  it('as the first of its epoch leaves nothing of that behind', async () => {
    await ada.meet(bob)
    await bobLoses()
    await ada.meet(bob)
    hold()
    const sending = ada.send(bob, 'first')
    // It has the recipient see the opening, of which nothing is on the disk.
    const once = ada.delivery.draft(ada.message(bob, 'once', { guarantee: 'at-most-once' }), 'message')
    await ada.delivery.sendOnce(once, bob.id)
    await hears()
    release()
    await sending
    await world.clock.advance(10_000)
    expect(bob.texts).toEqual(['first'])
    expect(await outRows('outbox')).toBe(0)
    // The one that is open.
    expect(await outRows('epochs')).toBe(1)
  })
})

describe('messages of several epochs whose keys are found to be lost', () => {
  /** The sender is started anew between them, and so each has an epoch of its own. */
  async function sendIn(...epochs: readonly (readonly string[])[]): Promise<void> {
    for (const [at, texts] of epochs.entries()) {
      if (at > 0) ada.crash()
      ada = at > 0 ? await start() : ada
      for (const text of texts) await ada.send(bob, text)
    }
  }

  async function expectInOrder(many: number): Promise<void> {
    const first = Array.from({ length: many }, (_, at) => `${at}`)
    await sendIn(first, ['second'], ['third'])
    await bobLoses()
    await hears()
    await world.clock.advance(10_000)
    expect(bob.texts).toEqual([...first, 'second', 'third'])
    expect(await outRows('outbox')).toBe(0)
    expect(ada.errors).toEqual([])
  }

  it('go again in the order in which they were sent', () => expectInOrder(1))

  // So many that a slice of them, or more than one, is written before the others are heard of.
  it('go again in that order however many there are', async () => {
    await expectInOrder(300)
  })

  it('go again in that order where an earlier one has to wait for the disk', async () => {
    const off = ada.message(bob, 'called off')
    await ada.send(bob, 'first')
    await ada.delivery.send(ada.delivery.draft(off, 'message'), [bob.id])
    await sendIn([], ['second'])
    await bobLoses()
    hold()
    const calledOff = ada.delivery.cancel(off.id)
    await hears()
    release()
    await calledOff
    await world.clock.advance(10_000)
    expect(bob.texts).toEqual(['first', 'second'])
  })

  it('go before what was sent after them, and was in no epoch yet', async () => {
    await sendIn(['first'], ['second'])
    await bobLoses()
    ada.crash()
    // Its prekey has ended by now.
    shown = undefined
    ada = await start()
    await ada.send(bob, 'third')
    await ada.meet(bob)
    await world.clock.advance(1_000)
    expect(bob.refused).toContain('lost-key')
    shown = bob.prekeys.current()
    ada.delivery.cardChanged(bob.id)
    await world.clock.advance(10_000)
    expect(bob.texts).toEqual(['first', 'second', 'third'])
  })

  it('go before the others where their own new key is lost as well, in the middle of that', async () => {
    const first = Array.from({ length: 1_100 }, (_, at) => `${at}`)
    await sendIn(first, ['second'])
    await bobLoses()
    // Its card shows a key that is lost as well.
    shown = bob.prekeys.current()
    await bobLoses()
    await ada.meet(bob)
    await world.clock.advanceUntil(() => bob.refused.includes('lost-key'))
    hold()
    await world.clock.advanceUntil(() => disk.waiting > 0)
    // It has the recipient see the opening, of which nothing is on the disk.
    const once = ada.delivery.draft(ada.message(bob, 'once', { guarantee: 'at-most-once' }), 'message')
    await ada.delivery.sendOnce(once, bob.id)
    await world.clock.advance(1_000)
    release()
    await world.clock.advance(10_000)
    shown = bob.prekeys.current()
    ada.delivery.cardChanged(bob.id)
    await world.clock.advance(10_000)
    expect(bob.texts).toEqual([...first, 'second'])
    expect(ada.errors).toEqual([])
  })
})

it('an epoch whose key is lost is there until what was given up in it has its end on the disk', async () => {
  await away()
  const { id } = await ada.send(bob, 'called off in doubt')
  // It may have left.
  ada.crash()
  ada = await start()
  await ada.delivery.cancel(id)
  const store = adas.store as Store
  const { commit } = store
  const gate = Promise.withResolvers<void>()
  let ends = 0
  store.commit = async (batch, ...options) => {
    const isEnd = batch.writes.some(({ op, table }) => op === 'delete' && table === 'outbox')
    if (isEnd) ends++
    if (isEnd) await gate.promise
    return commit(batch, ...options)
  }
  await hears()
  expect(ends).toBe(1)
  expect(await outRows('outbox')).toBe(1)
  expect(await outRows('epochs')).toBe(1)
  gate.resolve()
  await world.clock.advance(10_000)
  expect(await outRows('outbox')).toBe(0)
  expect(await outRows('epochs')).toBe(0)
  expect((await loadReceipt(disk.rows, id))?.recipients.get(bob.id)).toMatchObject({
    state: 'cancelled',
    inDoubt: false,
  })
})

describe('a message that is being given up when its key is found to be lost', () => {
  it('does not go again after it was called off', async () => {
    await away()
    const tracking = await ada.send(bob, 'x')
    await ada.send(bob, 'y')
    hold()
    const cancelling = ada.delivery.cancel(tracking.id)
    await hears()
    release()
    expect(await cancelling).toBe(true)
    await world.clock.advance(10_000)
    expect(bob.texts).toEqual(['y'])
    expect(tracking.receipt.recipients.get(bob.id)).toMatchObject({ state: 'cancelled', inDoubt: false, final: true })
    expect(await outRows('outbox')).toBe(0)
  })

  it('does not go again after it has expired, but for its dead letter', async () => {
    await away()
    const tracking = await ada.send(bob, 'x', { ttl: 5 })
    await ada.send(bob, 'y')
    await world.clock.advance(4_995)
    hold()
    await world.clock.advance(100)
    await hears()
    release()
    await world.clock.advance(10_000)
    expect(bob.texts).toEqual(['y'])
    expect(tracking.receipt.recipients.get(bob.id)).toMatchObject({ state: 'expired', inDoubt: false, final: true })
    const letters = await ada.deadLetters.list()
    expect(letters).toMatchObject([{ reason: 'expired', inDoubt: false }])
    expect(await ada.deadLetters.retry(letters[0]?.id as string)).toBe('retried')
    await world.clock.advance(10_000)
    expect(bob.texts).toEqual(['y', 'x'])
  })
})

it('a dead letter of a message that is on its way again does not send it once more', async () => {
  await away()
  const { id } = await ada.send(bob, 'x')
  const message = ada.delivery.draft(ada.message(bob, 'x', { id }), 'message').payload
  const letter = { side: 'sender', peer: bob.id, reason: 'expired', message, messageId: id, sender: ada.id } as const
  const staged = ada.deadLetters.stage({ ...letter, attempts: 0, inDoubt: false } as never)
  await adas.store.commit({ writes: staged.writes })
  staged.committed()
  expect(await ada.deadLetters.retry(staged.letter.id)).toBe('retried')
  expect(await outRows('outbox')).toBe(1)
  expect(ada.deadLetters.count({ processed: false })).toBe(0)
  ada.crash()
  ada = await start()
  expect(ada.deadLetters.count({ processed: false })).toBe(0)
})

it('a message whose epoch is gone from the store is told of, and is not kept for ever', async () => {
  const { id } = await ada.send(bob, 'x')
  ada.crash()
  await disk.rows.commit({ writes: [{ op: 'deleteRange', table: 'epochs', range: {} }] })
  ada = await start()
  await world.clock.advance(1_000)
  expect(ada.errors).toMatchObject([{ code: 'STORE_FAILED', details: { recipient: bob.id, messages: [id] } }])
  const receipt = await ada.tracker.get(id)
  expect(receipt?.recipients.get(bob.id)).toMatchObject({ state: 'dead', reason: 'no-key', inDoubt: true })
  expect(await outRows('outbox')).toBe(0)
})

it('a key that is lost is not sealed to again for five minutes, however long the card shows it', async () => {
  await away()
  await ada.send(bob, 'waits')
  world.net.heal()
  await ada.meet(bob)
  await world.clock.advance(30_000)
  expect(bob.texts).toEqual([])
  // The one that was open, and those that were opened before its recipient had said so of this key again.
  const refused = (): number => bob.refused.filter(reason => reason === 'lost-key').length
  expect(refused()).toBeLessThanOrEqual(3)
  const before = refused()
  await world.clock.advance(260_000)
  expect(refused()).toBe(before)
  // Another machine with its identity may have said so, and be gone.
  await world.clock.advance(50_000)
  expect(refused()).toBeGreaterThan(before)
  expect(refused()).toBeLessThanOrEqual(before + 3)
  await ada.send(bob, 'waits as well')
  shown = bob.prekeys.current()
  ada.delivery.cardChanged(bob.id)
  await world.clock.advance(5_000)
  expect(bob.texts).toEqual(['waits', 'waits as well'])
})

describe('a message that arrived', () => {
  let id: string
  let mend: () => void

  // Of which the disk takes no word, and whose recipient then loses its key.
  beforeEach(async () => {
    bob.crash()
    bob = await world.start(bob.machine, () => 'waiting')
    await ada.meet(bob)
    const { commit } = adas.store
    let refused = 0
    adas.store.commit = (batch, ...options) => {
      if (!batch.writes.some(({ op, table }) => op === 'put' && table === 'receipts')) return commit(batch, ...options)
      refused++
      return Promise.reject(new AfpDataStoreError('STORE_FULL', 'no room for this'))
    }
    mend = () => {
      adas.store.commit = commit
    }
    ;({ id } = await ada.send(bob, 'x'))
    await world.clock.advanceUntil(() => refused > 0)
    world.net.partition([ada.id], [bob.id])
    await bobLoses()
    await hears()
  })

  it('is not gone with the key, and goes again, where the disk had no word of it', async () => {
    ada.crash()
    mend()
    ada = await start()
    expect(await ada.tracker.get(id)).toBeDefined()
    await ada.meet(bob)
    await world.clock.advance(10_000)
    expect(bob.texts).toEqual(['x'])
    expect((await ada.tracker.get(id))?.recipients.get(bob.id)).toMatchObject({ state: 'processed' })
    expect(await outRows('outbox')).toBe(0)
  })

  it('leaves its receipt alone, once the disk takes that', async () => {
    mend()
    await world.clock.advance(60_000)
    expect((await loadReceipt(disk.rows, id))?.recipients.get(bob.id)).toMatchObject({ state: 'delivered' })
    expect(await outRows('outbox')).toBe(0)
    expect(bob.texts).toEqual([])
  })
})
