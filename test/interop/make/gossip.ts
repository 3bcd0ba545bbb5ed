/** What authors publish, signed. */

import { ed25519 } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { concat, toHex, utf8 } from '../../../src/common/bytes.ts'
import { agentIdOf } from '../../../src/identity/keys.ts'
import { decode, encode } from '../../../src/message/codec.ts'
import { encodeMessage } from '../../../src/message/envelope.ts'
import { gossipId } from '../../../src/network/gossip.ts'
import { bytesOf, hexOf, type Value } from '../cases.ts'
import { remake, replay } from '../remake.ts'
import { messageOf } from '../values.ts'
import { topics } from './channel.ts'
import { agents, fixed, flip, joined, Maker, NOW, put, signed, world } from './maker.ts'
import { saying } from './messages.ts'

const { ada, bob } = agents
const LABEL = 'afp/1/gossip'
const TOPIC = '/afp/1/demo/topic/news'

export async function gossip(): Promise<Maker> {
  const maker = new Maker()
  const about = { kind: 'gossip', topic: TOPIC, entropy: [fixed(0x11, 8)] } as const
  /** Gossip's id is made of its bytes, so these come first. */
  const good = async (name: string, payloads: readonly string[], given: Value = {}, topic: string = TOPIC) => {
    const here = { ...about, name, topic }
    const value = { author: ada.id, time: NOW, payloads, ...given }
    const bytes = await remake({ ...here, value }, world, [])
    return maker.good(here, { ...value, id: hexOf(gossipId(topic, bytes)) })
  }
  const message = hexOf(encodeMessage(messageOf(saying({ recipients: [] }), ada.id, 'news'), 'message'))
  const small = await good('a message of a topic', [message])
  await good('a payload without a byte', [''])
  await good('256 payloads', new Array(256).fill('00'))
  await good('the oldest that is taken', ['00'], { time: NOW - 120_000 })
  await good('the newest that is taken', ['00'], { time: NOW + 120_000 })
  await good('the same on another topic', [message], {}, '/afp/1/demo/topic/other')

  const bad = (name: string, reason: string, bytes: Uint8Array, zeros?: number): void =>
    maker.bad({ name, kind: 'gossip', topic: TOPIC }, reason, bytes, zeros)
  const [body, signature] = decode(small) as [Uint8Array, Uint8Array]
  const items = decode(body) as unknown[]
  const other = (at: number, item: unknown): Promise<Uint8Array> => signed(ada, LABEL, put(items, at, item))
  bad('a bit of a payload changed', 'bad-signature', encode([flip(body, body.length - 1), signature]))
  bad('a bit of a signature changed', 'bad-signature', flip(small, small.length - 1))
  bad('gossip that another agent signed', 'bad-signature', await signed(bob, LABEL, items))
  bad('gossip signed as a card', 'bad-signature', await signed(ada, 'afp/1/card', items))
  bad('version 2', 'wrong-version', await other(0, 2))
  bad('an author who is nobody', 'malformed', await other(1, 'ada'))
  bad('gossip for another topic', 'not-for-us', await other(2, '/afp/1/demo/topic/other'))
  bad('gossip that is too old', 'clock-skew', await other(3, NOW - 120_001))
  bad('gossip from the future', 'clock-skew', await other(3, NOW + 120_001))
  bad('a time that is text', 'malformed', await other(3, `${NOW}`))
  bad('a nonce of 7 bytes', 'malformed', await other(4, replay({ entropy: [fixed(1, 7)] }).bytes(7)))
  bad('no payload', 'malformed', await other(5, []))
  bad('257 payloads', 'malformed', await other(5, new Array(257).fill(new Uint8Array())))
  bad('a payload that is text', 'malformed', await other(5, ['hello']))
  bad('seven items', 'malformed', await signed(ada, LABEL, [...items, null]))
  bad('three parts', 'malformed', encode([body, signature, null]))
  bad('gossip cut short', 'malformed', small.subarray(0, -1))
  bad('gossip with a byte more', 'malformed', joined(small, '00'))
  bad('gossip without a length', 'malformed', joined('9f', small.subarray(1), 'ff'))
  bad('gossip of more than 1 MiB', 'too-large', new Uint8Array(), 2 ** 20 + 1)
  await topics(maker)
  return maker
}

const { Point, utils } = ed25519
const numberOf = (littleEndian: Uint8Array): bigint => BigInt(`0x${toHex(littleEndian.toReversed())}`)
const littleEndian = (number: bigint): Uint8Array => bytesOf(number.toString(16).padStart(64, '0')).toReversed()
const hashOf = (r: Uint8Array, key: Uint8Array, body: Uint8Array): bigint =>
  numberOf(sha512(concat([r, key, utf8(LABEL), Uint8Array.of(0), body]))) % Point.Fn.ORDER

/** Signatures of which platforms do not agree whether they hold: the protocol says that none does. */
export async function strangeSignatures(): Promise<Maker> {
  const maker = new Maker()
  const about = { name: 'gossip', kind: 'gossip', topic: TOPIC, entropy: [fixed(0x11, 8)] } as const
  const bytes = await remake({ ...about, value: { author: ada.id, time: NOW, payloads: ['00'] } }, world, [])
  const [body] = decode(bytes) as [Uint8Array]
  const bad = (name: string, of: Uint8Array, r: Uint8Array, s: bigint): void =>
    maker.bad({ name, kind: 'gossip', topic: TOPIC }, 'bad-signature', encode([of, concat([r, littleEndian(s)])]))
  const { scalar } = utils.getExtendedPublicKey(ada.seed)
  for (const [name, hex] of [
    ['the neutral element', `01${'00'.repeat(31)}`],
    ['the neutral element with the other sign', `01${'00'.repeat(30)}80`],
    ['the neutral element and the prime', `ee${'ff'.repeat(30)}7f`],
  ] as const) {
    const r = bytesOf(hex)
    bad(`gossip whose R is ${name}`, body, r, (hashOf(r, ada.publicKey, body) * scalar) % Point.Fn.ORDER)
  }
  const secret = 123_456_789n
  const r = Point.BASE.multiply(secret).toBytes()
  for (const [name, hex] of [
    ['the neutral element', `01${'00'.repeat(31)}`],
    ['of order 2', `ec${'ff'.repeat(30)}7f`],
    ['of order 4', '00'.repeat(32)],
    ['of order 8', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'],
    ['of order 8, and the negative', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'],
    ['of order 4, and the prime', `ed${'ff'.repeat(30)}7f`],
  ] as const) {
    const key = bytesOf(hex)
    const items = put(decode(body) as unknown[], 1, agentIdOf(key))
    let count = 0
    const next = (): Uint8Array => encode(put(items, 5, [Uint8Array.of(count++)]))
    let signed = next()
    while (hashOf(r, key, signed) % 8n !== 0n) signed = next()
    bad(`gossip by a key that is ${name}`, signed, r, secret)
  }
  return maker
}
