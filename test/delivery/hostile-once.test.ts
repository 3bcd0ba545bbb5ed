/** Messages that are not numbered, and are taken once at the most: played again, from elsewhere, or long ago. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { encodeHeader, envelopeFrame, FrameType, readEnvelope } from '../../src/delivery/frames.ts'
import { type Epoch, Hostile } from './hostile-member.ts'
import { HostileWorld } from './hostile-world.ts'

/** Unnumbered messages that are remembered. */
const WINDOW = 1_024

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

const got = (count: number): Promise<void> => world.until(() => world.bob.from(mallory).length === count)
const refused = (...reasons: string[]): Promise<void> => world.bob.refuses(mallory, ...reasons)

/** What ada sends to bob and is not kept, as it travels. */
async function capture(text: string): Promise<Uint8Array> {
  const { ada, bob } = world
  await world.say(ada, text, { guarantee: 'at-most-once' })
  await world.until(() => bob.from(ada).includes(text))
  return bob.tap.of(FrameType.envelope, ada.id).at(-1) as Uint8Array
}

test('what comes again is a duplicate, and the next is not', async () => {
  const { bob } = world
  const one = await mallory.once(epoch, 1, 'one')
  mallory.send(bob, one, one, await mallory.once(epoch, 2, 'two'), one)
  await refused('duplicate', 'duplicate')
  await got(2)
  expect(bob.from(mallory)).toEqual(['one', 'two'])
  expect((await bob.rows('inbox')).every(({ key }) => key[0] !== mallory.id)).toBe(true)
})

test('what comes late is taken within the window, and not beyond it', async () => {
  const { bob } = world
  const at = (count: number): Promise<Uint8Array> => mallory.once(epoch, count, `${count}`)
  const frames = await Promise.all([at(WINDOW + 1), at(1), at(2), at(2), at(WINDOW + 1)])
  mallory.send(bob, ...frames)
  await refused('duplicate', 'duplicate', 'duplicate')
  await got(2)
  expect(bob.from(mallory)).toEqual([`${WINDOW + 1}`, '2'])
  mallory.send(bob, await at(WINDOW + 2), await at(WINDOW))
  await got(4)
})

test('every one of a window and more comes once, played again in any order', async () => {
  const { bob } = world
  const frames: Uint8Array[] = []
  for (let i = 1; i <= WINDOW + 76; i++) frames.push(await mallory.once(epoch, i, `${i}`))
  for (let at = 0; at < frames.length; at += 100) {
    mallory.send(bob, ...frames.slice(at, at + 100))
    await got(Math.min(frames.length, at + 100))
  }
  for (let at = 0; at < frames.length; at += 100) {
    mallory.send(bob, ...frames.toReversed().slice(at, at + 100))
    await world.until(() => bob.reasons(mallory).length === Math.min(frames.length, at + 100))
  }
  expect(new Set(bob.reasons(mallory))).toEqual(new Set(['duplicate']))
  expect(bob.counted('duplicate')).toBe(frames.length)
  expect(bob.from(mallory)).toEqual(frames.map((_, i) => `${i + 1}`))
})

test('one that says it is the last there can be keeps out nobody but its author', async () => {
  const { bob } = world
  mallory.send(bob, await mallory.once(epoch, 2 ** 48 - 1, 'last'), await mallory.once(epoch, 1, 'first'))
  await refused('duplicate')
  expect(bob.from(mallory)).toEqual(['last'])
  mallory.send(bob, await mallory.envelope(epoch, 1, 'kept'))
  await got(2)
})

test('over another connection it is a duplicate all the same', async () => {
  const { ada, bob } = world
  const frame = await capture('fleeting')
  await world.reconnect(ada, bob)
  bob.tap.inject(ada.id, frame, ...bob.tap.of(FrameType.opening, ada.id), frame)
  await world.until(() => bob.reasons(ada).length >= 2)
  expect(bob.reasons(ada)).toEqual(['duplicate', 'duplicate'])
  expect(bob.counted('duplicate')).toBe(2)
})

test("over somebody else's connection it is not taken at all, new or not", async () => {
  const { ada, bob } = world
  const old = await capture('fleeting')
  // One that nobody has seen: it does not come.
  bob.tap.drop(FrameType.envelope)
  const before = bob.tap.of(FrameType.envelope, ada.id).length
  await world.during(ada.agent.send(bob.id, 'caught', { guarantee: 'at-most-once' }))
  await world.until(() => bob.tap.of(FrameType.envelope, ada.id).length > before)
  bob.tap.behave()
  const fresh = bob.tap.of(FrameType.envelope, ada.id).at(-1) as Uint8Array
  mallory.send(bob, ...bob.tap.of(FrameType.opening, ada.id), old, fresh)
  await refused('wrong-author', 'wrong-author', 'wrong-author')
  expect(bob.got.some(({ content }) => content === 'caught')).toBe(false)
  // It is ada's, and not spent: over her own connection it is taken.
  bob.tap.inject(ada.id, fresh)
  await world.until(() => bob.from(ada).includes('caught'))
  bob.got.splice(
    bob.got.findIndex(({ content }) => content === 'caught'),
    1,
  )
})

test('what is not numbered is not taken as numbered, nor the other way round', async () => {
  const { bob } = world
  for (const numbered of [true, false]) {
    const frame = numbered ? await mallory.envelope(epoch, 1, 'x') : await mallory.once(epoch, 1, 'x')
    const { header, sealed } = readEnvelope(frame.subarray(1))
    mallory.send(bob, envelopeFrame(encodeHeader({ ...header, numbered: !numbered }), sealed))
  }
  await refused('undecryptable', 'undecryptable')
  expect(bob.from(mallory)).toEqual([])
  // Neither number is spent by that.
  mallory.send(bob, await mallory.envelope(epoch, 1, 'kept'), await mallory.once(epoch, 1, 'once'))
  await got(2)
})
