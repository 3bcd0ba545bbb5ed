import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { concat, utf8 } from '../../src/common/bytes.ts'
import { systemRandom } from '../../src/common/random.ts'
import { encode, Tagged } from '../../src/message/codec.ts'
import { encodeMessage } from '../../src/message/envelope.ts'
import { createIds } from '../../src/message/ids.ts'
import type { MessageFields } from '../../src/message/message.ts'
import { Message } from '../../src/message/message.ts'
import { frameOf } from '../../src/network/frames.ts'
import { sealGossip } from '../../src/network/gossip.ts'
import type { RefusalReason } from '../../src/network/network.ts'
import { presenceTopic, topicOf } from '../../src/network/topics.ts'
import { turn } from '../contracts/waiting.ts'
import { cardOf, hello, RawPeer } from './raw-peer.ts'
import { collect, until } from './waiting.ts'
import { type AgentWorld, acquainted, loopbackWorld } from './worlds.ts'

let world: AgentWorld
let ada: Agent
let bob: Agent
const raws: RawPeer[] = []
const ids = createIds({ clock: { now: () => Date.now() } as never, random: systemRandom })

beforeAll(async () => {
  world = await loopbackWorld()
  ada = await world.join('ada')
  bob = await world.join('bob')
  await acquainted([ada, bob])
  ada.handle({ contentType: 'application/x-echo' }, ({ content }) => content)
})
afterEach(async () => {
  // Whatever a stranger did: the others go on as before.
  const { content } = await bob.request('ada', 'are you well?', { contentType: 'application/x-echo' })
  expect(content).toBe('are you well?')
  await Promise.all(raws.splice(0).map(raw => raw.stop()))
  ada.receiveAll()
})
afterAll(() => world.close())

async function keep(raw: Promise<RawPeer>): Promise<RawPeer> {
  raws.push(await raw)
  return raw
}

/** A message of a peer to ada as it travels, right except for what is given. */
function envelope(
  from: RawPeer,
  fields: Partial<MessageFields> = {},
  kind: 'message' | 'request' | 'reply' = 'message',
) {
  const message = new Message({
    id: ids(),
    sender: from.id,
    recipients: [ada.id],
    contentType: 'text/plain',
    content: 'x',
    metadata: {},
    timestamp: Date.now(),
    ttl: 60,
    tracePath: [from.id],
    guarantee: 'at-most-once',
    priority: 0,
    security: { level: 'none', authenticatedBy: 'none', roles: [] },
    ...fields,
  })
  return encodeMessage(message, kind)
}

const messageFrame = (from: RawPeer, bytes: Uint8Array): Uint8Array => from.sealed(bytes)

/** The fields of an envelope with one of them replaced. */
function parts(at: number, value: unknown): unknown[] {
  const json = new Tagged(262, utf8('{}'))
  const fields: unknown[] = [1, 0, systemRandom.bytes(16), [ada.id], 'text/plain', 'x', json, null, Date.now(), 60]
  return [...fields, 0, 0, null, []].with(at, value)
}

const nested = (depth: number): unknown => (depth === 0 ? 0 : [nested(depth - 1)])

describe('A stranger', () => {
  test('that says a proper hello is a member, is told of the other, and its messages arrive', async () => {
    const raw = await keep(RawPeer.dialled(ada))
    const online = until(ada, 'peer:online', ({ card }) => card.id === raw.id)
    raw.send(hello({ card: raw.card.bytes }), raw.opening, messageFrame(raw, envelope(raw, { content: 'hi' })))
    expect((await online).card.name).toBe('raw')
    expect(await ada.receive()).toMatchObject({ sender: raw.id, content: 'hi' })
    expect((await raw.frame(0)).length).toBeGreaterThan(100)
  })

  const others = cardOf({
    id: '',
    publicKey: new Uint8Array(),
    seed: new Uint8Array(),
    sign: async () => new Uint8Array(64),
  })

  test.each<[string, RefusalReason, (raw: RawPeer) => Uint8Array | Promise<Uint8Array>]>([
    ["another's card", 'bad-card', async () => hello({ card: bob.card.bytes })],
    [
      'a card for another mesh',
      'wrong-mesh',
      async raw => hello({ card: (await cardOf(raw.identity, 'other')).bytes }),
    ],
    ['a card that is tampered with', 'bad-signature', raw => hello({ card: tampered(raw.card.bytes) })],
    ['a card without an id', 'bad-card', async () => hello({ card: (await others).bytes })],
    ['no card', 'malformed', () => hello({ card: null })],
    ['another mesh', 'wrong-mesh', raw => hello({ mesh: 'other', card: raw.card.bytes })],
    ['another version', 'wrong-version', raw => hello({ version: 2, card: raw.card.bytes })],
    ['too many fields', 'malformed', raw => hello({ card: raw.card.bytes, rest: [null, null] })],
    ['nothing but garbage', 'malformed', () => frameOf(0, Uint8Array.of(0xff, 0x00, 0x9f))],
    ['an empty hello', 'malformed', () => frameOf(0)],
    ['a hello too deep', 'too-deep', () => frameOf(0, encode(nested(40)))],
    [
      'a hello with the same key twice',
      'malformed',
      () => frameOf(0, Uint8Array.of(0xa2, 0x61, 0x61, 0, 0x61, 0x61, 0)),
    ],
    ['a hello too large', 'too-large', () => new Uint8Array(20_481)],
    ['a message before a hello', 'no-hello', raw => messageFrame(raw, envelope(raw))],
    ['a ping before a hello', 'no-hello', () => frameOf(2)],
  ])('that says %s is refused as %s, told so, and nothing of it is believed', async (_what, reason, frame) => {
    const raw = await keep(RawPeer.dialled(ada))
    const refused = until(ada, 'refused', ({ peer }) => peer === raw.id)
    raw.send(await frame(raw), raw.opening, messageFrame(raw, envelope(raw, { content: 'believe me' })))
    expect(await refused).toMatchObject({ peer: raw.id, reason })
    expect(await raw.refusal()).toBe(reason)
    await raw.ended.promise
    expect(ada.peers().find(({ card }) => card.id === raw.id)).toBeUndefined()
    expect(ada.receiveAll()).toEqual([])
    expect(ada.metrics.counter('refused', { reason }).value).toBeGreaterThan(0)
    expect(ada.peers().find(({ card }) => card.id === bob.id)?.link).toBeDefined()
  })

  test.each<[string, RefusalReason, number[]]>([
    ['of 2 GiB', 'too-large', [0xff, 0xff, 0xff, 0xff, 0x07]],
    ['of nothing', 'malformed', [0x00]],
    ['in more bytes than it needs', 'malformed', [0x81, 0x00]],
  ])('that announces a frame %s is refused as %s before anything is allocated', async (_what, reason, bytes) => {
    const raw = await keep(RawPeer.dialled(ada))
    raw.sendRaw(Uint8Array.from(bytes))
    expect(await raw.refusal()).toBe(reason)
    await raw.ended.promise
  })
})

describe('A member of the mesh', () => {
  test.each<[string, RefusalReason, (raw: RawPeer) => Uint8Array]>([
    ['garbage', 'malformed', raw => messageFrame(raw, Uint8Array.of(1, 2, 3))],
    ['nothing', 'malformed', raw => messageFrame(raw, new Uint8Array())],
    ['another version of a message', 'malformed', raw => messageFrame(raw, encode(parts(0, 2)))],
    ['an unknown kind', 'malformed', raw => messageFrame(raw, encode(parts(1, 9)))],
    ['too many fields', 'malformed', raw => messageFrame(raw, encode([...parts(0, 1), 'bob']))],
    ['a short id', 'malformed', raw => messageFrame(raw, encode(parts(2, new Uint8Array(15))))],
    ['an unknown guarantee', 'malformed', raw => messageFrame(raw, encode(parts(10, 3)))],
    ['a priority of 10', 'malformed', raw => messageFrame(raw, encode(parts(11, 10)))],
    ['a time to live of no end', 'malformed', raw => messageFrame(raw, encode(parts(9, 1e300)))],
    ['metadata that is a list', 'malformed', raw => messageFrame(raw, encode(parts(6, new Tagged(262, utf8('[]')))))],
    ['the same key twice', 'malformed', raw => messageFrame(raw, Uint8Array.of(0xa2, 0x61, 0x61, 0, 0x61, 0x61, 0))],
    [
      '65 recipients',
      'malformed',
      raw =>
        messageFrame(
          raw,
          encode(
            parts(
              3,
              Array.from({ length: 65 }, (_, i) => `a${i}`),
            ),
          ),
        ),
    ],
    ['content that is nested too deep', 'too-deep', raw => messageFrame(raw, encode(parts(5, nested(40))))],
    ['a message above the limit', 'too-large', raw => messageFrame(raw, encode(parts(5, new Uint8Array(262_144))))],
    ['a message for somebody else', 'not-for-us', raw => messageFrame(raw, envelope(raw, { recipients: [bob.id] }))],
    ['a broadcast for one', 'malformed', raw => messageFrame(raw, envelope(raw, { recipients: ['*', ada.id] }))],
    ['an expired message', 'expired', raw => messageFrame(raw, envelope(raw, { timestamp: Date.now() - 61_000 }))],
    [
      'a message from the future',
      'clock-skew',
      raw => messageFrame(raw, envelope(raw, { timestamp: Date.now() + 200_000 })),
    ],
    ['a reply to nothing', 'unsolicited', raw => messageFrame(raw, envelope(raw, { parentId: ids() }, 'reply'))],
    ['a reply without a parent', 'malformed', raw => messageFrame(raw, envelope(raw, {}, 'reply'))],
    ['a frame of a type to come', 'wrong-version', () => frameOf(99, utf8('x'))],
  ])('that sends %s is refused as %s, and what it sends next is judged by itself', async (_what, reason, frame) => {
    const raw = await keep(RawPeer.member(ada))
    const refused = until(ada, 'refused', ({ peer }) => peer === raw.id)
    raw.send(frame(raw), messageFrame(raw, envelope(raw, { content: 'next' })))
    expect(await refused).toMatchObject({ peer: raw.id, reason })
    expect(await ada.receive()).toMatchObject({ sender: raw.id, content: 'next' })
    expect(ada.receiveAll()).toEqual([])
  })

  test.each<[string, RefusalReason, () => Uint8Array]>([
    ["a frame of the network's own that it does not know", 'malformed', () => frameOf(9)],
    ['a second hello', 'malformed', () => hello({})],
    ['a ping of 100 bytes', 'too-large', () => frameOf(2, new Uint8Array(100))],
    ['a frame above the limit', 'too-large', () => frameOf(16, new Uint8Array(2 ** 20))],
  ])('that sends %s loses its channel for it', async (_what, reason, frame) => {
    const raw = await keep(RawPeer.member(ada))
    raw.send(frame())
    expect(await raw.refusal()).toBe(reason)
    await raw.ended.promise
  })

  test('that sends the same message twice is heard once', async () => {
    const raw = await keep(RawPeer.member(ada))
    const refused = until(ada, 'refused', ({ peer }) => peer === raw.id)
    const frame = messageFrame(raw, envelope(raw))
    raw.send(frame, frame)
    expect(await refused).toMatchObject({ reason: 'duplicate' })
    await ada.receive()
    expect(ada.receiveAll()).toEqual([])
  })
})

describe('known faults of the example code in the published specification', () => {
  test('nobody says who the sender is: it is whoever the connection proves', async () => {
    const raw = await keep(RawPeer.member(ada))
    raw.send(messageFrame(raw, envelope(raw, { sender: bob.id, tracePath: [bob.id] })))
    expect(await ada.receive()).toMatchObject({
      sender: raw.id,
      security: { authenticatedBy: 'signature', level: 'high' },
    })
  })

  test('a reply that another agent forges is refused, and the honest one counts', async () => {
    const raw = await keep(RawPeer.member(ada))
    const gate = Promise.withResolvers<string>()
    const asked = Promise.withResolvers<string>()
    using _ = bob.handle(message => {
      asked.resolve(message.id)
      return gate.promise
    })
    const answer = ada.request('bob', 'whom do I believe?')
    const refused = until(ada, 'refused', ({ peer }) => peer === raw.id)
    raw.send(messageFrame(raw, envelope(raw, { parentId: await asked.promise, content: 'me' }, 'reply')))
    expect(await refused).toMatchObject({ reason: 'unsolicited' })
    gate.resolve('me, bob')
    expect(await answer).toMatchObject({ sender: bob.id, content: 'me, bob' })
  })

  test('nobody publishes for another: gossip that its author did not sign reaches nobody', async () => {
    const raw = await keep(RawPeer.member(ada))
    const topic = topicOf('demo', 'news')
    const seen: unknown[] = []
    using _ = ada.subscribe({ topic: 'news' }, ({ content, sender }) => void seen.push([sender, content]))
    const refused = collect(ada, 'refused')
    const { pubsub } = raw.node.services
    pubsub.subscribe(topic)
    while (!pubsub.getSubscribers(topic).some(peer => peer.toString() === ada.id)) await turn()
    const payload = (content: string): Uint8Array => envelope(raw, { recipients: [], topic: 'news', content })
    const options = { now: Date.now(), random: systemRandom }
    const forged = { ...raw.identity, id: bob.id }
    await pubsub.publish(topic, utf8('garbage'))
    await pubsub.publish(topic, await sealGossip(forged, topic, [payload('as bob')], options))
    await pubsub.publish(topic, await sealGossip(raw.identity, topicOf('demo', 'old'), [payload('moved')], options))
    await pubsub.publish(topic, await sealGossip(raw.identity, topic, [payload('old')], { ...options, now: 1 }))
    await pubsub.publish(topic, await sealGossip(raw.identity, topic, [payload('as myself')], options))
    while (seen.length === 0) await turn()
    expect(seen).toEqual([[raw.id, 'as myself']])
    const reasons = refused.filter(({ peer }) => peer === raw.id).map(({ reason }) => reason)
    expect(reasons.sort()).toEqual(['bad-signature', 'clock-skew', 'malformed', 'not-for-us'])
  })

  test('nobody announces another: presence takes a card from its own agent only', async () => {
    const raw = await keep(RawPeer.member(ada))
    const presence = presenceTopic('demo')
    const { pubsub } = raw.node.services
    pubsub.subscribe(presence)
    while (!pubsub.getSubscribers(presence).some(peer => peer.toString() === ada.id)) await turn()
    const refused = until(ada, 'refused', ({ peer }) => peer === raw.id)
    const payload = encode([0, bob.card.bytes, true, 0])
    await pubsub.publish(
      presence,
      await sealGossip(raw.identity, presence, [payload], { now: Date.now(), random: systemRandom }),
    )
    expect(await refused).toMatchObject({ reason: 'malformed' })
    expect(ada.peers().find(({ card }) => card.id === bob.id)).toMatchObject({ hidden: false, online: true })
  })
})

/** The last byte, which belongs to the signature, changed. */
const tampered = (bytes: Uint8Array): Uint8Array =>
  concat([bytes.subarray(0, -1), Uint8Array.of((bytes.at(-1) ?? 0) ^ 1)])
