import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { concat } from '../../src/common/bytes.ts'
import { SEALED } from '../../src/delivery/arrived.ts'
import { FrameType, frameOf } from '../../src/delivery/frames.ts'
import { readOpeningRow, readOutbox } from '../../src/delivery/rows.ts'
import { decode, encode } from '../../src/message/codec.ts'
import { decodeMessage } from '../../src/message/envelope.ts'
import { DEFAULT_LIMITS } from '../../src/message/validate.ts'
import { DeliveryWorld, type Node } from './world.ts'

let world: DeliveryWorld
let ada: Node
let bob: Node
let cid: Node
beforeEach(async () => {
  world = new DeliveryWorld()
  ada = await world.start(await world.machine())
  bob = await world.start(await world.machine())
  cid = await world.start(await world.machine())
})
afterEach(() => world.close())

/** Sends one message to both, whoever is linked. */
const toBoth = (content: string): ReturnType<typeof ada.delivery.send> => {
  const recipients = [bob.id, cid.id]
  const message = ada.message(bob, content)
  return ada.delivery.send(ada.delivery.draft(Object.assign(message, { recipients }), 'message'), recipients)
}

/** The opening and the one envelope that wait for a recipient. */
async function waitingFor(node: Node): Promise<{ opening: Uint8Array; parts: Uint8Array[] }> {
  const { store } = ada.machine
  const [row] = await store.range('outbox', { prefix: [node.id] })
  const [epoch] = await store.range('epochs', { prefix: ['out', node.id] })
  if (row === undefined || epoch === undefined) throw new Error('nothing waits')
  const parts = decode(readOutbox(row).row.frame.subarray(1)) as Uint8Array[]
  return { opening: frameOf(FrameType.opening, readOpeningRow(epoch).row.packet), parts }
}

const frame = (parts: readonly Uint8Array[]): Uint8Array => frameOf(FrameType.envelope, encode(parts))
const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
  concat([bytes.subarray(0, at), Uint8Array.of((bytes[at] as number) ^ 1), bytes.subarray(at + 1)])

describe('a message to several recipients', () => {
  it('is sealed once: each gets the same bytes, and the key of them for itself', async () => {
    await toBoth('hello')
    const bobs = await waitingFor(bob)
    const cids = await waitingFor(cid)
    expect(bobs.parts).toHaveLength(3)
    expect(bobs.parts[2]).toEqual(cids.parts[2])
    expect(bobs.parts[1]).not.toEqual(cids.parts[1])
    await ada.meet(bob)
    await ada.meet(cid)
    await world.clock.advanceUntil(() => bob.texts.length + cid.texts.length === 2)
    for (const node of [bob, cid]) {
      expect(node.texts).toEqual(['hello'])
      expect(node.got[0]?.message.recipients).toEqual([bob.id, cid.id])
      expect(node.refused).toEqual([])
    }
  })

  it('is not received with one bit of it changed, with nothing settled: the copy that is whole is taken', async () => {
    await toBoth('hello')
    const { opening, parts } = await waitingFor(bob)
    const [header, sealed, shared] = parts as [Uint8Array, Uint8Array, Uint8Array]
    await bob.delivery.received(ada.id, opening)
    const spoilt = [0, shared.length >> 1, shared.length - 1].map(at => [header, sealed, flipped(shared, at)])
    const others = [flipped(shared, 0).subarray(1), new Uint8Array(0)].map(content => [header, sealed, content])
    for (const copy of [...spoilt, ...others]) await bob.delivery.received(ada.id, frame(copy))
    expect(bob.refused).toEqual(new Array(5).fill('undecryptable'))
    // Left out or added, it is another form of envelope than the header says.
    await bob.delivery.received(ada.id, frame([header, sealed]))
    expect(bob.refused.at(-1)).toBe('malformed')
    expect(bob.got).toEqual([])
    await bob.delivery.received(ada.id, frame(parts))
    await world.clock.advanceUntil(() => bob.texts.length === 1)
    expect(bob.texts).toEqual(['hello'])
  })

  it('cannot be given another content by who has another message of the author', async () => {
    await toBoth('one')
    const { opening, parts } = await waitingFor(bob)
    await ada.meet(bob)
    await ada.meet(cid)
    await world.clock.advanceUntil(() => bob.texts.length === 1 && cid.texts.length === 1)
    world.net.partition([ada.id], [bob.id], [cid.id])
    await toBoth('two')
    const rows = (await ada.machine.store.range('outbox', { prefix: [bob.id] })).map(readOutbox)
    const second = decode(rows.at(-1)?.row.frame.subarray(1) as Uint8Array) as Uint8Array[]
    await bob.delivery.received(ada.id, opening)
    await bob.delivery.received(ada.id, frame([second[0], second[1], parts[2]] as Uint8Array[]))
    expect(bob.refused).toEqual(['undecryptable'])
    expect(bob.texts).toEqual(['one'])
  })

  it('is whole in the dead letters of its sender', async () => {
    const message = Object.assign(ada.message(bob, 'late', { ttl: 1 }), { recipients: [bob.id, cid.id] })
    await ada.delivery.send(ada.delivery.draft(message, 'message'), message.recipients)
    await world.clock.advance(2_000)
    const letters = await ada.deadLetters.list()
    expect(letters.map(({ peer }) => peer).toSorted()).toEqual([bob.id, cid.id].toSorted())
    for (const letter of letters) {
      const context = { sender: ada.id, security: SEALED, limits: DEFAULT_LIMITS }
      const { message: kept } = decodeMessage(letter.message, context)
      expect(kept).toMatchObject({ content: 'late', recipients: [bob.id, cid.id] })
    }
  })

  it('kept until there is a key holds up nothing that is sent when there is one', async () => {
    world.nodes.delete(bob.id)
    await toBoth('one')
    world.nodes.set(bob.id, bob)
    await ada.send(bob, 'two')
    await ada.meet(bob)
    await world.clock.advanceUntil(() => bob.texts.length === 2)
    expect(bob.texts).toEqual(['one', 'two'])
    expect(ada.errors).toEqual([])
  })

  it('that is not kept is an error for each recipient without a key', async () => {
    const eve = await world.start(await world.machine(), undefined, {
      prekeyOf: agent => (agent === bob.id ? bob.prekeys.current() : undefined),
    })
    await eve.meet(bob)
    await eve.meet(cid)
    const recipients = [bob.id, cid.id]
    const message = Object.assign(eve.message(bob, 'hello', { guarantee: 'at-most-once' }), { recipients })
    const draft = eve.delivery.draft(message, 'message')
    const [toBob, toCid] = await Promise.allSettled(recipients.map(id => eve.delivery.sendOnce(draft, id)))
    expect(toBob?.status).toBe('fulfilled')
    expect(toCid).toMatchObject({ reason: { code: 'NO_ROUTE', message: expect.stringContaining('has no key') } })
    await world.clock.advanceUntil(() => bob.once.length === 1)
    expect(bob.once[0]?.content).toBe('hello')
    expect(cid.once).toEqual([])
  })
})
