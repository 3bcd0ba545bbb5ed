/** What a stranger sends is counted before it is built: few bytes make many values, and most of them cost more than bytes. */

import { describe, expect, test } from 'vitest'
import { systemRandom } from '../../src/common/random.ts'
import { readAcks, readEnvelope, readEpochs, readLostKey, readStates } from '../../src/delivery/frames.ts'
import { openCard } from '../../src/identity/card.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { messageItems } from '../../src/message/bounds.ts'
import { decode, encode, TAG_JSON, Tagged, tryDecode } from '../../src/message/codec.ts'
import { decodeMessage, encodeMessage } from '../../src/message/envelope.ts'
import type { Json } from '../../src/message/message.ts'
import { DEFAULT_LIMITS } from '../../src/message/validate.ts'
import { GOSSIP_BATCH_SIZE, openGossip, sealGossip } from '../../src/network/gossip.ts'
import { decodeHello } from '../../src/network/hello.ts'
import { message, RECEIVED } from '../message/messages.ts'

const MIB = 2 ** 20
/** What acknowledgements and states may have beside their type. */
const WORDS = 2 ** 16 - 1
const LIMITS = DEFAULT_LIMITS
const context = { sender: 'ada', security: RECEIVED, limits: LIMITS }

/** An array of nothing but one item, so many bytes of it. */
function arrayOf(item: readonly number[], bytes: number): Uint8Array {
  const count = Math.floor((bytes - 5) / item.length)
  const out = new Uint8Array(5 + count * item.length)
  new DataView(out.buffer).setUint32(1, count)
  out[0] = 0x9a
  for (let at = 5; at < out.length; at += item.length) out.set(item, at)
  return out
}

/** Bytes that count how often they are looked at. */
function watched(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly looks: () => number } {
  let looks = 0
  const get = (target: Uint8Array, name: string | symbol): unknown => {
    looks++
    const value: unknown = Reflect.get(target, name, target)
    return typeof value === 'function' ? value.bind(target) : value
  }
  return { bytes: new Proxy(bytes, { get }), looks: () => looks }
}

/** How often bytes are looked at until they are read, or refused. */
async function looksOf(bytes: Uint8Array, read: (bytes: Uint8Array) => unknown): Promise<number> {
  const given = watched(bytes)
  await Promise.resolve()
    .then(() => read(given.bytes))
    .catch(() => {})
  return given.looks()
}

const ITEMS: readonly [string, readonly number[]][] = [
  ['empty maps', [0xa0]],
  ['empty arrays', [0x80]],
  ['empty byte strings', [0x40]],
  ['empty texts', [0x60]],
  ['halves', [0xf9, 0x3e, 0x00]],
  ['singles', [0xfa, 0x3f, 0x80, 0x00, 0x01]],
  ['doubles', [0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a]],
  ['tags', [0xd9, 0x01, 0x06, 0x40]],
]

const gossip = (bytes: Uint8Array) => openGossip('news', bytes, { now: 0, maxBytes: MIB })

const READERS: readonly [string, number, (bytes: Uint8Array) => unknown][] = [
  ['a hello', 20_000, bytes => decodeHello(0, bytes, 'demo')],
  ['a card', 16_000, openCard],
  ['presence', MIB, tryDecode],
  ['an envelope', MIB, readEnvelope],
  ['states', MIB, readStates],
  ['unknown epochs', MIB, bytes => readEpochs(decode(bytes))],
  ['a lost key', MIB, readLostKey],
  ['a message', LIMITS.messageBytes, bytes => decodeMessage(bytes, context)],
  ['gossip', MIB, gossip],
]

describe('Nothing but small items', () => {
  test.each(ITEMS)('of %s is refused by its first bytes, whatever it is said to be', async (_what, item) => {
    for (const [kind, bytes, read] of READERS) {
      expect(await looksOf(arrayOf(item, bytes), read), kind).toBeLessThan(100)
    }
  })

  test.each(ITEMS)('of %s in many arrays is refused as soon as there are too many', async (_what, item) => {
    const nested = arrayOf([0x88, ...Array.from({ length: 8 }, () => item).flat()], 16_000)
    for (const [kind, , read] of READERS) expect(await looksOf(nested, read), kind).toBeLessThan(8_000)
  })

  test.each(ITEMS)(
    'of %s as acks or states is looked at as often as it has bytes, within the least frame',
    async (_what, item) => {
      for (const read of [readAcks, readStates]) {
        expect(await looksOf(arrayOf(item, WORDS), read)).toBeLessThan(8 * WORDS)
        expect(await looksOf(arrayOf(item, WORDS + 32), read)).toBeLessThan(100)
      }
    },
  )

  test('inside of a signed pair is refused as well, before the signature is looked at', async () => {
    for (const [, item] of ITEMS) {
      const pair = encode([arrayOf(item, MIB - 100), new Uint8Array(64)])
      expect(await looksOf(pair, gossip)).toBeLessThan(100)
      await expect(gossip(pair)).rejects.toMatchObject({ reason: 'malformed' })
    }
  })
})

describe('The largest of each kind', () => {
  const epoch = (i: number): Uint8Array => new Uint8Array(16).fill(i)
  const setOf = (ranges: number): unknown => [0, new Array(2 * ranges).fill(1)]
  test.each([
    [
      'acks',
      readAcks,
      (odd: number, sets: unknown[]) => [odd, sets.map((set, i) => [epoch(i), set, [0, []], [], [0, []]])],
    ],
    [
      'states',
      readStates,
      (odd: number, sets: unknown[]) => sets.map((set, i) => [epoch(i), i === 0 ? odd : 0, 2_048, set]),
    ],
  ] as const)('is read: %s that fill the least frame; a byte more is refused', (_what, read, wordsOf) => {
    const sets = new Array(31).fill(setOf(1_000))
    const wordsWith = (odd: number, ranges: number): Uint8Array => {
      const last = [setOf(Math.min(ranges, 1_000)), setOf(Math.max(ranges - 1_000, 0))]
      return encode(wordsOf(odd, [...sets, ...last]))
    }
    /** Words with as many ranges as there is room for: a range takes two bytes, `odd` one or two. */
    const filled = (bytes: number): Uint8Array => {
      for (const odd of [0, 24]) {
        let [least, most] = [0, 2_000]
        while (least < most) {
          const middle = (least + most) >> 1
          if (wordsWith(odd, middle).length < bytes) least = middle + 1
          else most = middle
        }
        const words = wordsWith(odd, least)
        if (words.length === bytes) return words
      }
      throw new Error(`nothing has ${bytes} bytes`)
    }
    expect(() => read(filled(WORDS))).not.toThrow()
    expect(() => read(filled(WORDS + 1))).toThrow('bytes')
  })

  test('is read: 128 unknown epochs, and lost keys', () => {
    const epochs = Array.from({ length: 128 }, (_, i) => epoch(i))
    expect(readEpochs(decode(encode(epochs)))).toHaveLength(128)
    expect(readLostKey(encode([epochs, new Uint8Array(64)])).epochs).toHaveLength(128)
  })

  test('is read: a message with all recipients, agents on its path and extensions that there may be', () => {
    const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`)
    for (const recipients of [LIMITS.recipients, 1_000]) {
      const limits = { ...LIMITS, recipients }
      const full = message({
        recipients: names('to', recipients),
        tracePath: names('by', 64),
        content: [1],
        schema: 'schema',
        parentId: '019b7656-c000-7000-8000-000000000002',
      })
      const fields = decode(encodeMessage(full, 'reply', limits), { items: 2_000 }) as unknown[]
      const extensions = Array.from({ length: 16 }, (_, i) => [i, false, Uint8Array.of(1)])
      const bytes = encode([...fields.slice(0, -1), extensions])
      expect(decodeMessage(bytes, { ...context, limits }).message).toEqual(full)
      expect(() => decode(bytes, { items: messageItems(recipients) - 1 })).toThrow('more items')
    }
  })

  test('is read: gossip with all payloads that are signed together', async () => {
    const identity = await createIdentity()
    const payloads = Array.from({ length: GOSSIP_BATCH_SIZE }, (_, i) => Uint8Array.of(i))
    const data = await sealGossip(identity, 'news', payloads, { now: 0, random: systemRandom })
    expect((await gossip(data)).payloads).toEqual(payloads)
  })

  test.each<[string, (count: number) => Json]>([
    ['whole numbers', count => new Array(count).fill(1)],
    ['halves', count => new Array(count / 2).fill(0.5)],
    ['empty objects', count => new Array(Math.floor(count / 1.5)).fill({})],
  ])('is read: JSON of nothing but %s, as much as a message has room for', (_what, make) => {
    const content = make(130_000)
    const bytes = encodeMessage(message({ content, contentType: 'application/json' }), 'message')
    expect(bytes.length).toBeGreaterThan(0.7 * LIMITS.messageBytes)
    expect(decodeMessage(bytes, context).message.content).toEqual(content)
    expect(decode(encode(new Tagged(TAG_JSON, bytes)), { items: 2 })).toBeInstanceOf(Tagged)
  })
})
