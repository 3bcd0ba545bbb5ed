/** What authors say of their epochs: words of others, and words that make no sense. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FrameType } from '../../src/delivery/frames.ts'
import { HOLE_PATIENCE } from '../../src/delivery/patience.ts'
import { type Epoch, epochBytes, epochOf, Hostile, NOTHING } from './hostile-member.ts'
import { HostileWorld } from './hostile-world.ts'

const FAR = 2 ** 48 - 1

let world: HostileWorld
let mallory: Hostile
/** Mallory's own, opened at bob. */
let epoch: Epoch
beforeEach(async () => {
  world = await HostileWorld.make()
  await world.hold()
  mallory = await Hostile.join(world, world.bob.agent)
  epoch = await mallory.open(world.bob.agent)
  mallory.send(world.bob, epoch.opening)
  await world.until(() => mallory.acked(world.bob, epoch) !== undefined)
})
afterEach(async () => {
  await world.unharmed()
  await world.close()
})

const state = (id: string, base: unknown, last: unknown, skips: unknown = NOTHING): Uint8Array =>
  mallory.frame('states', [[epochBytes(id), base, last, skips]])

/** Sends texts in mallory's epoch from a number on. */
async function write(from: number, ...texts: string[]): Promise<void> {
  for (const [i, text] of texts.entries()) {
    mallory.send(world.bob, await mallory.envelope(epoch, from + i, text, { header: { prev: from + i - 1 } }))
  }
}
const got = (count: number): Promise<void> => world.until(() => world.bob.from(mallory).length === count)

describe('States by somebody else', () => {
  test.each([
    ['that settle everything', [9, 9, NOTHING]],
    ['that skip everything', [0, 9, [9, []]]],
    ['that promise more', [0, FAR, NOTHING]],
  ])('%s change nothing', async (_what, [base, last, skips]) => {
    const { ada, bob } = world
    const held = epochOf(bob.tap.of(FrameType.envelope, ada.id)[0] as Uint8Array)
    const [lost, holes] = [bob.events('feed:lost'), bob.events('feed:hole')]
    mallory.send(bob, state(held, base, last, skips))
    await world.until(() => bob.reasons(mallory).length > 0)
    expect(bob.reasons(mallory)).toEqual(['wrong-author'])
    expect(bob.counted('wrong-author')).toBe(1)
    expect(mallory.of(FrameType.unknownEpochs, bob)).toEqual([])
    await world.clock.advance(HOLE_PATIENCE + 1_000)
    expect([lost, holes]).toEqual([[], []])
    await write(1, 'mine')
    await got(1)
  })

  test('of an epoch that nobody has opened are asked for their opening, and come to nothing', async () => {
    const { bob } = world
    const rows = await bob.rows('epochs')
    mallory.send(bob, state('ab'.repeat(16), 9, 9))
    await world.until(() => mallory.of(FrameType.unknownEpochs, bob).length > 0)
    expect(mallory.of(FrameType.unknownEpochs, bob)).toEqual([
      mallory.frame('unknownEpochs', [epochBytes('ab'.repeat(16))]),
    ])
    expect(await bob.rows('epochs')).toEqual(rows)
  })
})

describe('An author', () => {
  test.each<[string, () => Uint8Array]>([
    ['a base above its last number', () => state(epoch.id, 2, 1)],
    ['a skip above its last number', () => state(epoch.id, 0, 1, [0, [1, 1]])],
    ['a skip of all numbers that there can be', () => state(epoch.id, 0, 1, [FAR, []])],
    ['a base of less than nothing', () => state(epoch.id, -1, 1)],
    ['a last number beyond all of them', () => state(epoch.id, 0, 2 ** 48)],
    ['a last number that is none', () => state(epoch.id, 0, 1.5)],
    ['a last number beyond every double', () => state(epoch.id, 0, 2n ** 60n)],
    ['skips that overlap', () => state(epoch.id, 0, 9, [0, [1, 2, -1, 2]])],
    ['skips that touch', () => state(epoch.id, 0, 9, [0, [1, 1, 0, 1]])],
    ['1,025 ranges of skips', () => state(epoch.id, 0, FAR, [0, new Array(2 * 1_025).fill(1)])],
    ['no skips', () => state(epoch.id, 0, 1, null)],
    ['half an epoch', () => mallory.frame('states', [[new Uint8Array(8), 0, 1, NOTHING]])],
    ['three fields', () => mallory.frame('states', [[new Uint8Array(16), 0, 1]])],
    ['129 epochs', () => mallory.frame('states', new Array(129).fill([new Uint8Array(16), 0, 1, NOTHING]))],
    ['no list', () => mallory.frame('states', 7)],
    ['garbage', () => mallory.frame('states', Uint8Array.of(0xff, 0x9f))],
  ])('that states %s is refused, and goes on', async (_what, frame) => {
    const { bob } = world
    mallory.send(bob, frame())
    await world.until(() => bob.reasons(mallory).length > 0)
    expect(bob.reasons(mallory)).toEqual(['malformed'])
    expect(bob.counted('malformed')).toBe(1)
    await write(1, 'one', 'two')
    await got(2)
    expect(bob.from(mallory)).toEqual(['one', 'two'])
  })

  test('whose one state makes no sense is not believed in the others of the frame', async () => {
    const { bob } = world
    const states = [
      [epochBytes(epoch.id), 5, 5, NOTHING],
      [epochBytes('ab'.repeat(16)), 0, 1, [FAR, []]],
    ]
    mallory.send(bob, mallory.frame('states', states))
    await world.until(() => bob.reasons(mallory).length > 0)
    expect(bob.reasons(mallory)).toEqual(['malformed'])
    await write(1, 'one')
    await got(1)
  })

  test('that says its last number is far away costs nothing, and waits for itself alone', async () => {
    const { bob } = world
    const holes = bob.events('feed:hole')
    mallory.send(bob, state(epoch.id, 0, FAR))
    await write(1, 'one', 'two')
    await got(2)
    await world.until(() => holes.length > 0)
    expect(holes).toEqual([{ peer: mallory.id, count: FAR - 2 }])
    await write(3, 'three')
    await got(3)
    expect(bob.from(mallory)).toEqual(['one', 'two', 'three'])
    // What is stored of it is no longer for its length.
    for (const { value } of await bob.rows('epochs')) expect(value.length).toBeLessThan(512)
  })

  test('that settles what it never sent is told of what is lost, and keeps what had arrived', async () => {
    const { bob } = world
    const lost = bob.events('feed:lost')
    bob.hold(mallory)
    await write(1, 'held by mallory')
    await got(1)
    mallory.send(bob, state(epoch.id, FAR, FAR))
    await world.until(() => lost.length > 0)
    expect(lost).toEqual([{ peer: mallory.id, count: FAR - 1 }])
    expect((await bob.rows('inbox')).filter(({ key }) => key[0] === mallory.id)).toHaveLength(1)
    // By its own word there is nothing left to come in this epoch.
    await write(2, 'too late')
    await world.until(() => bob.reasons(mallory).length > 0)
    expect(bob.reasons(mallory)).toEqual(['duplicate'])
    epoch = await mallory.open(bob.agent)
    mallory.send(bob, epoch.opening)
    await write(1, 'anew')
    bob.release(mallory)
    await got(2)
    await world.emptied(bob, 'inbox', mallory)
    expect(bob.from(mallory)).toEqual(['held by mallory', 'anew'])
  })

  test('that skips what was delivered is told that it was', async () => {
    const { bob } = world
    bob.hold(mallory)
    await write(1, 'held by mallory', 'behind it')
    await world.eventually(
      async () => (await bob.rows('inbox')).filter(({ key }) => key[0] === mallory.id).length === 2,
    )
    const rows = await bob.rows('inbox')
    mallory.send(bob, state(epoch.id, 0, 2, [2, []]))
    await world.clock.advance(1_000)
    expect(mallory.acked(bob, epoch)).toMatchObject({ delivered: [2, []], processed: NOTHING, skipped: NOTHING })
    expect(await bob.rows('inbox')).toEqual(rows)
    bob.release(mallory)
    await got(2)
    expect(bob.from(mallory)).toEqual(['held by mallory', 'behind it'])
  })

  test('that skips what was never delivered has it refused when it comes after all', async () => {
    const { bob } = world
    mallory.send(bob, state(epoch.id, 0, 1, [1, []]))
    await world.eventually(async () => mallory.acked(bob, epoch)?.skipped.join() === '1,')
    await write(1, 'given up')
    await world.until(() => bob.reasons(mallory).length > 0)
    expect(bob.reasons(mallory)).toEqual(['skipped'])
    await write(2, 'next')
    await got(1)
    expect(bob.from(mallory)).toEqual(['next'])
  })

  test('whose states go backwards takes nothing back', async () => {
    const { bob } = world
    await write(1, 'one', 'two')
    await got(2)
    await world.emptied(bob, 'inbox', mallory)
    // The third never came, and is not to come.
    const lost = bob.events('feed:lost')
    mallory.send(bob, state(epoch.id, 3, 4))
    await world.until(() => lost.length > 0)
    await world.clock.advance(1_000)
    const before = mallory.acked(bob, epoch)
    mallory.send(bob, state(epoch.id, 0, 0), state(epoch.id, 1, 1), state(epoch.id, 0, 2, [2, []]))
    await world.clock.advance(1_000)
    expect(mallory.acked(bob, epoch)).toEqual(before)
    expect(before).toMatchObject({ delivered: [2, []], processed: [2, []] })
    await write(2, 'again', 'settled')
    await world.until(() => bob.reasons(mallory).length === 2)
    expect(bob.reasons(mallory)).toEqual(['duplicate', 'duplicate'])
    await write(4, 'four')
    await got(3)
    expect(bob.from(mallory)).toEqual(['one', 'two', 'four'])
    expect(lost).toEqual([{ peer: mallory.id, count: 1 }])
  })
})

describe('A network', () => {
  test('that plays old states again changes nothing', async () => {
    const { ada, bob } = world
    await world.say(ada, 'second')
    await world.reconnect(ada, bob)
    await world.say(ada, 'third')
    await world.clock.advance(20_000)
    const states = bob.tap.of(FrameType.states, ada.id)
    expect(states.length).toBeGreaterThan(2)
    const [inbox, news] = [await bob.rows('inbox'), bob.events('feed:lost')]
    for (const frame of [...states.toReversed(), ...states]) bob.tap.inject(ada.id, frame)
    await world.clock.advance(HOLE_PATIENCE + 1_000)
    expect(await bob.rows('inbox')).toEqual(inbox)
    expect(news).toEqual([])
  })
})
