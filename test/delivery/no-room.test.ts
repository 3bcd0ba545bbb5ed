/** Stores that have no room for a while, at moments of a test's choice: nothing hangs afterwards. */

import { afterEach, describe, expect, test } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import type { DeliveryParts } from '../../src/delivery/delivery.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch, Store } from '../../src/store/store.ts'
import { DeliveryWorld, type Node } from './world.ts'

let world: DeliveryWorld
afterEach(() => world.close())

/** A store that is full for some batches; `refused` says how often it was. */
function smallStore(): { store: Store; full: (batch: Batch) => boolean; refused: number } {
  const store = memoryStore()
  const small = { store, full: (_: Batch): boolean => false, refused: 0 }
  const commit = store.commit.bind(store)
  store.commit = async (batch, options) => {
    if (!small.full(batch)) return commit(batch, options)
    small.refused++
    throw new AfpDataStoreError('STORE_FULL', 'there is no room')
  }
  return small
}

async function pair(parts: Partial<DeliveryParts> = {}): Promise<[Node, Node, ReturnType<typeof smallStore>]> {
  world = new DeliveryWorld()
  const disk = smallStore()
  const ada = await world.start(await world.machine())
  const bob = await world.start(await world.machine(disk.store), undefined, parts)
  return [ada, bob, disk]
}

const TEXTS = ['one', 'two', 'three']

/** A sender that has kept texts without a key; `keyed` is when it gets one, and they come. */
async function keeping(): Promise<{
  ada: Node
  bob: Node
  disk: ReturnType<typeof smallStore>
  ids: string[]
  keyed: () => Promise<void>
}> {
  world = new DeliveryWorld()
  const disk = smallStore()
  const ada = await world.start(await world.machine(disk.store))
  const bob = await world.start(await world.machine())
  world.nodes.delete(bob.id)
  const ids: string[] = []
  for (const text of TEXTS) ids.push((await ada.send(bob, text)).id)
  const keyed = async (): Promise<void> => {
    world.nodes.set(bob.id, bob)
    ada.delivery.cardChanged(bob.id)
    await ada.meet(bob)
    await world.clock.advanceUntil(() => bob.texts.length === TEXTS.length)
  }
  return { ada, bob, disk, ids, keyed }
}

const onlyEpochs = ({ writes }: Batch): boolean => writes.length > 0 && writes.every(({ table }) => table === 'epochs')

describe('a sender without room', () => {
  test('for the envelope of a message that it kept without a key sends none that came after it', async () => {
    const { bob, disk, keyed } = await keeping()
    disk.full = ({ writes }) =>
      writes.some(({ op, table }) => op === 'delete' && table === 'outbox') && disk.refused < 1
    await keyed()
    expect(bob.texts).toEqual(TEXTS)
    expect(disk.refused).toBe(1)
  })
})

describe('a sender', () => {
  test('whose calling off of a message fails sends it where it was', async () => {
    const { ada, bob, disk, ids, keyed } = await keeping()
    disk.full = () => true
    await expect(ada.delivery.cancel(ids[1] as string)).rejects.toMatchObject({ code: 'STORE_FULL' })
    disk.full = () => false
    await keyed()
    expect(bob.texts).toEqual(TEXTS)
  })

  test('that cannot seal a message leaves no hole in its place', async () => {
    const [ada, bob] = await pair()
    await ada.meet(bob)
    const first = await ada.send(bob, 'first')
    await world.clock.advanceUntil(() => first.receipt.recipients.get(bob.id)?.state === 'processed')
    const draft = ada.delivery.draft(ada.message(bob, 'never'), 'message')
    const content = (): Promise<never> => Promise.reject(new Error('no cipher'))
    const unsealable = ada.delivery.send({ ...draft, shared: { recipients: [bob.id], content } }, [bob.id])
    const second = await ada.send(bob, 'second')
    await expect(unsealable).rejects.toThrow('no cipher')
    const from = world.clock.now()
    await world.clock.advanceUntil(() => second.receipt.recipients.get(bob.id)?.state === 'processed')
    expect(world.clock.now() - from).toBeLessThan(1_000)
    expect(bob.holes).toEqual([])
    expect(bob.texts).toEqual(['first', 'second'])
  })
})

describe('a recipient without room', () => {
  test('for the refusal of a message hands on what waited behind it, and tells of it once there is room', async () => {
    const judging = Promise.withResolvers<void>()
    const [ada, bob, disk] = await pair({
      judge: async ({ content }) => {
        if (content !== 'bad') return
        await judging.promise
        throw new Error('not this one')
      },
    })
    await ada.meet(bob)
    const bad = await ada.send(bob, 'bad')
    const good = await ada.send(bob, 'good')
    await world.clock.advanceUntil(() => good.status === 'delivered')
    // Nothing that says how the epoch stands.
    disk.full = ({ writes }) => writes.some(({ table }) => table === 'epochs')
    judging.resolve()
    await world.clock.advanceUntil(() => disk.refused > 2)
    expect(bob.texts).toEqual(['good'])
    expect(bad.status).toBe('sent')
    disk.full = () => false
    await world.clock.advanceUntil(() => bad.status === 'failed')
    expect(bob.texts).toEqual(['good'])
    await world.clock.advanceUntil(() => good.receipt.recipients.get(bob.id)?.state === 'processed')
  })

  test('for what its author gave up confirms that once there is room, without another message', async () => {
    const [ada, bob, disk] = await pair()
    await ada.meet(bob)
    const early = await ada.send(bob, 'early')
    await world.clock.advanceUntil(() => early.receipt.recipients.get(bob.id)?.state === 'processed')
    // Its recipient hears that it is there, and does not get it.
    ada.breakers.get(bob.id)?.forceOpen()
    disk.full = onlyEpochs
    const late = await ada.send(bob, 'late', { ttl: 10 })
    await world.clock.advanceUntil(() => late.status === 'expired')
    await world.clock.advanceUntil(() => disk.refused > 2)
    expect(late.receipt.recipients.get(bob.id)?.final).toBe(false)
    disk.full = () => false
    await world.clock.advanceUntil(() => late.receipt.recipients.get(bob.id)?.final === true)
    expect(await ada.machine.store.count('outbox')).toBe(0)
  })
})
