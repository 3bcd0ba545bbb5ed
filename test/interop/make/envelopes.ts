/** Envelopes: numbered or not, for one recipient or several, and what nobody may take for one. */

import { encodeHeader, envelopeFrame, FrameType, frameOf } from '../../../src/delivery/frames.ts'
import { decode, encode } from '../../../src/message/codec.ts'
import { encodeMessage } from '../../../src/message/envelope.ts'
import { uuidToBytes } from '../../../src/message/ids.ts'
import { importKey } from '../../../src/security/aead.ts'
import { nonceOf } from '../../../src/security/nonce.ts'
import { pad } from '../../../src/security/padding.ts'
import { sealShared } from '../../../src/security/shared-content.ts'
import { bytesOf, openingOf, type Value } from '../cases.ts'
import { replay } from '../remake.ts'
import { messageOf } from '../values.ts'
import { agents, fixed, flip, joined, type Maker, MESH, NOW, strangers } from './maker.ts'
import { saying } from './messages.ts'

const { ada, bob, cleo } = agents
const about = { author: ada.id, self: bob.id, kind: 'envelope', opening: 'an opening' } as const
const BOTH = [bob.id, cleo.id]

interface Place {
  readonly number?: number
  readonly prev?: number
  readonly numbered?: boolean
}

export async function envelopes(maker: Maker): Promise<void> {
  const { epoch, key } = openingOf(about, maker.cases).value as { epoch: string; key: string }
  const good = (name: string, given: Value, place: Place = {}, entropy?: readonly string[], opening?: string) => {
    const message = saying(given)
    const { priority, expiresAt } = message
    const here = { ...about, name, opening: opening ?? about.opening, ...(entropy && { entropy }) }
    const { epoch } = openingOf(here, maker.cases).value as { epoch: string }
    const header = { epoch, number: 1, prev: 0, priority, expiresAt, numbered: true, ...place }
    return maker.good(here, { ...header, shared: entropy !== undefined, message })
  }
  const first = await good('the first envelope', {})
  await good('an envelope of priority 9', { priority: 9 }, { number: 7, prev: 3 })
  await good('the last envelope of an epoch', {}, { number: 2 ** 48 - 1, prev: 2 ** 48 - 2 })
  await good('an envelope beyond 2^32', {}, { number: 2 ** 32 + 5, prev: 1 })
  await good('an envelope that may be lost', { guarantee: 'at-most-once' }, { numbered: false, number: 3 })
  await good('the same, with the number of another', { guarantee: 'at-most-once' }, { numbered: false })
  await good('an envelope of another epoch', { kind: 'request' }, {}, undefined, 'another')
  await good(
    'an envelope to the newer prekey',
    { kind: 'reply', parentId: fixedId },
    {},
    undefined,
    'an opening to the newer prekey',
  )
  await good('an envelope that waits for earlier epochs', {}, {}, undefined, 'an opening with 64 earlier epochs')
  await good('an envelope with a third of a second to live', { ttl: 1 / 3 })
  await good('an envelope from the future', { timestamp: NOW + 120_000 })
  // Around the sizes that padding steps over: a message of text has that many bytes beside its text.
  const bare = encodeMessage(messageOf(saying({ content: { text: '' } }), ada.id), 'message').length
  for (const size of [254, 255, 256, 287, 288, 511, 512, 575]) {
    const text = 'x'.repeat(size - bare - 1)
    await good(`an envelope of ${size} bytes`, { content: { text } })
  }
  const shared = await good('an envelope for two', { recipients: BOTH }, {}, [fixed(0x77)])
  await good(
    'an envelope for two that may be lost',
    { recipients: BOTH, guarantee: 'at-most-once' },
    { numbered: false },
    [fixed(0x78)],
  )
  await good('an envelope for 64', { recipients: [...strangers, cleo.id, bob.id] }, {}, [fixed(0x79)])
  await spoilt(maker, first, shared)
  await wrong(maker, epoch, await importKey(bytesOf(key)))
}

const fixedId = '019b7656-c000-7000-8000-0000000000ff'

/** Good envelopes that somebody on the way has changed. */
async function spoilt(maker: Maker, first: Uint8Array, both: Uint8Array): Promise<void> {
  const bad = (name: string, reason: string, body: Uint8Array): void =>
    maker.bad({ ...about, name: `an envelope ${name}` }, reason, frameOf(FrameType.envelope, body))
  const [header, sealed] = decode(first.subarray(1)) as [Uint8Array, Uint8Array]
  const fields = decode(header) as unknown[]
  const said = (at: number, item: unknown): Uint8Array => encode([encode(fields.with(at, item)), sealed])
  bad('with a bit of its seal changed', 'undecryptable', encode([header, flip(sealed, 0)]))
  bad('with a bit of its tag changed', 'undecryptable', encode([header, flip(sealed, sealed.length - 1, 7)]))
  bad('whose seal is short', 'undecryptable', encode([header, sealed.subarray(0, 15)]))
  bad('whose seal is empty', 'undecryptable', encode([header, new Uint8Array()]))
  bad('under another number', 'undecryptable', said(4, 2))
  bad('behind another', 'undecryptable', encode([encode(fields.with(4, 2).with(5, 1)), sealed]))
  bad('of another priority', 'undecryptable', said(6, 1))
  bad('with a later end', 'undecryptable', said(7, NOW + 3_600_001))
  bad('that is not numbered any more', 'undecryptable', said(8, false))
  bad('of version 2', 'wrong-version', said(0, 2))
  bad('for another mesh', 'wrong-mesh', said(1, 'other'))
  bad('for another agent', 'wrong-recipient', said(2, cleo.publicKey))
  bad('of an epoch that nobody opened', 'unknown-epoch', said(3, bytesOf(fixed(0xff, 16))))
  bad('that has expired', 'expired', said(7, NOW - 1))
  bad('for a mesh of 65 characters', 'malformed', said(1, 'm'.repeat(65)))
  bad('for 31 bytes', 'malformed', said(2, new Uint8Array(31)))
  bad('of an epoch of 17 bytes', 'malformed', said(3, new Uint8Array(17)))
  bad('with number 0', 'malformed', said(4, 0))
  bad('with number 2^48', 'malformed', said(4, 2 ** 48))
  bad('behind itself', 'malformed', said(5, 1))
  bad('of priority 10', 'malformed', said(6, 10))
  bad('of half a priority', 'malformed', said(6, 0.5))
  bad('with half an end', 'malformed', said(7, NOW + 0.5))
  bad('that is numbered by a number', 'malformed', said(8, 1))
  bad('that is shared and has one part', 'malformed', said(9, true))
  bad('of eleven fields', 'malformed', encode([encode([...fields, null]), sealed]))
  bad('of one part', 'malformed', encode([header]))
  bad('of four parts', 'malformed', encode([header, sealed, sealed, sealed]))
  bad('whose seal is text', 'malformed', encode([header, 'sealed']))
  bad('whose header is no array', 'malformed', encode([encode(1), sealed]))
  bad('whose header has a number in two bytes', 'malformed', encode([joined('8a1801', header.subarray(2)), sealed]))
  bad('whose header has a byte more', 'malformed', encode([joined(header, '00'), sealed]))
  bad('cut short', 'malformed', first.subarray(1, -1))
  bad('with a byte more', 'malformed', joined(first.subarray(1), '00'))
  bad('without a length', 'malformed', joined('9f', first.subarray(2), 'ff'))
  bad('that is empty', 'malformed', new Uint8Array())

  const [head, own, content] = decode(both.subarray(1)) as [Uint8Array, Uint8Array, Uint8Array]
  bad('for two without its content', 'malformed', encode([head, own]))
  bad('for two with a bit of its content changed', 'undecryptable', encode([head, own, flip(content, 0)]))
  bad('for two with a bit of its key changed', 'undecryptable', encode([head, flip(own, 60), content]))
  bad('for one with content', 'malformed', encode([header, sealed, content]))
}

/** What its author sealed, and should not have. */
async function wrong(maker: Maker, epoch: string, key: Awaited<ReturnType<typeof importKey>>): Promise<void> {
  const message = messageOf(saying(), ada.id)
  const payload = encodeMessage(message, 'message')
  const { priority, expiresAt } = message
  const place = { number: 1, numbered: true }
  const plain = { mesh: MESH, destination: bob.publicKey, epoch, ...place, prev: 0, priority, expiresAt, shared: false }
  const bad = async (
    name: string,
    reason: string,
    padded: Uint8Array,
    said: Partial<typeof plain> = {},
    content?: Uint8Array,
  ): Promise<void> => {
    const header = encodeHeader({ ...plain, ...said })
    const frame = envelopeFrame(header, await key.seal(nonceOf(place), header, padded), content)
    maker.bad({ ...about, name: `an envelope ${name}` }, reason, frame)
  }
  const written = (given: Value): Uint8Array => encodeMessage(messageOf(saying(given), ada.id), 'message')
  await bad('that says another priority than its message', 'malformed', pad(payload), { priority: 1 })
  await bad('that says another end than its message', 'malformed', pad(payload), { expiresAt: expiresAt + 1 })
  await bad('for whom its message is not', 'not-for-us', pad(written({ recipients: [cleo.id] })))
  await bad('with a message from too far in the future', 'clock-skew', pad(written({ timestamp: NOW + 120_001 })), {
    expiresAt: NOW + 120_001 + 3_600_000,
  })
  await bad('with a broadcast', 'not-for-us', pad(written({ recipients: ['*'] })))
  await bad('with no message', 'malformed', pad(encode([])))
  await bad('with a message that is nested 33 deep', 'too-deep', pad(joined('81'.repeat(33), '00')))
  const padding = Uint8Array.from(pad(payload))
  await bad('without padding', 'undecryptable', payload)
  await bad('with a byte of padding more', 'undecryptable', joined(padding, '00'))
  await bad('with twice its padding', 'undecryptable', joined(padding, new Uint8Array(256)))
  await bad('with another mark in its padding', 'undecryptable', padding.with(payload.length, 0x40))
  await bad('with something behind its mark', 'undecryptable', padding.with(-1 + padding.length, 1))
  await bad('of zeros', 'undecryptable', new Uint8Array(256))

  const two = saying({ recipients: BOTH })
  const inner = encodeMessage(messageOf(two, ada.id), 'message')
  const random = () => replay({ entropy: [fixed(0x77)] })
  const { id } = message
  const sealedBy = (by: typeof ada, recipients: readonly string[], mesh: string, content: Uint8Array = inner) =>
    sealShared(by, { id, mesh, recipients }, content, random())
  const ours = await sealedBy(ada, BOTH, MESH)
  const both = async (
    name: string,
    reason: string,
    { sealed, wrapped } = ours,
    { to = BOTH as unknown, as = id, keyed = wrapped as unknown } = {},
  ): Promise<void> =>
    bad(`for two ${name}`, reason, pad(encode([uuidToBytes(as), to, keyed])), { shared: true }, sealed)
  await both('by another author', 'undecryptable', await sealedBy(cleo, BOTH, MESH))
  await both('of another mesh', 'undecryptable', await sealedBy(ada, BOTH, 'other'))
  await both('for others', 'undecryptable', await sealedBy(ada, [cleo.id, ...strangers.slice(1)], MESH), {
    to: [cleo.id, ...strangers.slice(1)],
  })
  await both('that were signed in another order', 'undecryptable', await sealedBy(ada, [cleo.id, bob.id], MESH))
  await both('with the id of another', 'undecryptable', ours, { as: fixedId })
  await both('whose message is for others', 'malformed', await sealedBy(ada, BOTH, MESH, payload))
  await both(
    'whose message is another',
    'malformed',
    await sealedBy(ada, BOTH, MESH, written({ id: fixedId, recipients: BOTH })),
  )
  await both('named in bytes', 'malformed', ours, { to: [bob.publicKey, cleo.publicKey] })
  await both('with a key in text', 'malformed', ours, { keyed: 'key' })
  await bad('for two whose key is no array', 'malformed', pad(encode(1)), { shared: true }, ours.sealed)
}
