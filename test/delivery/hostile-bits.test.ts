/** Envelopes and openings with a bit changed, each of their bits in turn, and parts of one put into another. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FAULTS, MAX_FAULTS } from '../../src/agent/standing.ts'
import type { EnvelopeRefusal } from '../../src/delivery/arrived.ts'
import { type Envelope, envelopeFrame, FrameType, readEnvelope } from '../../src/delivery/frames.ts'
import { flipped } from './hostile-member.ts'
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

/** How many frames go at once: what is refused of them has to be counted before the next. */
const PORTION = MAX_FAULTS / 2

/** Hands frames to bob as a peer's, no more in a minute than its link stands; resolves when each was refused. */
async function refuseAll(frames: readonly Uint8Array[], peer: Party = world.ada): Promise<Map<string, number>> {
  const { bob } = world
  const before = bob.reasons(peer).length
  const faults = (): number => bob.reasons(peer).filter(reason => FAULTS.has(reason as EnvelopeRefusal)).length
  let forgiven = faults()
  for (let at = 0; at < frames.length; at += PORTION) {
    if (faults() - forgiven > MAX_FAULTS - PORTION) {
      await world.clock.advance(60_000)
      forgiven = faults()
    }
    bob.tap.inject(peer.id, ...frames.slice(at, at + PORTION))
    const end = before + Math.min(frames.length, at + PORTION)
    await world.until(() => bob.reasons(peer).length >= end)
  }
  await world.clock.advance(100)
  const tally = new Map<string, number>()
  for (const reason of bob.reasons(peer).slice(before)) tally.set(reason, (tally.get(reason) ?? 0) + 1)
  return tally
}

/** Outlives all those minutes, s. */
const LONG = 6 * 3_600

/** Every copy of a frame with one bit changed, its type left out. */
const everyBit = (frame: Uint8Array): Uint8Array[] =>
  Array.from({ length: 8 * (frame.length - 1) }, (_, i) => flipped(frame, 8 + i))

const sum = (tally: Map<string, number>): number => [...tally.values()].reduce((all, count) => all + count, 0)

/** An envelope on its way. */
interface Captured {
  readonly frame: Uint8Array
  readonly envelope: Envelope
}

/** Sends texts that are on their way and do not come: the first copy of each, in order. */
async function captured(...texts: string[]): Promise<Captured[]> {
  const { ada, bob } = world
  const before = bob.tap.of(FrameType.envelope, ada.id).length
  bob.tap.drop(FrameType.envelope)
  for (const text of texts) await world.say(ada, text, { ttl: LONG })
  const frames = (): Uint8Array[] => bob.tap.of(FrameType.envelope, ada.id).slice(before)
  await world.until(() => frames().length >= texts.length)
  return texts.map((_, i) => {
    const frame = frames()[i] as Uint8Array
    return { frame, envelope: readEnvelope(frame.subarray(1)) }
  })
}

describe('An envelope', () => {
  test('with any of its bits changed is refused and counted, and the right one is taken', async () => {
    const { ada, bob } = world
    const [{ frame, envelope }] = (await captured('every bit of this')) as [Captured]
    const inbox = await bob.rows('inbox')
    const tally = await refuseAll(everyBit(frame))
    expect(sum(tally)).toBe(8 * (frame.length - 1))
    for (const [reason, count] of tally) expect(bob.counted(reason)).toBe(count)
    // What is sealed and what is not known of the header's fields is found by opening; the rest by looking.
    expect(tally.get('undecryptable')).toBeGreaterThan(8 * envelope.sealed.length)
    expect(tally.get('wrong-recipient')).toBe(8 * 32)
    expect(tally.get('unknown-epoch')).toBe(8 * 16)
    expect(tally.get('wrong-mesh')).toBeGreaterThan(0)
    expect(tally.get('wrong-version')).toBeGreaterThan(0)
    expect(tally.get('expired')).toBeGreaterThan(0)
    expect(tally.get('malformed')).toBeGreaterThan(0)
    const all = ['undecryptable', 'wrong-recipient', 'unknown-epoch', 'wrong-mesh', 'wrong-version', 'expired']
    expect([...tally.keys()].sort()).toEqual([...all, 'malformed'].sort())
    expect(await bob.rows('inbox')).toEqual(inbox)
    bob.tap.inject(ada.id, frame)
    bob.tap.behave()
    await world.eventually(async () => (await bob.rows('inbox')).length === inbox.length + 1)
  })

  test('with the header of another, or with its content, is refused', async () => {
    const { ada, bob } = world
    const [one, two] = (await captured('one', 'two')) as [Captured, Captured]
    const inbox = await bob.rows('inbox')
    const tally = await refuseAll([
      envelopeFrame(one.envelope.headerBytes, two.envelope.sealed),
      envelopeFrame(two.envelope.headerBytes, one.envelope.sealed),
    ])
    expect([...tally]).toEqual([['undecryptable', 2]])
    expect(bob.counted('undecryptable')).toBe(2)
    expect(await bob.rows('inbox')).toEqual(inbox)
    expect(bob.reasons(ada)).toHaveLength(2)
    bob.tap.behave()
  })

  test('with the header of one that has arrived is refused, not taken for its copy', async () => {
    const { ada, bob } = world
    const arrived = readEnvelope((bob.tap.of(FrameType.envelope, ada.id)[0] as Uint8Array).subarray(1))
    const [{ envelope }] = (await captured('two')) as [Captured]
    const tally = await refuseAll([envelopeFrame(arrived.headerBytes, envelope.sealed)])
    expect([...tally]).toEqual([['undecryptable', 1]])
    bob.tap.behave()
  })

  test('that was cut short, or goes on, is refused', async () => {
    const { bob } = world
    const [{ frame }] = (await captured('whole')) as [Captured]
    const longer = new Uint8Array(frame.length + 1)
    longer.set(frame)
    const cut = Array.from({ length: frame.length - 1 }, (_, i) => frame.slice(0, i + 1))
    const tally = await refuseAll([...cut, longer])
    expect([...tally]).toEqual([['malformed', frame.length]])
    expect(bob.counted('malformed')).toBe(frame.length)
    bob.tap.behave()
  })

  test('of which a copy is spoilt on the way comes again, and arrives once', async () => {
    const { ada, bob } = world
    let spoilt = 0
    bob.tap.meddle = ({ frame, from }) => {
      if (frame[0] !== FrameType.envelope || from !== ada.id || spoilt++ > 0) return [frame]
      return [flipped(frame, 8 * (frame.length - 20))]
    }
    const receipt = await world.say(ada, 'spoilt once')
    await world.during(receipt.delivered)
    expect(spoilt).toBe(2)
    expect(bob.reasons(ada)).toEqual(['undecryptable'])
    expect(bob.counted('undecryptable')).toBe(1)
    expect(ada.agent.metrics.counter('messages.sent').value).toBe(2)
  })
})

describe('A bundle', () => {
  test('with any of its bits changed is refused as one and counted, and the right one is taken', {
    timeout: 60_000,
  }, async () => {
    const { ada, bob } = world
    const before = bob.tap.of(FrameType.envelope, ada.id).length
    const frames = (): Uint8Array[] => bob.tap.of(FrameType.envelope, ada.id).slice(before)
    bob.tap.drop(FrameType.envelope)
    const send = (text: string) => ada.agent.send(bob.id, text, { ttl: LONG, guarantee: 'at-most-once' })
    await world.during(Promise.all(['one', 'two'].map(send)))
    await world.until(() => frames().length > 0)
    const [frame] = frames() as [Uint8Array]
    const { header, sealed } = readEnvelope(frame.subarray(1))
    expect(header.numbered).toBe(false)
    const tally = await refuseAll(everyBit(frame))
    expect(sum(tally)).toBe(8 * (frame.length - 1))
    for (const [reason, count] of tally) expect(bob.counted(reason)).toBe(count)
    expect(tally.get('undecryptable')).toBeGreaterThan(8 * sealed.length)
    const all = ['undecryptable', 'wrong-recipient', 'unknown-epoch', 'wrong-mesh', 'wrong-version', 'expired']
    expect([...tally.keys()].sort()).toEqual([...all, 'malformed'].sort())
    expect(bob.from(ada)).toEqual(['held'])
    bob.tap.inject(ada.id, frame)
    bob.tap.behave()
    await world.until(() => bob.from(ada).length === 3)
    expect(bob.from(ada)).toEqual(['held', 'one', 'two'])
    bob.got.splice(1)
  })
})

describe('An opening', () => {
  test('with any of its bits changed is refused and counted, and the right one is taken', async () => {
    const { ada, bob } = world
    const dave = await world.party('dave')
    bob.tap.drop(FrameType.opening, FrameType.envelope, FrameType.states)
    await world.meet(dave, bob)
    await world.during(dave.agent.send(bob.id, 'hello', { ttl: LONG }))
    await world.until(() => bob.tap.of(FrameType.opening, dave.id).length > 0)
    const [opening] = bob.tap.of(FrameType.opening, dave.id) as [Uint8Array]
    const epochs = await bob.rows('epochs')
    const copies = everyBit(opening)
    const tally = await refuseAll(copies, dave)
    expect(sum(tally)).toBe(copies.length)
    expect([...tally.keys()].sort()).toEqual(['bad-signature', 'malformed', 'wrong-mesh', 'wrong-recipient'])
    for (const [reason, count] of tally) expect(bob.counted(reason)).toBe(count)
    expect(tally.get('bad-signature')).toBeGreaterThan(8 * (32 + 8 + 16 + 32 + 64))
    expect(await bob.rows('epochs')).toEqual(epochs)
    bob.tap.behave()
    await world.until(() => bob.from(dave).length === 1)
    expect(bob.from(dave)).toEqual(['hello'])
    expect(bob.reasons(ada)).toEqual([])
  })
  test('that is spoilt on the way goes again, and what follows it arrives once', async () => {
    const { bob } = world
    const dave = await world.party('dave')
    await world.meet(dave, bob)
    let openings = 0
    bob.tap.meddle = ({ frame, from }) => {
      if (frame[0] !== FrameType.opening || from !== dave.id || openings++ > 0) return [frame]
      return [flipped(frame, 8 * 40)]
    }
    const receipts = [await world.during(dave.agent.send(bob.id, 1)), await world.during(dave.agent.send(bob.id, 2))]
    for (const { processed } of receipts) await world.during(processed)
    expect(openings).toBeGreaterThan(1)
    expect(bob.from(dave)).toEqual([1, 2])
    expect(bob.reasons(dave)[0]).toBe('bad-signature')
    expect(bob.counted('bad-signature')).toBe(1)
  })
})
