/** Words that make an author do something: epochs that are unknown, keys that are lost, replies to its requests. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Receipt } from '../../src/agent/options.ts'
import { FrameType, LOST_KEY_LABEL, lostKeyBody, lostKeyFrame, unknownEpochsFrame } from '../../src/delivery/frames.ts'
import { MESH } from '../contracts/network-world.ts'
import { epochBytes, epochOf, Hostile, NOTHING } from './hostile-member.ts'
import { HostileWorld } from './hostile-world.ts'

let world: HostileWorld
let mallory: Hostile
beforeEach(async () => {
  world = await HostileWorld.make()
  await world.hold()
  mallory = await Hostile.join(world, world.ada.agent, world.bob.agent)
})
afterEach(async () => {
  await world.unharmed()
  await world.close()
})

/** The epoch in which ada writes to bob. */
const adas = (): string => epochOf(world.bob.tap.of(FrameType.envelope, world.ada.id)[0] as Uint8Array)

const refused = (peer: { readonly id: string }, ...reasons: string[]): Promise<void> =>
  world.ada.refuses(peer, ...reasons)

/** A signature of mallory's under a lost key, for one author in one mesh. */
const signed = (epochs: readonly string[], author = world.ada.id, mesh = MESH): Promise<Uint8Array> =>
  mallory.identity.sign(LOST_KEY_LABEL, lostKeyBody(mesh, author, epochs))

/** A message of ada's to bob that has left and does not come. */
async function underWay(): Promise<Receipt> {
  const { ada, bob } = world
  const before = bob.tap.of(FrameType.envelope, ada.id).length
  bob.tap.drop(FrameType.envelope)
  const receipt = await world.say(ada, 'under way')
  await world.until(() => bob.tap.of(FrameType.envelope, ada.id).length > before)
  return receipt
}
const copies = (): number => world.bob.tap.of(FrameType.envelope, world.ada.id).length

describe('Unknown epochs', () => {
  test("by somebody else change nothing, and have nothing of another's sent again", async () => {
    const { ada } = world
    const receipt = await underWay()
    const rows = await ada.rows('outbox')
    const before = copies()
    mallory.send(ada, unknownEpochsFrame([adas()]), unknownEpochsFrame(['ab'.repeat(16), adas()]))
    await refused(mallory, 'unknown-epoch', 'unknown-epoch')
    expect(copies()).toBe(before)
    expect(await ada.rows('outbox')).toEqual(rows)
    world.bob.tap.behave()
    await world.during(receipt.delivered)
  })

  test('that make no sense are refused, also of who was never written to', async () => {
    const { ada } = world
    for (const body of [7, [new Uint8Array(15)], new Array(129).fill(new Uint8Array(16)), Uint8Array.of(0xff)]) {
      mallory.send(ada, mallory.frame('unknownEpochs', body))
    }
    await refused(mallory, 'malformed', 'malformed', 'malformed', 'malformed')
  })

  test('of its own that nobody sent have nothing sent again', async () => {
    const { ada, bob } = world
    await underWay()
    const before = copies()
    ada.tap.inject(bob.id, unknownEpochsFrame(['ab'.repeat(16)]))
    await refused(bob, 'unknown-epoch')
    expect(copies()).toBe(before)
    bob.tap.behave()
  })

  test('played again have the opening and what is under way sent again, and handled once', async () => {
    const { ada, bob } = world
    const receipt = await underWay()
    const before = copies()
    const word = unknownEpochsFrame([adas()])
    ada.tap.inject(bob.id, word, word, word)
    await world.until(() => copies() > before)
    bob.tap.behave()
    ada.tap.inject(bob.id, word)
    await world.during(receipt.delivered)
    expect(new Set(bob.reasons(ada))).toEqual(new Set(bob.reasons(ada).length > 0 ? ['duplicate'] : []))
  })
})

describe('A lost key', () => {
  test('by somebody else is refused, whoever signed it', async () => {
    const { ada } = world
    const receipt = await underWay()
    const rows = [await ada.rows('outbox'), await ada.rows('epochs')]
    mallory.send(ada, lostKeyFrame([adas()], new Uint8Array(64)), lostKeyFrame([adas()], await signed([adas()])))
    await refused(mallory, 'unknown-epoch', 'unknown-epoch')
    expect([await ada.rows('outbox'), await ada.rows('epochs')]).toEqual(rows)
    world.bob.tap.behave()
    await world.during(receipt.delivered)
  })

  test('that a network says, without a signature or with another, ends nothing', async () => {
    const { ada, bob } = world
    const receipt = await underWay()
    const rows = [await ada.rows('outbox'), await ada.rows('epochs')]
    ada.tap.inject(bob.id, lostKeyFrame([adas()], new Uint8Array(64)), lostKeyFrame([adas()], await signed([adas()])))
    const short = mallory.frame('lostKey', [[], new Uint8Array(63)])
    ada.tap.inject(bob.id, short, mallory.frame('lostKey', 7))
    await world.until(() => ada.reasons(bob).length === 4)
    expect(ada.reasons(bob).sort()).toEqual(['bad-signature', 'bad-signature', 'malformed', 'malformed'])
    expect([await ada.rows('outbox'), await ada.rows('epochs')]).toEqual(rows)
    bob.tap.behave()
    await world.during(receipt.delivered)
  })

  test('that was signed for another author, another mesh or other epochs ends nothing', async () => {
    const { ada, carol } = world
    const receipt = await world.during(ada.agent.send(mallory.id, 'for mallory'))
    await world.until(() => mallory.of(FrameType.envelope, ada).length > 0)
    const epoch = epochOf(mallory.of(FrameType.envelope, ada)[0] as Uint8Array)
    const rows = await ada.rows('outbox')
    const words = [await signed([epoch], carol.id), await signed([epoch], ada.id, 'other'), await signed([])]
    mallory.send(ada, ...words.map(signature => lostKeyFrame([epoch], signature)))
    await refused(mallory, 'bad-signature', 'bad-signature', 'bad-signature')
    expect(await ada.rows('outbox')).toEqual(rows)
    expect(receipt.status).toBe('sent')
  })

  test('that is true has everything sealed anew once, however often it is played', async () => {
    const { ada } = world
    const receipt = await world.during(ada.agent.send(mallory.id, 'for mallory'))
    const sent = (): Uint8Array[] => mallory.of(FrameType.envelope, ada)
    await world.until(() => sent().length > 0)
    const lost = epochOf(sent()[0] as Uint8Array)
    const word = lostKeyFrame([lost], await signed([lost]))
    mallory.send(ada, word)
    await world.until(() => epochOf(sent().at(-1) as Uint8Array) !== lost)
    const epoch = epochOf(sent().at(-1) as Uint8Array)
    mallory.send(ada, word, word)
    await world.clock.advance(5_000)
    expect(new Set(sent().map(epochOf))).toEqual(new Set([lost, epoch]))
    expect((await ada.rows('outbox')).filter(({ key }) => key[0] === mallory.id)).toHaveLength(1)
    const body = [100, [[epochBytes(epoch), [1, []], [1, []], [], NOTHING]]]
    mallory.send(ada, mallory.frame('acks', body))
    await world.during(receipt.processed)
    expect(receipt.recipients.get(mallory.id)).toMatchObject({ status: 'delivered', state: 'processed' })
    await world.emptied(ada, 'outbox', mallory)
  })

  test('is not said of what was read while the key was here, so nothing of it is handled twice', async () => {
    const { ada, bob } = world
    const opening = bob.tap.of(FrameType.opening, ada.id)[0] as Uint8Array
    await bob.store.commit({ writes: [{ op: 'deleteRange', table: 'prekeys', range: {} }] })
    await world.restart(bob)
    await world.meet(ada, bob)
    const told = bob.reasons(ada).length
    bob.tap.inject(ada.id, opening)
    await world.until(() => bob.reasons(ada).length > told)
    expect(bob.reasons(ada).slice(told)).toEqual(['lost-key'])
    await world.until(() => bob.from(ada).length === 2)
    await world.clock.advance(2_000)
    expect(ada.tap.of(FrameType.lostKey, bob.id)).toEqual([])
    // Its handler had not come to its end before: it runs once more, and that is all.
    expect(bob.from(ada)).toEqual(['held', 'held'])
    bob.got.splice(
      bob.got.findIndex(({ sender }) => sender === ada.id),
      1,
    )
  })
})

describe('Somebody who says it is another', () => {
  test('is the one whose connection and whose epoch it is', async () => {
    const { ada, bob } = world
    const epoch = await mallory.open(bob.agent)
    const fields = { sender: ada.id, tracePath: [ada.id] }
    mallory.send(
      bob,
      epoch.opening,
      await mallory.envelope(epoch, 1, 'I am ada', { fields }),
      await mallory.once(epoch, 1, 'I am ada too', { fields }),
    )
    await world.until(() => bob.from(mallory).length === 2)
    expect(bob.from(ada)).toEqual(['held'])
  })

  test.each(['kept', 'not kept'])('answers no request that another was asked, %s', async how => {
    const { ada, carol } = world
    await world.meet(ada, carol)
    carol.hold(ada)
    const guarantee = how === 'kept' ? 'at-least-once' : 'at-most-once'
    const answer = ada.agent.request(carol.id, 'held question', { guarantee, timeout: 60_000 })
    await world.until(() => carol.from(ada).length === 1)
    const { id } = carol.got[0] as (typeof carol.got)[number]
    const epoch = await mallory.open(ada.agent)
    const fields = { parentId: id, sender: carol.id }
    mallory.send(
      ada,
      epoch.opening,
      await mallory.once(epoch, 1, 'me, carol', { kind: 'reply', fields }),
      await mallory.envelope(epoch, 1, 'me, carol', { kind: 'reply', fields }),
      await mallory.envelope(epoch, 2, '{}', { kind: 'failure', fields }),
      await mallory.envelope(epoch, 3, 'by the way'),
    )
    await world.until(() => ada.from(mallory).length === 1 && ada.reasons(mallory).length === 3)
    expect(ada.reasons(mallory)).toEqual(['unsolicited', 'unsolicited', 'unsolicited'])
    expect(ada.counted('unsolicited')).toBe(3)
    carol.release(ada)
    expect(await world.during(answer)).toMatchObject({ sender: carol.id, content: 'held question' })
    await world.emptied(ada, 'inbox', mallory)
  })
})
