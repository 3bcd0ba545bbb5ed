/** Floods of what is refused: what is held of them is bounded, and others are heard all the while. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fromHex } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import { FrameType, frameOf, readAcks } from '../../src/delivery/frames.ts'
import { MAX_OPEN } from '../../src/feed/epochs.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { encode } from '../../src/message/codec.ts'
import { makeOpening } from '../../src/security/opening.ts'
import type { OwnPrekey } from '../../src/security/prekeys.ts'
import { MESH } from '../contracts/network-world.ts'
import { type Epoch, Hostile, NOTHING } from './hostile-member.ts'
import { HostileWorld } from './hostile-world.ts'
import { DeliveryWorld } from './world.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes in use, once what nobody holds is gone. */
function held(): number {
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().heapUsed
}

describe('A member that floods', () => {
  let world: HostileWorld
  let mallory: Hostile
  let epoch: Epoch
  let marks = 0
  beforeEach(async () => {
    world = await HostileWorld.make()
    await world.hold()
    mallory = await Hostile.join(world, world.bob.agent)
    epoch = await mallory.open(world.bob.agent)
    marks = 0
  })
  afterEach(async () => {
    await world.unharmed()
    await world.close()
  })

  /** Resolves when everything that mallory sent before was looked at. */
  async function looked(): Promise<void> {
    const { bob } = world
    mallory.send(bob, epoch.opening, await mallory.once(epoch, ++marks, 'a mark'))
    await world.until(() => bob.from(mallory).length > 0)
    bob.got.splice(bob.got.findIndex(({ sender }) => sender === mallory.id))
  }

  const garbage = seededRandom(1)
  const random = (bytes: number): Uint8Array => garbage.bytes(bytes)
  const PORTION = 250
  /** What may be held more after a flood, bytes: to keep but the epochs of one takes twice as much. */
  const SLACK = 1_000_000

  test.each<[string, string | undefined, number, () => Promise<(i: number) => Uint8Array | Promise<Uint8Array>>]>([
    [
      'envelopes of unknown epochs',
      'unknown-epoch',
      20_000,
      async () => {
        // Sealing each would be the work of its author alone: nobody gets that far.
        const frame = await mallory.envelope(epoch, 1, 'x')
        const at = frame.findIndex((_, i) => fromHex(epoch.id).every((byte, j) => frame[i + j] === byte))
        return () => {
          const copy = frame.slice()
          copy.set(random(16), at)
          return copy
        }
      },
    ],
    [
      'openings of epochs that stay empty',
      undefined,
      2_000,
      async () => async () => (await mallory.open(world.bob.agent)).opening,
    ],
    [
      'acknowledgements of nothing',
      'unknown-epoch',
      20_000,
      async () => () => mallory.frame('acks', [0, [[random(16), [9, []], [9, []], [], NOTHING]]]),
    ],
    [
      'states of epochs that there are not',
      undefined,
      20_000,
      async () => () => mallory.frame('states', [[random(16), 0, 9, NOTHING]]),
    ],
    ['unknown epochs', 'unknown-epoch', 20_000, async () => () => mallory.frame('unknownEpochs', [random(16)])],
    [
      'lost keys of epochs that there are not',
      'unknown-epoch',
      20_000,
      async () => () => frameOf(FrameType.lostKey, encode([[random(16)], random(64)])),
    ],
  ])(
    '%s holds up nobody, and nothing of it is held',
    async (_what, reason, count, prepare) => {
      const { bob, carol } = world
      const frame = await prepare()
      await looked()
      bob.tap.recording = false
      mallory.listening = false
      const flood = async (frames: number): Promise<void> => {
        for (let i = 0; i < frames; i += PORTION) {
          const portion = await Promise.all(Array.from({ length: PORTION }, (_, j) => frame(i + j)))
          mallory.send(bob, ...portion)
          await looked()
        }
        bob.refused.splice(0)
      }
      // What is compiled, cached and filled once is not counted.
      await flood(count / 4)
      const before = held()
      await flood(count / 2)
      const receipt = await world.say(carol, 'in the middle of it')
      await world.during(receipt.processed)
      await flood(count / 4)
      expect(held() - before).toBeLessThan(SLACK)
      if (reason !== undefined) expect(bob.counted(reason)).toBe(count)
      expect((await bob.rows('epochs')).filter(({ key }) => key[1] === mallory.id)).toEqual([])
      expect((await bob.rows('inbox')).filter(({ key }) => key[0] === mallory.id)).toEqual([])
      bob.tap.recording = true
    },
    60_000,
  )

  test('epochs with a message in each has so many and no more, until it settles some', async () => {
    const { bob } = world
    const beyond = 6
    const epochs: Epoch[] = []
    for (let i = 0; i < MAX_OPEN + beyond; i++) {
      const next = await mallory.open(bob.agent)
      epochs.push(next)
      mallory.send(bob, next.opening, await mallory.envelope(next, 1, `${i}`))
    }
    await world.until(() => bob.reasons(mallory).length === 2 * beyond)
    expect(bob.counted('too-many-epochs')).toBe(beyond)
    expect(bob.counted('unknown-epoch')).toBe(beyond)
    await world.until(() => bob.from(mallory).length === MAX_OPEN)
    await world.emptied(bob, 'inbox', mallory)
    expect((await bob.rows('epochs')).filter(({ key }) => key[1] === mallory.id)).toHaveLength(MAX_OPEN)
    const latest = epochs[MAX_OPEN - 1] as Epoch
    mallory.send(bob, mallory.frame('states', [[fromHex(latest.id), 0, 1, NOTHING]]))
    const again = epochs.at(-1) as Epoch
    mallory.send(bob, again.opening, await mallory.envelope(again, 1, 'room again'))
    await world.until(() => bob.from(mallory).length === MAX_OPEN + 1)
    expect(bob.from(mallory).at(-1)).toBe('room again')
  })

  test('epochs with a message and 400 skips in each keeps little more than as many skips as there may be in one', async () => {
    const { bob } = world
    const epochs: Epoch[] = []
    // As many as one frame has room for.
    const many = [1, new Array(800).fill(1)]
    for (let i = 0; i < MAX_OPEN; i++) {
      const next = await mallory.open(bob.agent)
      epochs.push(next)
      mallory.send(bob, next.opening, await mallory.envelope(next, 1, `${i}`))
    }
    await world.until(() => bob.from(mallory).length === MAX_OPEN)
    await world.emptied(bob, 'inbox', mallory)
    const before = held()
    mallory.send(
      bob,
      mallory.frame(
        'states',
        epochs.map(({ id }) => [fromHex(id), 0, 9_999, many]),
      ),
    )
    const skips = (): number =>
      epochs.reduce((sum, each) => sum + ((mallory.acked(bob, each)?.skipped[1].length ?? 0) as number) / 2, 0)
    await world.until(() => skips() > MAX_OPEN * 16)
    await world.clock.advance(1_000)
    expect(skips()).toBeLessThanOrEqual(1_024 + MAX_OPEN * 16)
    expect(held() - before).toBeLessThan(SLACK)
    const rows = (await bob.rows('epochs')).filter(({ key }) => key[1] === mallory.id)
    expect(rows).toHaveLength(MAX_OPEN)
    expect(rows.reduce((sum, { value }) => sum + value.length, 0)).toBeLessThan(MAX_OPEN * 256 + 2 * 2_048)
  })
})

test('Strangers that come and go are not held, and nobody of whom something would be missed is forgotten', async () => {
  const world = new DeliveryWorld()
  const [ada, bob] = [await world.start(await world.machine()), await world.start(await world.machine())]
  await ada.meet(bob)
  const stranger = await createIdentity()
  const prekey = bob.prekeys.current() as OwnPrekey
  const { notAfter } = prekey
  const options = { author: stranger, mesh: MESH, recipient: bob.id, prekey, earlier: [], notAfter }
  const { epoch, packet } = await makeOpening({ ...options, random: world.random })
  const state = frameOf(FrameType.states, encode([[fromHex(epoch), 0, 0, NOTHING]]))
  const opening = frameOf(FrameType.opening, packet)
  await bob.delivery.received(stranger.id, opening)
  // Whether it is known shows in what another is told of it.
  await bob.delivery.received(ada.id, state)
  expect(bob.refused).toEqual(['wrong-author'])
  const replay: Uint8Array[] = []
  const received = bob.delivery.received.bind(bob.delivery)
  bob.delivery.received = (from, frame) => {
    if (from === ada.id && frame[0] === FrameType.envelope) replay.push(frame.slice())
    return received(from, frame)
  }
  await ada.send(bob, 'hello')
  await world.clock.advanceUntil(() => bob.texts.length === 1)
  ada.crash()
  await world.clock.advanceUntil(() => bob.network.link(ada.id) === undefined)
  bob.refused.length = 0
  for (let i = 0; i < 1_100; i++) await bob.delivery.received((await createIdentity()).id, opening.slice(0, 40))
  expect(bob.refused).toEqual(new Array(1_100).fill('malformed'))
  bob.refused.length = 0
  await bob.delivery.received(ada.id, state)
  expect(bob.refused).toEqual([])
  await bob.delivery.received(ada.id, replay[0] as Uint8Array)
  expect(bob.refused).toEqual(['duplicate'])
  expect(bob.texts).toEqual(['hello'])
  await world.close()
}, 60_000)

test('Whoever is full takes one message that can be handed on, and no other until that has its end', async () => {
  const hostile = await HostileWorld.make()
  const dave = await hostile.party('dave', { inbox: { messages: 5 } })
  const mallory = await Hostile.join(hostile, dave.agent)
  dave.hold(mallory)
  const epoch = await mallory.open(dave.agent)
  const numbered = (number: number, prev: number, priority: number): Promise<Uint8Array> =>
    mallory.envelope(epoch, number, `held ${number}`, { fields: { priority }, header: { prev } })
  const said = (): number[] => mallory.of(FrameType.acks, dave).map(frame => readAcks(frame.subarray(1)).credit)
  mallory.send(dave, epoch.opening)
  for (let number = 2; number <= 6; number++) mallory.send(dave, await numbered(number, number - 1, 0))
  const waiting = async (count: number): Promise<boolean> => (await dave.rows('inbox')).length === count
  await hostile.eventually(() => waiting(5))
  await hostile.until(() => said().at(-1) === 1)
  // Long ones are opened aside, so that all of these are looked at before the first one is on the disk.
  const long = 'held'.padEnd(40_000, '!')
  const many = [1, 2, 3, 4].map(priority =>
    mallory.envelope(epoch, 6 + priority, long, { fields: { priority }, header: { prev: 0 } }),
  )
  mallory.send(dave, ...(await Promise.all(many)), await numbered(1, 0, 0), await numbered(11, 6, 0))
  await dave.refuses(mallory, ...new Array(5).fill('full'))
  expect(await waiting(6)).toBe(true)
  expect(dave.from(mallory)).toEqual([long])
  await hostile.until(() => said().at(-1) === 0)
  dave.release(mallory)
  await hostile.until(() => said().at(-1) === 1)
  mallory.send(dave, await numbered(11, 6, 0), await numbered(1, 0, 0))
  await hostile.eventually(() => waiting(0))
  expect(dave.from(mallory)).toEqual([long, ...[1, 2, 3, 4, 5, 6].map(number => `held ${number}`)])
  expect(dave.reasons(mallory)).toEqual(new Array(6).fill('full'))
  await hostile.close()
})
