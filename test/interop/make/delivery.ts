/** Openings, envelopes, and what goes back and forth about them. */

import { FrameType, frameOf, LOST_KEY_LABEL, lostKeyBody } from '../../../src/delivery/frames.ts'
import { decode, encode } from '../../../src/message/codec.ts'
import { makeOpening } from '../../../src/security/opening.ts'
import { bytesOf, hexOf, type PrekeyKeys, type Value } from '../cases.ts'
import { replay } from '../remake.ts'
import { envelopes } from './envelopes.ts'
import { agents, DAY, fixed, flip, joined, Maker, MESH, NOW, prekeys, put, signed } from './maker.ts'

const { ada, bob, cleo } = agents

/** From ada to bob, as most of them are. */
export const between = { author: ada.id, self: bob.id } as const

const epochs = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${(i + 1).toString(16).padStart(4, '0')}${fixed(0xee, 14)}`)

export async function delivery(): Promise<Maker> {
  const maker = new Maker()
  await openings(maker)
  await envelopes(maker)
  await acks(maker)
  await states(maker)
  await others(maker)
  return maker
}

/** What an opening says, and the bytes that were random in it. */
interface Opened {
  readonly prekey?: PrekeyKeys
  readonly earlier?: readonly string[]
  readonly notAfter?: number
  readonly seed?: number
  readonly recipient?: string
  readonly mesh?: string
}

/** An opening of ada's, and what it says. */
export async function make(given: Opened) {
  const { prekey = prekeys.bob, earlier = [], notAfter = prekey.notAfter, seed = 1 } = given
  const entropy = [fixed(seed, 16), fixed(seed + 0x20)]
  const { recipient = bob.id, mesh = MESH } = given
  const shown = { id: bytesOf(prekey.id), publicKey: bytesOf(prekey.publicKey), notAfter: prekey.notAfter }
  const parts = { author: ada, mesh, recipient, prekey: shown, earlier, notAfter }
  const { epoch, packet, key } = await makeOpening({ ...parts, random: replay({ entropy }) })
  const value: Value = { epoch, author: ada.id, key: hexOf(key), prekey: prekey.id, notAfter, earlier }
  return { entropy, packet, value }
}

async function openings(maker: Maker): Promise<void> {
  const about = { ...between, kind: 'opening' } as const
  const good = async (name: string, given: Opened): Promise<Uint8Array> => {
    const { entropy, value } = await make(given)
    return maker.good({ ...about, name, entropy }, value)
  }
  const first = await good('an opening', {})
  await good('another', { seed: 2 })
  await good('an opening to the newer prekey', { prekey: prekeys.newer, seed: 3 })
  await good('an opening with 64 earlier epochs', { earlier: epochs(64), seed: 4 })
  await good('an opening at the last moment', { notAfter: NOW - 14 * DAY - 120_000, seed: 5 })

  const packet = first.subarray(1)
  const bad = (name: string, reason: string, bytes: Uint8Array, zeros?: number): void =>
    maker.bad({ ...about, name: `an opening ${name}` }, reason, frameOf(FrameType.opening, bytes), zeros)
  const [body, signature] = decode(packet) as [Uint8Array, Uint8Array]
  const items = decode(body) as unknown[]
  const label = 'afp/1/opening'
  const other = (at: number, item: unknown): Promise<Uint8Array> => signed(ada, label, put(items, at, item))
  bad('for another mesh', 'wrong-mesh', (await make({ mesh: 'other' })).packet)
  bad('for another agent', 'wrong-recipient', (await make({ recipient: cleo.id })).packet)
  bad('to a prekey that is lost', 'lost-key', (await make({ prekey: prekeys.lost })).packet)
  bad('whose end was too long ago', 'expired', (await make({ notAfter: NOW - 14 * DAY - 120_001 })).packet)
  bad('with a bit of its time changed', 'bad-signature', encode([flip(body, body.length - 36), signature]))
  bad('with a bit of its signature changed', 'bad-signature', flip(packet, packet.length - 1))
  bad('that another agent signed', 'bad-signature', await signed(bob, label, items))
  bad('signed as a card', 'bad-signature', await signed(ada, 'afp/1/card', items))
  bad(
    'by another agent than the one that brings it',
    'wrong-author',
    await signed(cleo, label, put(items, 4, cleo.publicKey)),
  )
  bad('with another label', 'malformed', await other(0, 'afp/1/openings'))
  bad('of version 2', 'malformed', await other(1, 2))
  bad('of suite 2', 'malformed', await other(2, 2))
  bad('for no mesh', 'malformed', await other(3, ''))
  bad('for a mesh of 65 characters', 'malformed', await other(3, 'm'.repeat(65)))
  bad('by a key of 31 bytes', 'malformed', await other(4, new Uint8Array(31)))
  bad('to a prekey of 7 bytes', 'malformed', await other(6, new Uint8Array(7)))
  bad('with 17 random bytes', 'malformed', await other(7, new Uint8Array(17)))
  bad('that ended before 1970', 'malformed', await other(8, -1))
  bad('with a key of 33 bytes', 'malformed', await other(9, new Uint8Array(33)))
  bad('with a key that agrees on nothing', 'malformed', await other(9, new Uint8Array(32)))
  bad('with 65 earlier epochs', 'malformed', await other(10, epochs(65).map(bytesOf)))
  bad('that names an epoch twice', 'malformed', await other(10, [...epochs(1), ...epochs(1)].map(bytesOf)))
  bad('that names an epoch of 15 bytes', 'malformed', await other(10, [new Uint8Array(15)]))
  bad('of twelve items', 'malformed', await signed(ada, label, [...items, null]))
  bad('of three parts', 'malformed', encode([body, signature, null]))
  bad('with a signature of 65 bytes', 'malformed', encode([body, joined(signature, '00')]))
  bad('cut short', 'malformed', packet.subarray(0, -1))
  bad('with a byte more', 'malformed', joined(packet, '00'))
  bad('without a length', 'malformed', joined('9f', packet.subarray(1), 'ff'))
  bad('that is empty', 'malformed', new Uint8Array())
  bad('of more than 2,048 bytes', 'malformed', new Uint8Array(), 2_049)
}

/** Ranges of one number each, above a floor, with one missing before each. */
const comb = (floor: number, count: number): [number, number][] => [
  ...(floor === 0 ? [] : [[1, floor] as [number, number]]),
  ...Array.from({ length: count }, (_, i): [number, number] => [floor + 2 * i + 2, floor + 2 * i + 2]),
]

/** The same as it travels. */
const combWire = (floor: number, count: number): unknown[] => [floor, new Array(2 * count).fill(1)]

const LAST = 2 ** 48 - 1

async function acks(maker: Maker): Promise<void> {
  const about = { ...between, kind: 'acks' } as const
  const [epoch = '', second = ''] = epochs(2)
  const none = { delivered: [], processed: [], refused: [], skipped: [] }
  const good = (name: string, credit: number, ...list: Value[]): Promise<Uint8Array> =>
    maker.good({ ...about, name }, { credit, acks: list })
  await good('credit and nothing else', 10_000)
  await good('nothing of an epoch', 0, { epoch, ...none })
  await good('all of an epoch', 1, { epoch, ...none, delivered: [[1, 20]], processed: [[1, 20]] })
  await good(
    'two epochs',
    7,
    {
      epoch,
      delivered: [
        [1, 3],
        [6, 9],
        [11, 11],
      ],
      processed: [
        [2, 2],
        [7, 300],
      ],
      refused: [
        [3, 'rejected'],
        [9, 'handler-error'],
      ],
      skipped: [
        [10, 10],
        [1_000_000, 2_000_000],
      ],
    },
    { epoch: second, ...none, processed: [[1, 1]] },
  )
  await good('the last number', LAST, { epoch, ...none, delivered: [[1, LAST]], skipped: [[LAST, LAST]] })
  await good('2,048 ranges', 9, { epoch, ...none, delivered: comb(5, 2_048) })
  await good('1,024 refusals', 9, { epoch, ...none, refused: Array.from({ length: 1_024 }, (_, i) => [i + 1, 'x']) })
  await good('a reason of 64 characters', 9, { epoch, ...none, refused: [[1, 'é'.repeat(64)]] })
  await good('128 epochs', 9, ...epochs(128).map(id => ({ epoch: id, ...none })))

  const id = bytesOf(epoch)
  const empty = [0, []]
  const bad = (name: string, ...items: unknown[]): void =>
    maker.bad({ ...about, name }, 'malformed', frameOf(FrameType.acks, encode(items)))
  const ack = (name: string, at: number, item: unknown): void =>
    bad(`acks with ${name}`, 9, [put([id, empty, empty, [], empty], at, item)])
  ack('an epoch of 15 bytes', 0, new Uint8Array(15))
  ack('2,049 ranges', 1, combWire(0, 2_049))
  ack('a range that touches the floor', 1, [3, [0, 4]])
  ack('an empty range', 1, [3, [1, 0]])
  ack('a gap without a range', 1, [3, [1]])
  ack('a number beyond 2^48 - 1', 1, [0, [LAST, 1]])
  ack('a floor beyond 2^48 - 1', 1, [2 ** 48, []])
  ack('a floor below 0', 2, [-1, []])
  ack('half a floor', 2, [0.5, []])
  ack('ranges in pairs', 2, [0, [[2, 3]]])
  ack('a set of three items', 4, [0, [], 0])
  ack('a set that is a number', 4, 3)
  ack(
    '1,025 refusals',
    3,
    Array.from({ length: 1_025 }, (_, i) => [i + 1, 'x']),
  )
  ack('refusals out of order', 3, [
    [2, 'x'],
    [1, 'x'],
  ])
  ack('a refusal twice', 3, [
    [1, 'x'],
    [1, 'x'],
  ])
  ack('a refusal of 0', 3, [[0, 'x']])
  ack('a refusal without a reason', 3, [[1, '']])
  ack('a reason of 65 characters', 3, [[1, 'x'.repeat(65)]])
  bad('acks of an epoch in six items', 9, [[id, empty, empty, [], empty, 0]])
  bad(
    '129 epochs',
    9,
    epochs(129).map(one => [bytesOf(one), empty, empty, [], empty]),
  )
  bad('credit below 0', -1, [])
  bad('credit beyond 2^48 - 1', 2 ** 48, [])
  bad('acks without credit', [])
  maker.bad({ ...about, name: 'acks with a length in two bytes' }, 'malformed', joined('12', '8200', '9800'))
}

async function states(maker: Maker): Promise<void> {
  const about = { ...between, kind: 'states' } as const
  const [epoch = '', second = ''] = epochs(2)
  const good = (name: string, ...list: Value[]): Promise<Uint8Array> => maker.good({ ...about, name }, { states: list })
  await good('no state')
  await good('the state of an epoch', { epoch, base: 0, last: 1, skips: [] })
  await good(
    'states of two epochs',
    {
      epoch,
      base: 3,
      last: 9,
      skips: [
        [5, 6],
        [8, 9],
      ],
    },
    {
      epoch: second,
      base: 70_000,
      last: 70_000,
      skips: [[1, 4]],
    },
  )
  await good('the state of a full epoch', { epoch, base: LAST, last: LAST, skips: [] })
  await good('1,024 ranges of skips', { epoch, base: 0, last: 9_999, skips: comb(0, 1_024) })
  const id = bytesOf(epoch)
  const bad = (name: string, ...list: unknown[]): void =>
    maker.bad({ ...about, name }, 'malformed', frameOf(FrameType.states, encode(list)))
  bad('a base above the last number', [id, 2, 1, [0, []]])
  bad('a skip above the last number', [id, 0, 4, [0, [4, 1]]])
  bad('1,025 ranges of skips', [id, 0, 9_999, combWire(0, 1_025)])
  bad('a last number beyond 2^48 - 1', [id, 0, 2 ** 48, [0, []]])
  bad('a state of three items', [id, 0, 1])
  bad('a state of an epoch of 17 bytes', [new Uint8Array(17), 0, 1, [0, []]])
  bad('129 states', ...epochs(129).map(one => [bytesOf(one), 0, 1, [0, []]]))
  maker.bad({ ...about, name: 'states that are a map' }, 'malformed', joined('13', 'a0'))
}

async function others(maker: Maker): Promise<void> {
  const unknown = { ...between, kind: 'unknown' } as const
  await maker.good({ ...unknown, name: 'no unknown epoch' }, { epochs: [] })
  await maker.good({ ...unknown, name: '128 unknown epochs' }, { epochs: epochs(128) })
  const bad = (name: string, value: unknown): void =>
    maker.bad({ ...unknown, name }, 'malformed', frameOf(FrameType.unknownEpochs, encode(value)))
  bad('129 unknown epochs', epochs(129).map(bytesOf))
  bad('an unknown epoch of 15 bytes', [new Uint8Array(15)])
  bad('an unknown epoch as text', epochs(1))
  bad('unknown epochs that are none', null)

  const lost = { ...between, kind: 'lost-key' } as const
  const two = epochs(2)
  const frame = await maker.good({ ...lost, name: 'the key of two epochs is lost' }, { epochs: two })
  await maker.good({ ...lost, name: 'the key of no epoch is lost' }, { epochs: [] })
  const wrong = (name: string, reason: string, bytes: Uint8Array): void =>
    maker.bad({ ...lost, name: `a lost key ${name}` }, reason, bytes)
  const said = async (by: typeof ada, mesh: string, author: string, label: string = LOST_KEY_LABEL) => {
    const signature = await by.sign(label, lostKeyBody(mesh, author, two))
    return frameOf(FrameType.lostKey, encode([two.map(bytesOf), signature]))
  }
  wrong('with a bit of its signature changed', 'bad-signature', flip(frame, frame.length - 1))
  wrong('with a bit of an epoch changed', 'bad-signature', flip(frame, 5))
  wrong('of another mesh', 'bad-signature', await said(bob, 'other', ada.id))
  wrong('for another author', 'bad-signature', await said(bob, MESH, cleo.id))
  wrong('by another recipient', 'bad-signature', await said(cleo, MESH, ada.id))
  wrong('signed as a card', 'bad-signature', await said(bob, MESH, ada.id, 'afp/1/card'))
  wrong('without a signature', 'malformed', frameOf(FrameType.lostKey, encode([two.map(bytesOf), new Uint8Array()])))
  wrong('of one part', 'malformed', frameOf(FrameType.lostKey, encode([two.map(bytesOf)])))
}
