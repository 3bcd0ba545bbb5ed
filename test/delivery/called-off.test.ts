/** What is called off for good does not leave, though the disk cannot be told of it yet. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/store/memory.ts'
import { Disk } from './held-disk.ts'
import { refuseEnds } from './refusing-disk.ts'
import { storedReceipt } from './stored-receipt.ts'
import { DeliveryWorld, type Machine, type Node } from './world.ts'

let world: DeliveryWorld
let slow: Disk
let adas: Machine
let ada: Node
let bob: Node
/** What the sender believes to be the recipient's key. */
let shown: ReturnType<Node['prekeys']['current']> | undefined
beforeEach(async () => {
  world = new DeliveryWorld()
  slow = new Disk()
  adas = await world.machine(slow.store)
  bob = await world.start(await world.machine())
  shown = bob.prekeys.current()
  ada = await world.start(adas, undefined, { prekeyOf: () => shown })
})
afterEach(() => world.close())

async function ask(ttl = 600): Promise<string> {
  const request = ada.message(bob, 'transfer', { ttl })
  await ada.delivery.send(ada.delivery.draft(request, 'request'), [bob.id])
  return request.id
}

/** The sender gets to know the recipient's key, if it does not yet. */
function show(): void {
  shown = bob.prekeys.current()
  ada.delivery.cardChanged(bob.id)
}

const state = async (id: string): Promise<string | undefined> =>
  (await storedReceipt(adas.store, id))?.recipients.get(bob.id)?.state

const ways = [
  ['sealed', true],
  ['not sealed yet', false],
] as const

describe.each(ways)('a request that is called off, %s, while the disk fails or is slow,', (_, sealed) => {
  beforeEach(() => {
    if (!sealed) shown = undefined
  })

  it('is held, and over once the disk is mended; a cancel by hand that fails meanwhile does not let it go', async () => {
    const id = await ask()
    const disk = await refuseEnds(adas.store)
    await ada.delivery.callOff(id, bob.id)
    expect(ada.errors).toEqual([disk.error])
    await expect(ada.delivery.cancel(id)).rejects.toBe(disk.error)
    show()
    await ada.meet(bob)
    await world.clock.advance(10_000)
    expect(disk.refused).toBeGreaterThan(5)
    expect(await state(id)).toBe('queued')
    disk.mend()
    await world.clock.advance(2_000)
    expect(await state(id)).toBe('cancelled')
    await ada.send(bob, 'the next')
    await world.clock.advance(2_000)
    expect(bob.texts).toEqual(['the next'])
    expect(await adas.store.count('outbox')).toBe(0)
  })

  it('is no dead letter where its time ends before that can be written', async () => {
    const id = await ask(2)
    const disk = await refuseEnds(adas.store)
    await ada.delivery.callOff(id, bob.id)
    await world.clock.advance(5_000)
    disk.mend()
    await world.clock.advance(2_000)
    expect(await state(id)).toBe('cancelled')
    expect(await ada.deadLetters.list()).toEqual([])
  })

  it('is no dead letter either where its time ends while others are written', async () => {
    const ids = [await ask(2), await ask(2)]
    const gate = Promise.withResolvers<void>()
    slow.gate = gate.promise
    const calledOff = ids.map(id => ada.delivery.callOff(id, bob.id))
    await world.clock.advance(3_000)
    gate.resolve()
    await Promise.all(calledOff)
    await world.clock.advance(1_000)
    expect(await Promise.all(ids.map(state))).toEqual(['cancelled', 'cancelled'])
    expect(await ada.deadLetters.list()).toEqual([])
  })

  it('is called off all the same where its time had ended and that could not be written', async () => {
    const id = await ask(2)
    const disk = await refuseEnds(adas.store)
    await world.clock.advance(2_500)
    expect(disk.refused).toBe(1)
    await ada.delivery.callOff(id, bob.id)
    expect(disk.refused).toBe(2)
    disk.mend()
    await world.clock.advance(3_000)
    expect(await state(id)).toBe('cancelled')
    expect(await ada.deadLetters.list()).toEqual([])
  })

  it('is called off all the same while it is tried to write that its time has ended', async () => {
    const id = await ask(2)
    const disk = await refuseEnds(adas.store)
    const gate = Promise.withResolvers<void>()
    disk.gate = gate.promise
    await world.clock.advance(2_500)
    expect(disk.refused).toBe(1)
    const calledOff = ada.delivery.callOff(id, bob.id)
    await world.clock.advance(100)
    expect(disk.refused).toBe(1)
    gate.resolve()
    await calledOff
    expect(disk.refused).toBe(2)
    disk.mend()
    await world.clock.advance(3_000)
    expect(await state(id)).toBe('cancelled')
    expect(await ada.deadLetters.list()).toEqual([])
  })
})

it('what is called off before there is a key holds up nothing that comes after it', async () => {
  shown = undefined
  const id = await ask()
  const disk = await refuseEnds(adas.store)
  await ada.delivery.callOff(id, bob.id)
  await ada.send(bob, 'waits for a key')
  show()
  await ada.meet(bob)
  await world.clock.advance(1_000)
  await ada.send(bob, 'has one')
  await world.clock.advance(1_000)
  expect(bob.texts).toEqual(['waits for a key', 'has one'])
  expect(await state(id)).toBe('queued')
  disk.mend()
  await world.clock.advance(2_000)
  expect(await adas.store.count('outbox')).toBe(0)
})

it('a cancel by hand that fails lets a message go on, and one that is called off meanwhile not', async () => {
  const [message, request] = [(await ada.send(bob, 'goes on')).id, await ask()]
  const disk = await refuseEnds(adas.store)
  const gate = Promise.withResolvers<void>()
  disk.gate = gate.promise
  const cancelled = [message, request].map(id => ada.delivery.cancel(id).catch(error => error))
  await world.clock.advanceUntil(() => disk.refused === 2)
  const calledOff = ada.delivery.callOff(request, bob.id)
  await world.clock.advance(10)
  expect(disk.refused).toBe(2)
  gate.resolve()
  expect(await Promise.all(cancelled)).toEqual([disk.error, disk.error])
  await calledOff
  expect(disk.refused).toBe(3)
  await ada.meet(bob)
  await world.clock.advance(500)
  expect(bob.texts).toEqual(['goes on'])
  disk.mend()
  await world.clock.advance(5_000)
  expect(bob.texts).toEqual(['goes on'])
  expect([await state(message), await state(request)]).toEqual(['processed', 'cancelled'])
})

it('a request that is called off does not go again where its recipient has lost the key that it is sealed to', async () => {
  const id = await ask()
  const { id: message } = await ada.send(bob, 'a message')
  const disk = await refuseEnds(adas.store)
  await ada.delivery.callOff(id, bob.id)
  bob.crash()
  bob = await world.start({ identity: bob.machine.identity, store: memoryStore() })
  await ada.meet(bob)
  await world.clock.advanceUntil(() => bob.refused.includes('lost-key'))
  show()
  await world.clock.advance(5_000)
  expect(bob.texts).not.toContain('transfer')
  disk.mend()
  await world.clock.advance(10_000)
  expect(bob.texts).toEqual(['a message'])
  expect([await state(message), await state(id)]).toEqual(['processed', 'cancelled'])
  expect(await adas.store.count('outbox')).toBe(0)
})
