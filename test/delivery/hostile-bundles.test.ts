/** Bundles: several messages at most once, sealed as one by somebody who is up to something, or changed on their way. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeHeader, envelopeFrame, FrameType, readEnvelope } from '../../src/delivery/frames.ts'
import { type Epoch, Hostile } from './hostile-member.ts'
import { HostileWorld } from './hostile-world.ts'

let world: HostileWorld
let mallory: Hostile
let epoch: Epoch
beforeEach(async () => {
  world = await HostileWorld.make()
  await world.hold()
  mallory = await Hostile.join(world, world.bob.agent)
  epoch = await mallory.open(world.bob.agent)
  mallory.send(world.bob, epoch.opening)
})
afterEach(async () => {
  await world.unharmed()
  await world.close()
})

const got = (count: number): Promise<void> => world.until(() => world.bob.from(mallory).length >= count)
const refused = (...reasons: string[]): Promise<void> => world.bob.refuses(mallory, ...reasons)

/** Shows that the epoch goes on as before. */
async function goesOn(number: number): Promise<void> {
  const before = world.bob.from(mallory)
  mallory.send(world.bob, await mallory.once(epoch, number, 'after'))
  await got(before.length + 1)
  expect(world.bob.from(mallory)).toEqual([...before, 'after'])
}

describe('A bundle', () => {
  test('is messages in their order, and what comes again of it is one duplicate', async () => {
    const { bob } = world
    const frame = await mallory.bundle(epoch, 1, ['one', 'two', 'three'])
    mallory.send(bob, frame, frame, await mallory.bundle(epoch, 4, ['four', 'five']), frame)
    await refused('duplicate', 'duplicate')
    await got(5)
    expect(bob.from(mallory)).toEqual(['one', 'two', 'three', 'four', 'five'])
    expect((await bob.rows('inbox')).every(({ key }) => key[0] !== mallory.id)).toBe(true)
  })

  test('with the messages of another one brings none of these again', async () => {
    const { bob } = world
    const fields = { id: '019b7656-c000-7000-8000-000000000001' }
    mallory.send(bob, await mallory.bundle(epoch, 1, ['zero', { content: 'one', fields }]))
    mallory.send(bob, await mallory.bundle(epoch, 2, [{ content: 'one', fields }, 'two']))
    await refused('duplicate')
    await got(3)
    expect(bob.from(mallory)).toEqual(['zero', 'one', 'two'])
  })

  test.each([
    ['that makes no sense', Uint8Array.of(1, 2, 3), 'malformed'],
    ['that is empty', new Uint8Array(), 'malformed'],
    ['of another priority than its header', { content: 'x', fields: { priority: 3 } }, 'malformed'],
    ['that ends later than its header says', { content: 'x', fields: { ttl: 601 } }, 'malformed'],
    ['for somebody else', { content: 'x', fields: { recipients: ['*'] } }, 'not-for-us'],
    ['from long ago', { content: 'x', fields: { timestamp: 1, ttl: 1 } }, 'expired'],
  ])('has one message %s: it is refused alone', async (_, wrong, reason) => {
    mallory.send(world.bob, await mallory.bundle(epoch, 1, ['one', wrong, 'two']))
    await refused(reason)
    await got(2)
    expect(world.bob.from(mallory)).toEqual(['one', 'two'])
    await goesOn(2)
  })

  test('may have messages that end sooner than its header says', async () => {
    mallory.send(world.bob, await mallory.bundle(epoch, 1, ['one', { content: 'two', fields: { ttl: 1 } }, 'three']))
    await got(3)
    expect(world.bob.from(mallory)).toEqual(['one', 'two', 'three'])
  })

  test('of one message, or of 257, is refused as a whole', async () => {
    const { bob } = world
    const many = Array.from({ length: 257 }, (_, i) => `${i}`)
    mallory.send(bob, await mallory.bundle(epoch, 1, ['alone']), await mallory.bundle(epoch, 2, many))
    await refused('malformed', 'malformed')
    expect(bob.from(mallory)).toEqual([])
    mallory.send(bob, await mallory.bundle(epoch, 3, many.slice(0, 256)))
    await got(256)
    expect(bob.from(mallory)).toEqual(many.slice(0, 256))
  })

  test('in a bundle is no message', async () => {
    const { bob } = world
    mallory.send(bob, await mallory.bundle(epoch, 1, ['one', Uint8Array.of(0x82, 0x41, 1, 0x41, 1)]))
    await refused('malformed')
    await got(1)
    expect(bob.from(mallory)).toEqual(['one'])
  })

  test('that is numbered is no message, and nothing of it is taken', async () => {
    const { bob } = world
    mallory.send(bob, await mallory.bundle(epoch, 1, ['one', 'two'], { numbered: true }))
    await refused('malformed')
    mallory.send(bob, await mallory.envelope(epoch, 2, 'kept'))
    await got(1)
    expect(bob.from(mallory)).toEqual(['kept'])
  })

  test('with the header of another, or as numbered, is refused, and spends nothing', async () => {
    const { bob } = world
    const [one, two] = [await mallory.bundle(epoch, 1, ['1', '2']), await mallory.bundle(epoch, 3, ['3', '4'])]
    const [first, second] = [one, two].map(frame => readEnvelope(frame.subarray(1)))
    if (first === undefined || second === undefined) throw new Error('two were made')
    mallory.send(
      bob,
      envelopeFrame(first.headerBytes, second.sealed),
      envelopeFrame(second.headerBytes, first.sealed),
      envelopeFrame(encodeHeader({ ...first.header, numbered: true }), first.sealed),
      envelopeFrame(encodeHeader({ ...first.header, expiresAt: first.header.expiresAt + 1 }), first.sealed),
    )
    await refused(...Array.from({ length: 4 }, () => 'undecryptable'))
    mallory.send(bob, one, two)
    await got(4)
    expect(bob.from(mallory)).toEqual(['1', '2', '3', '4'])
  })

  test("of somebody else's is not taken, and is taken from its author", async () => {
    const { ada, bob } = world
    bob.tap.drop(FrameType.envelope)
    const before = bob.tap.of(FrameType.envelope, ada.id).length
    const send = (text: string) => ada.agent.send(bob.id, text, { guarantee: 'at-most-once' })
    await world.during(Promise.all(['one', 'two', 'three'].map(send)))
    await world.until(() => bob.tap.of(FrameType.envelope, ada.id).length > before)
    await world.clock.advance(100)
    bob.tap.behave()
    const frames = bob.tap.of(FrameType.envelope, ada.id).slice(before)
    // They left together.
    expect(frames).toHaveLength(1)
    mallory.send(bob, ...frames)
    await world.until(() => bob.reasons(mallory).length === 1)
    expect(bob.from(ada)).toEqual(['held'])
    bob.tap.inject(ada.id, ...frames, ...frames)
    await world.until(() => bob.from(ada).length === 4)
    expect(bob.from(ada)).toEqual(['held', 'one', 'two', 'three'])
    await world.until(() => bob.reasons(ada).length === 1)
    expect(bob.reasons(ada)).toEqual(['duplicate'])
    bob.got.splice(1)
  })
})
