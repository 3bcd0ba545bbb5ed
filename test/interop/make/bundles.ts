/** Bundles: messages at most once that are sealed as one, and what nobody may take for them. */

import { encodeHeader, envelopeFrame } from '../../../src/delivery/frames.ts'
import { encode } from '../../../src/message/codec.ts'
import { encodeMessage } from '../../../src/message/envelope.ts'
import { uuidToBytes } from '../../../src/message/ids.ts'
import { importKey } from '../../../src/security/aead.ts'
import { nonceOf } from '../../../src/security/nonce.ts'
import { pad } from '../../../src/security/padding.ts'
import { sealShared } from '../../../src/security/shared-content.ts'
import { bytesOf, openingOf, type Value } from '../cases.ts'
import { replay } from '../remake.ts'
import { messageOf } from '../values.ts'
import { make } from './delivery.ts'
import { agents, fixed, flip, joined, Maker, MESH, NOW } from './maker.ts'
import { saying } from './messages.ts'

const { ada, bob, cleo } = agents
const about = { author: ada.id, self: bob.id, kind: 'envelope', opening: 'an opening' } as const

const idOf = (i: number): string => `019b7656-c000-7000-8000-${(i + 0x100).toString(16).padStart(12, '0')}`

/** The message at a place of a bundle. */
const short = (i: number, given: Value = {}): Value =>
  saying({ id: idOf(i), guarantee: 'at-most-once', content: { text: `${i}` }, ...given })

const written = (message: Value): Uint8Array => encodeMessage(messageOf(message, ada.id), 'message')

export async function bundles(): Promise<Maker> {
  const maker = new Maker()
  const { entropy, value } = await make({})
  await maker.good({ author: ada.id, self: bob.id, kind: 'opening', name: 'an opening', entropy }, value)
  const { epoch, key } = openingOf(about, maker.cases).value as { epoch: string; key: string }
  const header = (messages: readonly Value[], number = 1) => ({
    epoch,
    number,
    prev: 0,
    priority: (messages[0]?.priority as number | undefined) ?? 0,
    expiresAt: Math.max(...messages.map(({ expiresAt }) => expiresAt as number)),
    numbered: false,
    shared: false,
  })
  const good = (name: string, messages: readonly Value[], number?: number): Promise<Uint8Array> =>
    maker.good({ ...about, name }, { ...header(messages, number), messages })
  const pair = [short(0), short(1)]
  const two = await good('a bundle of two messages', pair)
  await good(
    'a bundle of priority 9 with a number of its own',
    [0, 1, 2].map(i => short(i, { priority: 9 })),
    258,
  )
  await good('a bundle whose messages end at different times', [
    short(0, { ttl: 1 }),
    short(1, { ttl: 7_200 }),
    short(2, { ttl: 1 / 3 }),
  ])
  await good('a bundle of requests, replies and failures', [
    short(0, { kind: 'request' }),
    short(1, { kind: 'reply', parentId: idOf(9) }),
    short(2, { kind: 'failure', parentId: idOf(9) }),
  ])
  for (const count of [23, 24, 256]) {
    await good(
      `a bundle of ${count} messages`,
      Array.from({ length: count }, (_, i) => short(i)),
    )
  }
  await wrong(maker, header(pair), await importKey(bytesOf(key)), pair)
  maker.bad({ ...about, name: 'a bundle with a bit of its seal changed' }, 'undecryptable', flip(two, two.length - 20))
  return maker
}

/** What its author sealed, and should not have; what of it is taken all the same. */
async function wrong(
  maker: Maker,
  plain: { epoch: string; number: number; prev: number; priority: number; expiresAt: number } & Value,
  key: Awaited<ReturnType<typeof importKey>>,
  pair: readonly Value[],
): Promise<void> {
  const sealed = async (plaintext: Uint8Array, said: Value = {}, content?: Uint8Array): Promise<Uint8Array> => {
    const header = { ...plain, mesh: MESH, destination: bob.publicKey, numbered: false, shared: false, ...said }
    const bytes = encodeHeader(header as Parameters<typeof encodeHeader>[0])
    return envelopeFrame(bytes, await key.seal(nonceOf(header), bytes, pad(plaintext)), content)
  }
  const bad = async (name: string, reason: string, ...given: Parameters<typeof sealed>): Promise<void> =>
    maker.bad({ ...about, name: `a bundle ${name}` }, reason, await sealed(...given))
  const both = pair.map(written)
  const [one = new Uint8Array()] = both
  const whole = encode(both)
  await bad('of no message', 'malformed', encode([]))
  await bad('of one message', 'malformed', encode([one]))
  await bad('of 257 messages', 'malformed', encode(Array.from({ length: 257 }, () => Uint8Array.of(1))))
  await bad('of text', 'malformed', encode(['one', 'two']))
  await bad('with a number in it', 'malformed', encode([one, 1]))
  await bad('that begins with a number', 'malformed', encode([1, one]))
  await bad('with a message that is no byte string', 'malformed', joined('82', encode(one), one))
  await bad('with an empty array in it', 'malformed', encode([one, []]))
  await bad('in which something is nested 33 deep', 'too-deep', joined('82', encode(one), '81'.repeat(33), '00'))
  await bad('cut short', 'malformed', whole.subarray(0, -1))
  await bad('with a byte more', 'malformed', joined(whole, '00'))
  await bad('without a length', 'malformed', joined('9f', whole.subarray(1), 'ff'))
  await bad('with its count in two bytes', 'malformed', joined('9802', whole.subarray(1)))
  await bad('in a map', 'malformed', encode(new Map(both.map((each, i) => [i, each]))))
  await bad('that is numbered', 'malformed', whole, { numbered: true })
  const recipients = [bob.id, cleo.id]
  const id = idOf(0)
  const shared = await sealShared(ada, { id, mesh: MESH, recipients }, whole, replay({ entropy: [fixed(0x77)] }))
  const inner = encode([uuidToBytes(id), recipients, shared.wrapped])
  await bad('for two', 'malformed', inner, { shared: true }, shared.sealed)

  const partly = async (name: string, reason: string, payload: Uint8Array): Promise<void> => {
    const [first, last] = pair
    const messages = [first, { refused: reason }, last] as Value[]
    const frame = await sealed(encode([one, payload, both[1]]))
    maker.foreign({ ...about, name: `a bundle with a message ${name}` }, frame, { ...plain, messages })
  }
  await partly('that makes no sense', 'malformed', encode([]))
  await partly('that is empty', 'malformed', new Uint8Array())
  await partly('of another priority', 'malformed', written(short(2, { priority: 1 })))
  await partly('that ends a millisecond after its header', 'malformed', written(short(2, { ttl: 3_600.001 })))
  await partly('for others', 'not-for-us', written(short(2, { recipients: [cleo.id] })))
  await partly('that has expired', 'expired', written(short(2, { timestamp: NOW - 2_000, ttl: 1 })))
  await partly('from too far in the future', 'clock-skew', written(short(2, { timestamp: NOW + 120_001, ttl: 1 })))
  await partly('that is a bundle', 'malformed', whole)
}
