/** Cards, and the hellos and announcements that bring them. */

import { signCard } from '../../../src/identity/card.ts'
import { decode, encode } from '../../../src/message/codec.ts'
import { FrameType, frameOf } from '../../../src/network/frames.ts'
import { prekeyId } from '../../../src/security/prekeys.ts'
import { bytesOf, type Value } from '../cases.ts'
import { cardFields } from '../values.ts'
import { agents, DAY, fixed, flip, joined, Maker, MESH, NOW, prekeys, put, signed } from './maker.ts'

const { ada, bob } = agents
const LABEL = 'afp/1/card'

/** What a small card says. */
export const plain: Value = {
  id: ada.id,
  mesh: MESH,
  name: 'ada',
  description: '',
  capabilities: [],
  addresses: [],
  instance: '0011223344556677',
  seq: NOW,
  expiresAt: NOW + DAY,
  prekey: null,
}

const { privateKey: _, ...shown } = prekeys.bob
const full: Value = {
  ...plain,
  name: 'Zoë 2',
  description: 'adds numbers, and tells of it in 世界',
  capabilities: ['sum', 'convert/units'],
  addresses: ['/ip4/127.0.0.1/tcp/4001', '/dns4/relay.example/tcp/443/wss/p2p-circuit'],
  prekey: shown,
}

const most: Value = {
  ...plain,
  name: 'a'.repeat(64),
  description: '😀'.repeat(128),
  capabilities: Array.from({ length: 64 }, (_, i) => `c${i}`),
  addresses: Array.from({ length: 32 }, (_, i) => `/ip4/10.0.0.${i}/tcp/1`),
  instance: 'f'.repeat(32),
  seq: 2 ** 53 - 1,
  expiresAt: 0,
}

const cardOf = async (value: Value): Promise<Uint8Array> => (await signCard(ada, cardFields(value))).bytes

export async function cards(): Promise<Maker> {
  const maker = new Maker()
  const good = (name: string, value: Value) => maker.good({ name, kind: 'card' }, value)
  const small = await good('a small card', plain)
  await good('a card with everything', full)
  await good('a card with as much as may be', most)
  for (const name of ['東京 ナオミ 2', 'Ольга', 'Ωμέγα', '김철수 Kim', 'हिन्दी', 'x_1-y.z (2)'])
    await good(`a card of ${name}`, { ...plain, name })

  const bad = (name: string, reason: string, bytes: Uint8Array, zeros?: number): void =>
    maker.bad({ name: `a card ${name}`, kind: 'card' }, reason, bytes, zeros)
  const [body, signature] = decode(small) as [Uint8Array, Uint8Array]
  const items = decode(body) as unknown[]
  const other = async (at: number, item: unknown): Promise<Uint8Array> => signed(ada, LABEL, put(items, at, item))
  bad(
    'with a bit of its name changed',
    'bad-signature',
    encode([flip(body, Buffer.from(body).indexOf('ada')), signature]),
  )
  bad('with a bit of its signature changed', 'bad-signature', flip(small, small.length - 1))
  bad('that another agent signed', 'bad-signature', await signed(bob, LABEL, items))
  bad('signed as gossip', 'bad-signature', await signed(ada, 'afp/1/gossip', items))
  bad('with a signature of 63 bytes', 'bad-signature', encode([body, signature.subarray(1)]))
  // The order of Ed25519's group added to S: the same signature to whoever does not look.
  bad('with an S beyond the order', 'bad-signature', encode([body, beyondOrder(signature)]))
  bad('of version 2', 'malformed', await other(0, 2))
  bad('of nobody', 'malformed', await other(1, '12D3KooW'))
  bad('of a key of another kind', 'malformed', await other(1, 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N'))
  bad('whose mesh has 65 characters', 'malformed', await other(2, 'm'.repeat(65)))
  for (const [what, name] of [
    ['without a name', ''],
    ['whose name has 65 characters', 'a'.repeat(65)],
    ['whose name is in form D', 'Zoe\u0308'],
    ['whose name ends in a space', 'ada '],
    ['whose name begins with a space', '\u00a0ada'],
    ['whose name has a line break', 'a\nb'],
    ['whose name has a format character', 'a\u200db'],
    ['whose name has a star', 'a*'],
    ['whose name is of two scripts', 'аda'],
    ['whose name is of Latin, Greek and Cyrillic', 'aαб'],
    ['whose name is of Katakana and Hangul', 'ナ김'],
  ] as const)
    bad(what, 'malformed', await other(3, name))
  bad('whose name is bytes', 'malformed', await other(3, new Uint8Array(3)))
  bad('whose description has 257 characters', 'malformed', await other(4, 'd'.repeat(257)))
  bad('with 65 capabilities', 'malformed', await other(5, new Array(65).fill('c')))
  bad('with a capability of 129 characters', 'malformed', await other(5, ['c'.repeat(129)]))
  bad('with 33 addresses', 'malformed', await other(6, new Array(33).fill('/ip4/1.2.3.4')))
  bad('with an address of 513 characters', 'malformed', await other(6, ['a'.repeat(513)]))
  bad('whose instance has 33 characters', 'malformed', await other(7, 'f'.repeat(33)))
  bad('with a number below 0', 'malformed', await other(8, -1))
  bad('with a number of 2^53', 'malformed', await other(8, 2n ** 53n))
  bad('with half a number', 'malformed', await other(9, NOW + 0.5))
  bad('with a prekey of two items', 'malformed', await other(10, [new Uint8Array(8), new Uint8Array(32)]))
  bad('with a prekey of 31 bytes', 'malformed', await other(10, [new Uint8Array(8), new Uint8Array(31), NOW]))
  bad('with an item more', 'malformed', await signed(ada, LABEL, [...items, null]))
  bad('with an item less', 'malformed', await signed(ada, LABEL, items.slice(0, -1)))
  bad('of three parts', 'malformed', encode([body, signature, null]))
  bad('cut short', 'malformed', small.subarray(0, -1))
  bad('with a byte more', 'malformed', joined(small, '00'))
  bad('that is empty', 'malformed', new Uint8Array())
  bad('whose array is of no length', 'malformed', joined('9f', small.subarray(1), 'ff'))
  bad(
    'whose body has a length in four bytes',
    'malformed',
    joined('825a0000', longLength(body), body, '5840', signature),
  )
  bad('of more than 16,384 bytes', 'malformed', new Uint8Array(), 16_385)

  await hellos(maker, small)
  await presence(maker, small)
  return maker
}

/** Prekeys that agree on nothing. */
export async function prekeyCards(): Promise<Maker> {
  const maker = new Maker()
  const card = await maker.good({ name: 'a card with a prekey', kind: 'card' }, { ...plain, prekey: shown })
  const items = decode((decode(card) as [Uint8Array])[0]) as unknown[]
  for (const [name, hex] of [
    ['of zeros', '00'.repeat(32)],
    ['of one', `01${'00'.repeat(31)}`],
    ['of order 8', 'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'],
    ['of the prime', `ed${'ff'.repeat(30)}7f`],
    ['of zeros with the bit that does not count', `${'00'.repeat(31)}80`],
  ] as const) {
    const prekey = [await prekeyId(bytesOf(hex)), bytesOf(hex), NOW]
    const bytes = await signed(ada, LABEL, put(items, 10, prekey))
    maker.bad({ name: `a card with a prekey ${name}`, kind: 'card' }, 'malformed', bytes)
  }
  return maker
}

const longLength = (bytes: Uint8Array): Uint8Array => Uint8Array.of(bytes.length >> 8, bytes.length & 0xff)

const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

/** A signature with the order of the group added to its second half. */
function beyondOrder(signature: Uint8Array): Uint8Array {
  const out = Uint8Array.from(signature)
  let carry = ORDER
  for (let at = 32; at < 64; at++) {
    carry += BigInt(out[at] as number)
    out[at] = Number(carry & 0xffn)
    carry >>= 8n
  }
  return out
}

async function hellos(maker: Maker, small: Uint8Array): Promise<void> {
  const about = { kind: 'hello', peer: ada.id } as const
  await maker.good({ ...about, name: 'a hello' }, { card: plain })
  await maker.good({ ...about, name: 'a hello with everything' }, { card: full })
  const hello = (...items: unknown[]): Uint8Array => frameOf(FrameType.hello, encode(items))
  maker.foreign({ ...about, name: 'a hello with a proof' }, hello(1, MESH, small, [1, 'x']), { card: plain })
  const bad = (name: string, reason: string, frame: Uint8Array, zeros?: number): void =>
    maker.bad({ ...about, name: `a hello ${name}` }, reason, frame, zeros)
  bad('that is an envelope', 'no-hello', frameOf(16, encode([])))
  bad('that is a ping', 'no-hello', frameOf(FrameType.ping, encode(1)))
  bad('of version 2', 'wrong-version', hello(2, MESH, small, null))
  bad('of version 2 with other things', 'wrong-version', hello(2, MESH))
  bad('of version 2 and another mesh', 'wrong-version', hello(2, 'other', small, null))
  bad('for another mesh', 'wrong-mesh', hello(1, 'other', small, null))
  bad('for a mesh of bytes', 'wrong-mesh', hello(1, new Uint8Array(4), small, null))
  bad('of one item', 'malformed', hello(1))
  bad('of three items', 'malformed', hello(1, MESH, small))
  bad('of five items', 'malformed', hello(1, MESH, small, null, null))
  bad('whose card is text', 'malformed', hello(1, MESH, 'card', null))
  bad('that is a map', 'malformed', frameOf(FrameType.hello, encode({ 1: 1 })))
  bad('that is empty', 'malformed', frameOf(FrameType.hello))
  bad('that is nested 33 deep', 'too-deep', joined('00', '81'.repeat(33), '00'))
  bad('with a key twice in its proof', 'malformed', joined('0084', hello(1, MESH, small).subarray(2), 'a201000100'))
  bad(
    'with keys out of order in its proof',
    'malformed',
    joined('0084', hello(1, MESH, small).subarray(2), 'a202000100'),
  )
  bad('with an undefined proof', 'malformed', joined('0084', hello(1, MESH, small).subarray(2), 'f7'))
  bad('with a date for a proof', 'malformed', joined('0084', hello(1, MESH, small).subarray(2), 'c100'))
  bad('with a proof that is not a number', 'malformed', joined('0084', hello(1, MESH, small).subarray(2), 'f97e00'))
  bad('with a whole number as a float', 'malformed', joined('0084', hello(1, MESH, small).subarray(2), 'f93c00'))
  bad('with text that is not UTF-8', 'malformed', joined('0084', hello(1, MESH, small).subarray(2), '62c328'))
  bad('with a card of a bad signature', 'bad-signature', hello(1, MESH, flip(small, small.length - 1), null))
  bad('with a card of a bad form', 'bad-card', hello(1, MESH, encode([]), null))
  const bobs = (await signCard(bob, cardFields(plain))).bytes
  bad('with the card of another', 'bad-card', hello(1, MESH, bobs, null))
  bad('with a card for another mesh', 'wrong-mesh', hello(1, MESH, await cardOf({ ...plain, mesh: 'other' }), null))
  bad('of more than 20,480 bytes', 'too-large', joined('00'), 20_480)
}

async function presence(maker: Maker, small: Uint8Array): Promise<void> {
  const about = { kind: 'presence', author: ada.id } as const
  await maker.good({ ...about, name: 'an announcement' }, { type: 'announce', card: plain, hidden: false, n: 0 })
  await maker.good(
    { ...about, name: 'one of a hidden tab' },
    { type: 'announce', card: full, hidden: true, n: 2 ** 40 },
  )
  await maker.good({ ...about, name: 'a goodbye' }, { type: 'bye', seq: NOW })
  maker.foreign({ ...about, name: 'a goodbye with more' }, encode([1, NOW, 'later']), { type: 'bye', seq: NOW })
  maker.foreign({ ...about, name: 'an announcement with more' }, encode([0, small, false, 3, [fixed(1)]]), {
    type: 'announce',
    card: plain,
    hidden: false,
    n: 3,
  })
  const bad = (name: string, bytes: Uint8Array): void =>
    maker.bad({ ...about, name: `presence ${name}` }, 'malformed', bytes)
  const bobs = (await signCard(bob, cardFields({ ...plain, id: bob.id }))).bytes
  bad('with the card of another', encode([0, bobs, false, 0]))
  bad('with a card of a bad signature', encode([0, flip(small, small.length - 1), false, 0]))
  bad('without a number', encode([0, small, false]))
  bad('with a number below 0', encode([0, small, false, -1]))
  bad('that is hidden by a number', encode([0, small, 0, 0]))
  bad('of another type', encode([2, small, false, 0]))
  bad('that says goodbye without a number', encode([1]))
  bad('that says goodbye with text', encode([1, 'soon']))
  bad('that is no array', encode(0))
  bad('that is empty', new Uint8Array())
}
