/** Envelopes that come again, to whom they were not sent, or under a number that was used. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeHeader, envelopeFrame, FrameType, readEnvelope } from '../../src/delivery/frames.ts'
import { publicKeyOf } from '../../src/identity/keys.ts'
import { epochOf, Hostile } from './hostile-member.ts'
import { HostileWorld, type Party } from './hostile-world.ts'

let world: HostileWorld
beforeEach(async () => {
  world = await HostileWorld.make()
  await world.hold()
})
afterEach(async () => {
  await world.unharmed()
  await world.close()
})

/** What ada sent to bob so far. */
const envelopes = (): Uint8Array[] => world.bob.tap.of(FrameType.envelope, world.ada.id)

/** Hands frames to bob as ada's; resolves when each was refused, for this reason. */
async function refused(reason: string, frames: readonly Uint8Array[], from: Party = world.ada): Promise<void> {
  const { bob } = world
  const [told, counted] = [bob.reasons(from).length, bob.counted(reason)]
  bob.tap.inject(from.id, ...frames)
  await world.until(() => bob.reasons(from).length >= told + frames.length)
  expect(bob.reasons(from).slice(told)).toEqual(frames.map(() => reason))
  expect(bob.counted(reason)).toBe(counted + frames.length)
}

describe('A kept envelope that is played again', () => {
  /** Two of ada's that came, of which one is at its handler and one waits behind it. */
  async function two(): Promise<Uint8Array[]> {
    await world.say(world.ada, 'second')
    await world.eventually(async () => (await world.bob.rows('inbox')).length === 2)
    return envelopes()
  }

  test('over the same connection is a duplicate', async () => {
    const { bob } = world
    const frames = await two()
    const rows = await bob.rows('inbox')
    await refused('duplicate', [...frames, ...frames.toReversed()])
    expect(await bob.rows('inbox')).toEqual(rows)
  })

  test('over a later connection is a duplicate', async () => {
    const { ada, bob } = world
    const frames = await two()
    const rows = await bob.rows('inbox')
    await world.reconnect(ada, bob)
    await refused('duplicate', frames)
    expect(await bob.rows('inbox')).toEqual(rows)
  })

  test('after its handler is done is a duplicate', async () => {
    const { ada, bob } = world
    const frames = await two()
    bob.release(ada)
    await world.emptied(bob, 'inbox', ada)
    await refused('duplicate', frames)
    bob.hold(ada)
    await world.say(ada, 'held again')
    await world.until(() => bob.from(ada).length === 3)
    expect(bob.from(ada)).toEqual(['held', 'second', 'held again'])
    world.letGo()
  })

  test('after its epoch is settled is a duplicate, its opening too', async () => {
    const { ada, bob } = world
    const frames = await two()
    const openings = bob.tap.of(FrameType.opening, ada.id)
    const epoch = epochOf(frames[0] as Uint8Array)
    const settled = async (): Promise<boolean> =>
      (await bob.rows('epochs')).some(({ key, value }) => key[2] === epoch && value.length < 32)
    bob.release(ada)
    world.letGo()
    await world.emptied(bob, 'inbox', ada)
    await world.emptied(ada, 'outbox', bob)
    await world.during(ada.agent.close())
    await ada.start()
    await world.meet(ada, bob)
    await world.say(ada, 'in another epoch')
    await world.eventually(settled)
    bob.tap.inject(ada.id, ...openings)
    await refused('duplicate', frames)
    expect(await settled()).toBe(true)
    await world.until(() => bob.from(ada).length === 3)
  })
})

describe('After a restart of its recipient', () => {
  test('an envelope that is played again is a duplicate, handled or not', async () => {
    const { ada, bob, carol } = world
    await world.say(carol, 'done with')
    await world.until(() => bob.from(carol).length === 1)
    await world.emptied(bob, 'inbox', carol)
    const frames = [...envelopes(), ...bob.tap.of(FrameType.opening, ada.id)]
    const others = bob.tap.of(FrameType.envelope, carol.id)
    await world.restart(bob)
    for (const party of [ada, carol]) await world.meet(party, bob)
    // What was at its handler is handed out again, as it was not done with.
    await world.until(() => bob.from(ada).length === 2)
    expect(bob.from(ada)).toEqual(['held', 'held'])
    bob.got.splice(
      bob.got.findIndex(({ sender }) => sender === ada.id),
      1,
    )
    const rows = await bob.rows('inbox')
    expect(rows).toHaveLength(1)
    await refused('duplicate', frames.slice(0, 1))
    bob.tap.inject(ada.id, ...frames.slice(1))
    await refused('duplicate', others, carol)
    expect(await bob.rows('inbox')).toEqual(rows)
  })
})

describe('An envelope for somebody else', () => {
  test('is refused by whoever gets it', async () => {
    const { ada, bob, carol } = world
    await world.meet(ada, carol)
    const [frame] = envelopes() as [Uint8Array]
    carol.tap.inject(ada.id, ...bob.tap.of(FrameType.opening, ada.id), frame)
    await world.until(() => carol.reasons(ada).length === 2)
    expect(carol.reasons(ada)).toEqual(['wrong-recipient', 'wrong-recipient'])
    expect(carol.counted('wrong-recipient')).toBe(2)
    expect(carol.got).toEqual([])
  })

  test('is refused also where its header names the one that gets it', async () => {
    const { ada, carol } = world
    await world.meet(ada, carol)
    const { header, sealed } = readEnvelope((envelopes()[0] as Uint8Array).subarray(1))
    // In an epoch of ada's that carol can read.
    const receipt = await world.during(ada.agent.send(carol.id, 'for carol'))
    await world.during(receipt.processed)
    const epoch = epochOf(carol.tap.of(FrameType.envelope, ada.id)[0] as Uint8Array)
    const there = { ...header, destination: publicKeyOf(carol.id) as Uint8Array, number: 2, prev: 1 }
    carol.tap.inject(ada.id, envelopeFrame(encodeHeader(there), sealed))
    await world.until(() => carol.reasons(ada).length === 1)
    carol.tap.inject(ada.id, envelopeFrame(encodeHeader({ ...there, epoch }), sealed))
    await world.until(() => carol.reasons(ada).length === 2)
    expect(carol.reasons(ada)).toEqual(['unknown-epoch', 'undecryptable'])
    expect(carol.from(ada)).toEqual(['for carol'])
  })

  test('in another mesh is refused', async () => {
    const { header, sealed } = readEnvelope((envelopes()[0] as Uint8Array).subarray(1))
    await refused('wrong-mesh', [envelopeFrame(encodeHeader({ ...header, mesh: 'other' }), sealed)])
  })

  test('sealed in this one by its author, but addressed to others, is refused', async () => {
    const { bob, carol } = world
    const mallory = await Hostile.join(world, bob.agent)
    const epoch = await mallory.open(bob.agent)
    const elsewhere = await mallory.envelope(epoch, 1, 'not yours', { fields: { recipients: [carol.id] } })
    mallory.send(bob, epoch.opening, elsewhere, await mallory.envelope(epoch, 2, 'yours'))
    await world.until(() => bob.from(mallory).length === 1)
    expect(bob.from(mallory)).toEqual(['yours'])
    expect(bob.reasons(mallory)).toEqual(['not-for-us'])
    await world.until(() => mallory.acked(bob, epoch)?.processed[1][0] === 1)
    expect(mallory.acked(bob, epoch)?.refused).toEqual([[1, 'rejected']])
  })
})

describe('A number that is used for two envelopes', () => {
  test.each([
    ['of one turn', true],
    ['of which one has arrived', false],
  ])('%s is told of, and the first stays', async (_when, together) => {
    const { bob } = world
    const mallory = await Hostile.join(world, bob.agent)
    const epoch = await mallory.open(bob.agent)
    bob.hold(mallory)
    const [first, second] = [
      await mallory.envelope(epoch, 1, 'held first'),
      await mallory.envelope(epoch, 1, 'held second'),
    ]
    mallory.send(bob, epoch.opening, first)
    if (!together) await world.until(() => bob.from(mallory).length === 1)
    mallory.send(bob, second, second)
    await world.until(() => bob.reasons(mallory).length === 2)
    expect(bob.reasons(mallory)).toEqual(['id-conflict', 'id-conflict'])
    expect(bob.counted('id-conflict')).toBe(2)
    expect((await bob.rows('inbox')).filter(({ key }) => key[0] === mallory.id)).toHaveLength(1)
    bob.release(mallory)
    mallory.send(bob, await mallory.envelope(epoch, 2, 'next'))
    await world.until(() => bob.from(mallory).length === 2)
    expect(bob.from(mallory)).toEqual(['held first', 'next'])
  })

  test('of which one arrived before a restart are duplicates, and the one that arrived is no stranger', async () => {
    const { bob } = world
    const mallory = await Hostile.join(world, bob.agent)
    const epoch = await mallory.open(bob.agent)
    const [first, second] = [await mallory.envelope(epoch, 1, 'first'), await mallory.envelope(epoch, 1, 'second')]
    mallory.send(bob, epoch.opening, first)
    await world.until(() => bob.from(mallory).length === 1)
    bob.release(world.ada)
    world.letGo()
    await world.emptied(bob, 'inbox', world.ada)
    await world.restart(bob)
    await mallory.meet(bob.agent)
    const acks = mallory.of(FrameType.acks, bob).length
    mallory.send(bob, second)
    await world.until(() => bob.reasons(mallory).length === 1)
    mallory.send(bob, first)
    await world.until(() => bob.reasons(mallory).length === 2)
    expect(bob.reasons(mallory)).toEqual(['duplicate', 'duplicate'])
    await world.until(() => mallory.of(FrameType.acks, bob).length > acks)
    expect(mallory.acked(bob, epoch)).toMatchObject({ delivered: [1, []] })
    expect(bob.from(mallory)).toEqual(['first'])
  })

  test('long enough to be opened elsewhere, in one turn, is taken once', async () => {
    const { bob } = world
    const mallory = await Hostile.join(world, bob.agent)
    const epoch = await mallory.open(bob.agent)
    const frames: Uint8Array[] = []
    for (let i = 0; i < 4; i++) frames.push(await mallory.envelope(epoch, 1, `${i}`.repeat(100_000)))
    mallory.send(bob, epoch.opening, ...frames)
    await world.until(() => bob.from(mallory).length === 1 && bob.reasons(mallory).length === 3)
    expect(bob.reasons(mallory)).toEqual(['id-conflict', 'id-conflict', 'id-conflict'])
    mallory.send(bob, await mallory.envelope(epoch, 2, 'next'))
    await world.until(() => bob.from(mallory).length === 2)
    expect(bob.from(mallory)[1]).toBe('next')
  })
})
