/** Reads a golden frame with this package's own functions, those that read what comes from outside. */

import { Inbound, type InboundParts } from '../../src/agent/inbound.ts'
import { reasonOf } from '../../src/agent/outcomes.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { AfpError } from '../../src/common/errors.ts'
import {
  FrameType,
  LOST_KEY_LABEL,
  lostKeyBody,
  readAcks,
  readEnvelope,
  readEpochs,
  readLostKey,
  readStates,
} from '../../src/delivery/frames.ts'
import { DEFAULT_INBOX, InboxRoom } from '../../src/delivery/inbox-room.ts'
import { Incoming } from '../../src/delivery/incoming.ts'
import { readAck, readState } from '../../src/feed/wire.ts'
import { openCard } from '../../src/identity/card.ts'
import { verifySignature } from '../../src/identity/keys.ts'
import { decode } from '../../src/message/codec.ts'
import { decodeMessage, type MessageKind } from '../../src/message/envelope.ts'
import type { Message } from '../../src/message/message.ts'
import { DEFAULT_LIMITS } from '../../src/message/validate.ts'
import { FrameReader } from '../../src/network/frames.ts'
import { gossipId, openGossip } from '../../src/network/gossip.ts'
import { Refusal } from '../../src/network/refusal.ts'
import { parseTopic, presenceTopic, topicOf } from '../../src/network/topics.ts'
import { readOpening } from '../../src/security/opening.ts'
import type { OwnPrekey } from '../../src/security/prekeys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import {
  bytesOf,
  type Case,
  frameIn,
  hexOf,
  type Kind,
  type Outcome,
  openingOf,
  Refused,
  type Value,
  type World,
} from './cases.ts'
import { judgeChannelFrame, judgePresence } from './judge-live.ts'
import { identityOf } from './remake.ts'
import { cardValue, messageValue, withPairs } from './values.ts'

/** The frames of delivery, which it tells apart by their types. */
const TYPES: Partial<Readonly<Record<Kind, number>>> = {
  envelope: FrameType.envelope,
  opening: FrameType.opening,
  acks: FrameType.acks,
  states: FrameType.states,
  unknown: FrameType.unknownEpochs,
  'lost-key': FrameType.lostKey,
}

/** What a frame says, or why it is refused. @throws what is no refusal */
export async function judge(given: Case, world: World, cases: readonly Case[]): Promise<Outcome> {
  try {
    return { value: await read(given, frameIn(given), world, cases) }
  } catch (error) {
    const refused = error instanceof Refused || error instanceof Refusal ? error.reason : reasonIn(error)
    if (typeof refused !== 'string') throw error
    return { refused }
  }
}

const reasonIn = (error: unknown): unknown => (error instanceof AfpError ? error.details.reason : undefined)

async function read(given: Case, frame: Uint8Array, world: World, cases: readonly Case[]): Promise<Value> {
  const type = TYPES[given.kind]
  if (type !== undefined && frame[0] !== type) throw new Refused('malformed')
  const body = frame.subarray(1)
  const { mesh, now } = world
  const { author = '', self = '' } = given
  switch (given.kind) {
    case 'card':
      return cardValue(await openCard(frame))
    case 'message': {
      const context = { sender: 'somebody', topic: given.topic, security: NOTHING, limits: DEFAULT_LIMITS }
      const { message, kind } = decodeMessage(frame, context)
      return messageValue(message, kind)
    }
    case 'gossip': {
      const topic = given.topic as string
      const batch = await openGossip(topic, frame, { now, maxBytes: DEFAULT_LIMITS.frameBytes })
      return { ...batch, payloads: batch.payloads.map(hexOf), id: hexOf(gossipId(topic, frame)) }
    }
    case 'presence':
      return judgePresence(given, frame, world)
    case 'channel':
      return { frames: cut(frame, given.limit as number) }
    case 'hello':
    case 'control':
      return judgeChannelFrame(given, frame, world)
    case 'opening':
      return readOpeningCase(given, body, world)
    case 'envelope':
      return readEnvelopeCase(given, body, world, cases)
    case 'acks': {
      const { credit, acks } = readAcks(body)
      return { credit, acks: acks.map(ack => ({ epoch: ack.epoch, ...withPairs(readAck(ack)) })) }
    }
    case 'states':
      return { states: readStates(body).map(state => withPairs(readState(state))) }
    case 'unknown':
      return { epochs: readEpochs(decode(body)) }
    case 'lost-key': {
      const { epochs, signature } = readLostKey(body)
      if (await verifySignature(self, LOST_KEY_LABEL, lostKeyBody(mesh, author, epochs), signature)) return { epochs }
      throw new Refused('bad-signature')
    }
    case 'topic': {
      const { topicName } = given
      const topic = topicName === undefined ? presenceTopic(mesh) : topicOf(mesh, topicName)
      const back = parseTopic(topic)
      if (back?.mesh !== mesh || back.name !== topicName) throw new Error(`${topic} is not read as what it stands for`)
      return { topic }
    }
  }
}

const NOTHING = { level: 'none', authenticatedBy: 'none', roles: [] } as const

function cut(bytes: Uint8Array, limit: number): Value[] {
  const frames: Value[] = []
  const reader = new FrameReader(
    limit,
    frame => frames.push({ type: frame[0], body: hexOf(frame.subarray(1)) }),
    fault => {
      throw new Refused(fault)
    },
  )
  // Byte by byte: a frame is the same however it comes.
  for (let at = 0; at < bytes.length; at++) reader.push(bytes.subarray(at, at + 1))
  return frames
}

/** This agent's prekeys, as its ring has them. */
function prekeysOf({ prekeys }: World): { find(id: Uint8Array): OwnPrekey | undefined } {
  return {
    find: id => {
      const found = Object.values(prekeys).find(prekey => prekey.id === hexOf(id))
      if (found === undefined) return undefined
      const { privateKey, publicKey, notAfter } = found
      return { id, privateKey: bytesOf(privateKey), publicKey: bytesOf(publicKey), notAfter, madeAt: 0 }
    },
  }
}

/** A recipient of an author, and what it says of what comes. */
async function recipient({ author = '', self = '' }: Case, world: World) {
  const clock = new DrivenClock(world.now)
  const refused: string[] = []
  /** What each message says, or why it is refused. */
  const taken: Value[] = []
  const take = ({ message, kind }: { message: Message; kind: MessageKind }): void =>
    void taken.push(messageValue(message, kind))
  const readable = new Set<string>()
  const unexpected = (...what: unknown[]): void => {
    throw new Error('not expected here', { cause: what })
  }
  const nothing = (): void => {}
  const { signal } = new AbortController()
  const inbound = new Inbound({ self, clock, signal, limits: DEFAULT_LIMITS, hooks: {} } as unknown as InboundParts)
  const incoming = new Incoming(
    {
      identity: await identityOf(self, world),
      mesh: world.mesh,
      store: memoryStore(),
      clock,
      limits: DEFAULT_LIMITS,
      prekeys: prekeysOf(world),
      answers: { ack: nothing, again: nothing, unknown: nothing, lostKey: nothing },
      readable,
      room: new InboxRoom(DEFAULT_INBOX, clock),
      judge: message => inbound.judge(message),
      onReleased: arrived => arrived.forEach(take),
      onExpired: unexpected,
      onOnce: (message, kind) => take({ message, kind }),
      onRefused: (_author, reason) => void refused.push(reason),
      onRejected: (_author, error) => void taken.push({ refused: reasonOf(error) }),
      onHole: unexpected,
      onLost: nothing,
      onError: unexpected,
    },
    author,
  )
  return { incoming, refused, taken, readable }
}

async function readOpeningCase(given: Case, packet: Uint8Array, world: World): Promise<Value> {
  const { incoming, refused, readable } = await recipient(given, world)
  await incoming.opening(packet)
  if (refused[0] !== undefined) throw new Refused(refused[0])
  const { self = '' } = given
  const options = { self, mesh: world.mesh, prekeys: prekeysOf(world), now: world.now, skew: 120_000 }
  const { epoch, author, key, notAfter, earlier } = await readOpening(packet, options)
  if (!readable.has(epoch)) throw new Error('it was neither taken nor refused')
  // Which prekey it is to is in its place of the body, and stands in no result.
  const [body] = decode(packet) as [Uint8Array]
  const [, , , , , , prekey] = decode(body) as [...unknown[]]
  return { epoch, author, key: hexOf(key as Uint8Array), prekey: hexOf(prekey as Uint8Array), notAfter, earlier }
}

async function readEnvelopeCase(given: Case, body: Uint8Array, world: World, cases: readonly Case[]): Promise<Value> {
  const { incoming, refused, taken } = await recipient(given, world)
  const opening = openingOf(given, cases)
  await incoming.opening(bytesOf(opening.bytes).subarray(1))
  if (refused[0] !== undefined) throw new Error(`its opening is refused: ${refused[0]}`)
  await incoming.envelope(body)
  if (refused[0] !== undefined) throw new Refused(refused[0])
  const { mesh: _, destination: __, ...header } = readEnvelope(body).header
  // What came before it is settled: it is handed on at once.
  const { epoch, number } = header
  if (header.numbered) await incoming.states([{ epoch, base: number - 1, last: number, skips: [0, []] }])
  const [message] = taken
  if (message === undefined) throw new Error('it was neither taken nor refused')
  // Of a bundle each stands for itself.
  if (taken.length > 1) return { ...header, messages: taken }
  if (typeof message.refused === 'string') throw new Refused(message.refused)
  return { ...header, message }
}
