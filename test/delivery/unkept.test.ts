/** An agent that ends after a message was kept for the first of its recipients, and before the next. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadReceipt, writeReceipt } from '../../src/delivery/receipt-rows.ts'
import type { RecipientReceipt } from '../../src/delivery/receipts.ts'
import { Message } from '../../src/message/message.ts'
import { Disk } from './held-disk.ts'
import { DeliveryWorld, type Handler, type Machine, type Node } from './world.ts'

let world: DeliveryWorld
let disk: Disk
let adas: Machine
let ada: Node
let bob: Node
let eve: Node
beforeEach(async () => {
  world = new DeliveryWorld()
  disk = new Disk()
  adas = await world.machine(disk.store)
  ada = await world.start(adas)
  bob = await world.start(await world.machine())
  eve = await world.start(await world.machine())
})
afterEach(() => world.close())

/** A message to both; its id. */
function toBoth(ttl?: number): { id: string; sending: Promise<unknown> } {
  const message = new Message({ ...ada.message(bob, 'both', { ttl }), recipients: [bob.id, eve.id] })
  return { id: message.id, sending: ada.delivery.send(ada.delivery.draft(message, 'message'), message.recipients) }
}

/** The same machine after power has failed. */
async function again(): Promise<Node> {
  ada.crash()
  disk.left = Number.POSITIVE_INFINITY
  ada = await world.start({ ...adas, store: disk.rows })
  await world.clock.advance(10)
  return ada
}

const standings = async (id: string): Promise<(Partial<RecipientReceipt> | undefined)[]> => {
  const receipt = await loadReceipt(disk.rows, id)
  return [bob, eve].map(node => receipt?.recipients.get(node.id))
}

const FAILED = { state: 'dead', reason: 'not-kept', final: true, inDoubt: false, error: { code: 'STORE_FAILED' } }

// One that cannot be sealed yet is written at once.
it.each([true, false])('is failed for the second, a card known: %s; the first gets it', async known => {
  if (!known) world.nodes.delete(eve.id)
  const [first, second] = known ? [bob, eve] : [eve, bob]
  // The epochs are there.
  await ada.send(second, 'before')
  if (known) await ada.send(first, 'before')
  disk.left = 1
  const { id } = toBoth()
  await world.clock.advance(1_000)
  expect(await standings(id)).toMatchObject([{ state: 'queued' }, { state: 'queued' }])
  const rows = await disk.rows.count('outbox')
  world.nodes.set(eve.id, eve)
  await again()
  expect(await disk.rows.count('outbox')).toBe(rows)
  const standing = async (node: Node) => (await loadReceipt(disk.rows, id))?.recipients.get(node.id)
  expect(await standing(first)).toMatchObject({ state: 'queued' })
  expect(await standing(second)).toMatchObject(FAILED)
  expect(ada.tracker.latest(id)?.recipients.get(second.id)).toMatchObject(FAILED)
  for (const node of [bob, eve]) await ada.meet(node)
  await world.clock.advance(60_000)
  expect(await standing(first)).toMatchObject({ state: 'processed' })
  expect(await standing(second)).toMatchObject(FAILED)
  expect([first.texts, second.texts]).toEqual([known ? ['before', 'both'] : ['both'], ['before']])
})

it('is failed as in doubt where its bytes may have left', async () => {
  const { id, sending } = toBoth()
  await sending
  const receipt = await loadReceipt(disk.rows, id)
  const recipients = new Map(receipt?.recipients)
  recipients.set(eve.id, { ...(recipients.get(eve.id) as RecipientReceipt), state: 'sent', left: true })
  const lost = (await disk.rows.range('outbox', { prefix: [eve.id] })).map(({ key }) => key)
  await disk.rows.commit({
    writes: [
      writeReceipt({ ...(receipt as NonNullable<typeof receipt>), recipients }),
      ...lost.map(key => ({ op: 'delete', table: 'outbox', key }) as const),
    ],
  })
  await again()
  expect(await standings(id)).toMatchObject([{ state: 'queued' }, { ...FAILED, final: false, inDoubt: true }])
})

describe('what stands as it was', () => {
  /** That nothing at all is written of receipts at the next start. */
  async function stays(id: string, states: readonly unknown[]): Promise<void> {
    const before = await standings(id)
    expect(before).toMatchObject(states)
    await again()
    expect(await standings(id)).toEqual(before)
  }

  it('is what waits for a card', async () => {
    world.nodes.delete(eve.id)
    const { id, sending } = toBoth()
    await sending
    await stays(id, [{ state: 'queued' }, { state: 'queued' }])
  })

  it('is what is sealed, and was tried', async () => {
    const { id, sending } = toBoth()
    await sending
    await ada.meet(eve)
    // Nobody answers.
    eve.delivery.received = () => {}
    await world.clock.advance(10_000)
    await stays(id, [{ state: 'queued' }, { state: 'sent' }])
  })

  it.each(['handled', 'not'] as const)('is what has arrived and is %s', async handled => {
    const waiting: Handler = () => 'waiting'
    eve.crash()
    eve = await world.start(eve.machine, handled === 'not' ? waiting : undefined)
    const { id, sending } = toBoth()
    await sending
    await ada.meet(eve)
    await world.clock.advance(1_000)
    await stays(id, [{ state: 'queued' }, { state: handled === 'not' ? 'delivered' : 'processed' }])
  })

  it('is what was called off, before and after it left', async () => {
    const { id, sending } = toBoth()
    await sending
    await ada.meet(eve)
    eve.delivery.received = () => {}
    await world.clock.advance(1_000)
    await ada.delivery.cancel(id)
    await stays(id, [
      { state: 'cancelled', inDoubt: false },
      { state: 'cancelled', inDoubt: true },
    ])
  })

  it('is what goes again after its letter was retried', async () => {
    const { id, sending } = toBoth(5)
    await sending
    await world.clock.advance(6_000)
    const letters = await ada.deadLetters.list()
    expect(letters).toHaveLength(2)
    for (const letter of letters) expect(await ada.deadLetters.retry(letter.id)).toBe('retried')
    await stays(id, [{ state: 'queued' }, { state: 'queued' }])
  })
})
