/** Openings that are not what they say, and epochs that somebody else would like to have. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { equal, toHex } from '../../src/common/bytes.ts'
import { systemRandom } from '../../src/common/random.ts'
import {
  type Envelope,
  envelopeFrame,
  FrameType,
  frameOf,
  readEnvelope,
  readLostKey,
} from '../../src/delivery/frames.ts'
import { readEpoch } from '../../src/delivery/rows.ts'
import type { Identity } from '../../src/identity/keys.ts'
import { decode, encode } from '../../src/message/codec.ts'
import { generateKey } from '../../src/security/hpke.ts'
import { PREKEY_KEPT, PREKEY_USABLE, type Prekey, prekeyId } from '../../src/security/prekeys.ts'
import { epochBytes, epochOf, Hostile } from './hostile-member.ts'
import { HostileWorld, type Party } from './hostile-world.ts'

let world: HostileWorld
let mallory: Hostile
beforeEach(async () => {
  world = await HostileWorld.make()
  await world.hold()
  mallory = await Hostile.join(world, world.bob.agent)
})
afterEach(async () => {
  await world.unharmed()
  await world.close()
})

const prekey = (): Prekey => world.bob.agent.card.prekey as Prekey
const refused = (peer: { readonly id: string }, ...reasons: string[]): Promise<void> =>
  world.bob.refuses(peer, ...reasons)

/** Shows that mallory is still heard, in an epoch of its own. */
async function heard(): Promise<void> {
  const { bob } = world
  const epoch = await mallory.open(bob.agent)
  mallory.send(bob, epoch.opening, await mallory.envelope(epoch, 1, 'one'), await mallory.envelope(epoch, 2, 'two'))
  await world.until(() => bob.from(mallory).length === 2)
  expect(bob.from(mallory)).toEqual(['one', 'two'])
}

/** The fields of an opening's body, some replaced, signed anew or with the signature that it had. */
async function remade(opening: Uint8Array, fields: Record<number, unknown>, by?: Identity): Promise<Uint8Array> {
  const [body, signature] = decode(opening.subarray(1)) as [Uint8Array, Uint8Array]
  const changed = encode((decode(body) as unknown[]).map((field, i) => (i in fields ? fields[i] : field)))
  const signed = by === undefined ? signature : await by.sign('afp/1/opening', changed)
  return frameOf(FrameType.opening, encode([changed, signed]))
}
const FIELD = { mesh: 3, author: 4, recipient: 5, prekey: 6, notAfter: 8, enc: 9 } as const

/** A new agent that has written to bob; nothing of it has come. */
async function writer(): Promise<{ dave: Party; opening: Uint8Array; envelope: Envelope; frame: Uint8Array }> {
  const { bob } = world
  const dave = await world.party('dave')
  await world.meet(dave, bob)
  bob.tap.meddle = ({ from, frame }) => (from === dave.id ? [] : [frame])
  await world.during(dave.agent.send(bob.id, 'secret'))
  await world.until(() => bob.tap.of(FrameType.envelope, dave.id).length > 0)
  const [opening] = bob.tap.of(FrameType.opening, dave.id) as [Uint8Array]
  const [frame] = bob.tap.of(FrameType.envelope, dave.id) as [Uint8Array]
  return { dave, opening, frame, envelope: readEnvelope(frame.subarray(1)) }
}
/** Lets its message through. */
async function arrives(dave: Party): Promise<void> {
  const { bob } = world
  bob.tap.behave()
  await world.until(() => bob.from(dave).length > 0)
  await world.emptied(dave, 'outbox', bob)
  expect(bob.from(dave)).toEqual(['secret'])
}

describe('A replaced key in an opening', () => {
  test('is found by the signature that was kept', async () => {
    const { bob } = world
    const { dave, opening } = await writer()
    const enc = (await generateKey(systemRandom)).publicKey
    bob.tap.inject(dave.id, await remade(opening, { [FIELD.enc]: enc }))
    await refused(dave, 'bad-signature')
    await arrives(dave)
  })

  test("is found by whoever signed it, under the author's name or its own", async () => {
    const { bob } = world
    const { dave, opening } = await writer()
    const enc = (await generateKey(systemRandom)).publicKey
    bob.tap.inject(dave.id, await remade(opening, { [FIELD.enc]: enc }, mallory.identity))
    await refused(dave, 'bad-signature')
    const own = { [FIELD.enc]: enc, [FIELD.author]: mallory.identity.publicKey }
    bob.tap.inject(dave.id, await remade(opening, own, mallory.identity))
    await refused(dave, 'bad-signature', 'wrong-author')
    await arrives(dave)
  })

  test('opens an epoch of who signed it, in which what was sealed stays sealed', async () => {
    const { bob } = world
    const { dave, opening, envelope } = await writer()
    const own = await remade(opening, { [FIELD.author]: mallory.identity.publicKey }, mallory.identity)
    mallory.send(bob, own)
    await world.until(() => mallory.of(FrameType.acks, bob).length > 0)
    const [, [[epoch]]] = decode((mallory.of(FrameType.acks, bob)[0] as Uint8Array).subarray(1)) as [0, [[Uint8Array]]]
    expect(toHex(epoch)).not.toBe(envelope.header.epoch)
    const fields = decode(envelope.headerBytes) as unknown[]
    mallory.send(bob, envelopeFrame(encode(fields.with(3, epoch)), envelope.sealed))
    await refused(mallory, 'undecryptable')
    await arrives(dave)
  })

  test('that agrees on nothing is refused, whoever signed it', async () => {
    const { bob } = world
    const epoch = await mallory.open(bob.agent)
    mallory.send(bob, await remade(epoch.opening, { [FIELD.enc]: new Uint8Array(32) }, mallory.identity))
    await refused(mallory, 'malformed')
    await heard()
  })
})

describe('The epoch of another', () => {
  test.each(['before', 'after'])('is not to be had by its id, %s its opening comes', async when => {
    const { bob } = world
    const { dave, opening, envelope } = await writer()
    if (when === 'after') {
      bob.tap.inject(dave.id, opening)
      await world.until(() => dave.tap.of(FrameType.acks, bob.id).length > 0)
    }
    const id = envelope.header.epoch
    const own = await mallory.open(bob.agent)
    const numbered = await mallory.envelope(own, 1, 'squatted', { header: { epoch: id } })
    const once = await mallory.once(own, 1, 'squatted', { header: { epoch: id } })
    const reason = when === 'after' ? 'wrong-author' : 'unknown-epoch'
    mallory.send(bob, numbered, once, envelopeFrame(envelope.headerBytes, envelope.sealed))
    await refused(mallory, reason, reason, reason)
    // As many as it likes, and its own opening beside them.
    mallory.send(bob, own.opening, await mallory.envelope(own, 1, 'mine'))
    await world.until(() => bob.from(mallory).length > 0)
    expect(bob.from(mallory)).toEqual(['mine'])
    await arrives(dave)
  })

  test.each(['before', 'after'])('is not to be had by its own opening, %s its author sends that', async when => {
    const { bob } = world
    const { dave, opening, frame } = await writer()
    if (when === 'after') {
      bob.tap.inject(dave.id, opening)
      await world.until(() => dave.tap.of(FrameType.acks, bob.id).length > 0)
    }
    mallory.send(bob, opening, frame)
    await refused(mallory, 'wrong-author', when === 'after' ? 'wrong-author' : 'unknown-epoch')
    expect(bob.got.some(({ content }) => content === 'secret')).toBe(false)
    expect(mallory.of(FrameType.acks, bob)).toEqual([])
    await arrives(dave)
    await heard()
  })

  test('is not held up, nor ended, by who names it among its own earlier ones', async () => {
    const { ada, bob } = world
    const held = epochOf(bob.tap.of(FrameType.envelope, ada.id)[0] as Uint8Array)
    const epoch = await mallory.open(bob.agent, { earlier: [held] })
    const state = [epochBytes(epoch.id), 0, 1, [0, []]]
    mallory.send(bob, epoch.opening, mallory.frame('states', [state]), await mallory.envelope(epoch, 1, 'mine'))
    await world.until(() => bob.from(mallory).length > 0)
    expect(bob.from(mallory)).toEqual(['mine'])
  })
})

describe('An opening', () => {
  test('for another mesh, or another agent, is refused', async () => {
    const { bob, carol } = world
    mallory.send(bob, (await mallory.open(bob.agent, { mesh: 'other' })).opening)
    await refused(mallory, 'wrong-mesh')
    mallory.send(bob, (await mallory.open(bob.agent, { recipient: carol.id })).opening)
    await refused(mallory, 'wrong-mesh', 'wrong-recipient')
    await heard()
  })

  test("that says it is another author's is refused, whoever signed it", async () => {
    const { ada, bob } = world
    const { opening } = await mallory.open(bob.agent)
    const asAda = { [FIELD.author]: ada.identity.publicKey }
    mallory.send(bob, await remade(opening, asAda), await remade(opening, asAda, mallory.identity))
    await refused(mallory, 'bad-signature', 'bad-signature')
    await heard()
  })

  test('to a prekey that is not here is answered as a lost key, to its author alone', async () => {
    const { bob } = world
    const { publicKey } = await generateKey(systemRandom)
    const { notAfter } = prekey()
    const epoch = await mallory.open(bob.agent, { prekey: { id: await prekeyId(publicKey), publicKey, notAfter } })
    mallory.send(bob, epoch.opening, await mallory.envelope(epoch, 1, 'for nobody'))
    await refused(mallory, 'lost-key', 'unknown-epoch')
    await world.until(() => mallory.of(FrameType.lostKey, bob).length > 0)
    const said = readLostKey((mallory.of(FrameType.lostKey, bob)[0] as Uint8Array).subarray(1))
    expect(said.epochs).toEqual([epoch.id])
    const second = await Hostile.join(world, bob.agent)
    second.send(bob, epoch.opening)
    await world.until(() => bob.reasons(second).length > 0)
    expect(second.of(FrameType.lostKey, bob)).toEqual([])
    expect(bob.from(mallory)).toEqual([])
    await heard()
  })

  test('that names one prekey and was sealed to another opens nothing that is in it', async () => {
    const { bob } = world
    const { publicKey } = await generateKey(systemRandom)
    const epoch = await mallory.open(bob.agent, { prekey: { ...prekey(), publicKey } })
    mallory.send(bob, epoch.opening, await mallory.envelope(epoch, 1, 'in no key'))
    await refused(mallory, 'undecryptable')
    expect(bob.from(mallory)).toEqual([])
    await heard()
  })

  test('cannot keep its epoch beyond the end of the prekey', async () => {
    const { bob } = world
    const end = prekey().notAfter
    const epoch = await mallory.open(bob.agent, { notAfter: end + 365 * 86_400_000 })
    mallory.send(bob, epoch.opening, await mallory.envelope(epoch, 1, 'long'))
    await world.until(() => bob.from(mallory).length > 0)
    const rows = (await bob.rows('epochs')).filter(({ key }) => key[0] === 'in').map(readEpoch)
    expect(rows.find(row => row.epoch === epoch.id)?.row).toMatchObject({ notAfter: end })
  })

  test('to a prekey that is over its time is refused, and said to be lost once it is gone', async () => {
    const { bob } = world
    const old = { ...prekey() }
    const short = await mallory.open(bob.agent)
    const long = await mallory.open(bob.agent, { notAfter: old.notAfter + PREKEY_KEPT })
    // Everybody's clock goes on by five weeks, and minutes later each has looked after its keys.
    world.clock.jump(PREKEY_KEPT)
    await world.clock.advance(310_000)
    expect(equal(prekey().id, old.id)).toBe(false)
    expect(old.notAfter + PREKEY_KEPT - PREKEY_USABLE).toBeLessThan(world.clock.now())
    mallory.send(bob, short.opening, long.opening)
    await refused(mallory, 'expired', 'lost-key')
    expect(bob.from(mallory)).toEqual([])
    await heard()
  }, 60_000)
})
