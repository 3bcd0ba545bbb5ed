/** Golden frames whose reader has a state: a session for what comes on a channel, the book of who is there for presence. */

import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import type { Card } from '../../src/identity/card.ts'
import { isCount, signCard } from '../../src/identity/card.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { decode, encode } from '../../src/message/codec.ts'
import { encodeFrames, FrameType, frameOf } from '../../src/network/frames.ts'
import { DEFAULT_FRAME_BYTES, decodeHello, encodeHello } from '../../src/network/hello.ts'
import { PresenceBook } from '../../src/network/presence.ts'
import { Session } from '../../src/network/session.ts'
import { FakeChannel } from '../network/fake-channel.ts'
import { type Case, Refused, type Value, type World } from './cases.ts'
import { identityOf } from './remake.ts'
import { cardValue } from './values.ts'

const UPPER_TYPE = 16
const SEED = new Uint8Array(32).fill(9)

/** The card of the agent that reads here, which is none of those in the files. */
async function ownCard({ mesh, now }: World): Promise<Card> {
  const fields = { mesh, name: 'reader', description: '', capabilities: [], addresses: [], instance: '00' }
  return signCard(await createIdentity(SEED), { ...fields, seq: now, expiresAt: now + 1_000 })
}

/** The other end of a channel, with what it says of the frames that come. */
async function session(peer: string, world: World) {
  const clock = new DrivenClock(world.now)
  const channel = new FakeChannel(peer)
  const own = await ownCard(world)
  const told: { card?: Card; refused?: string; bye?: true } = {}
  const ended = new Session({
    channel,
    initiator: false,
    mesh: world.mesh,
    card: () => own,
    clock,
    maxFrameBytes: 2 ** 20,
    onOpen: (_session, card) => {
      told.card = card
    },
    onFrame: () => {},
    onClosed: () => {},
    onRefused: (_session, reason) => {
      told.refused = reason
    },
    onPong: () => {},
    onBye: () => {
      told.bye = true
    },
  })
  const receive = async (frame: Uint8Array): Promise<void> => {
    channel.receive(encodeFrames([frame]))
    await clock.advance(0)
    if (told.refused !== undefined) throw new Refused(told.refused)
  }
  return { session: ended, channel, told, receive, clock }
}

/** A hello, or a frame after it. */
export async function judgeChannelFrame(given: Case, frame: Uint8Array, world: World): Promise<Value> {
  const { kind, peer = '' } = given
  const { told, receive, channel, session: own, clock } = await session(peer, world)
  if (kind === 'hello') {
    await receive(frame)
    if (own.refusedBy !== undefined) throw new Refused('no-hello')
    if (told.card === undefined) throw new Error('the hello was neither taken nor refused')
    const { frameBytes } = decodeHello(FrameType.hello, frame.subarray(1), world.mesh)
    return { card: cardValue(told.card), ...(frameBytes === DEFAULT_FRAME_BYTES ? {} : { frameBytes }) }
  }
  const identity = await identityOf(peer, world)
  const { mesh, now } = world
  const fields = { mesh, name: 'peer', description: '', capabilities: [], addresses: [], instance: '01' }
  await receive(encodeHello(mesh, await signCard(identity, { ...fields, seq: now, expiresAt: now + 1_000 })))
  await sendExactly(own, channel, given.sent ?? { bytes: 0, frames: 0 })
  const before = channel.frames.length
  await receive(frame)
  await clock.advance(0)
  return controlValue(frame, told.bye === true, channel.frames.slice(before))
}

/** Has a session send frames until it has sent just so much. */
async function sendExactly(
  session: Session,
  channel: FakeChannel,
  { bytes, frames }: { readonly bytes: number; readonly frames: number },
): Promise<void> {
  for (let left = frames; left > 0; left--) {
    const sent = encodeFrames(channel.frames).length
    // The last one fills up; a length of two bytes goes before it.
    const size = left > 1 ? 1 : bytes - sent - 2
    await session.send(frameOf(UPPER_TYPE, new Uint8Array(size - 1)))
  }
  if (encodeFrames(channel.frames).length !== bytes) throw new Error(`not just ${bytes} bytes were sent`)
}

/** What a frame of control says, as far as the session showed that it read so. */
function controlValue(frame: Uint8Array, bye: boolean, answers: readonly Uint8Array[]): Value {
  const body = frame.subarray(1)
  switch (frame[0]) {
    case FrameType.ping: {
      const [pong] = answers
      if (pong?.[0] !== FrameType.pong) throw new Error('a ping was not answered')
      return { type: 'ping', number: numberIn(pong.subarray(1)) }
    }
    case FrameType.pong:
      return { type: 'pong', number: numberIn(body) }
    case FrameType.reading: {
      const [bytes, frames, held] = decode(body) as unknown[]
      return { type: 'reading', bytes, frames, held }
    }
    case FrameType.bye:
      if (!bye) throw new Error('a goodbye was not heard')
      return { type: 'bye' }
    case FrameType.refused:
      return { type: 'refused', reason: textIn(body) }
    default:
      // For a floor above.
      throw new Refused('malformed')
  }
}

/** A refusal that comes late is passed over, whatever it says. */
function textIn(body: Uint8Array): unknown {
  const reason = decode(body)
  if (typeof reason !== 'string') throw new Refused('malformed')
  return reason
}

/** What a ping says matters to nobody but who sent it: a session looks at it no further. */
function numberIn(body: Uint8Array): unknown {
  const number = decode(body)
  if (!isCount(number)) throw new Refused('malformed')
  return number
}

/** A payload of presence. */
export async function judgePresence(given: Case, payload: Uint8Array, world: World): Promise<Value> {
  const { author = '' } = given
  const own = await ownCard(world)
  const book = new PresenceBook({
    self: own.id,
    clock: new DrivenClock(world.now),
    random: seededRandom(1),
    card: () => own,
    hidden: () => false,
    linked: () => false,
    learn: () => true,
    publish: async () => [],
    onOnline: () => {},
    onOffline: () => {},
    onChanged: () => {},
    onTwin: () => {},
  })
  const sense = await book.received(author, payload)
  book.stop()
  if (!sense) throw new Refused('malformed')
  const [type, ...rest] = decode(payload) as unknown[]
  if (type === 1) return { type: 'bye', seq: rest[0] }
  const there = book.get(author)
  if (there === undefined) throw new Error('the announcement was not heard')
  // It is the newest: the one with its number is old now, and one more is not.
  const [card, hidden, n] = rest as [Uint8Array, boolean, number]
  await book.received(author, encode([0, card, !hidden, n]))
  const same = book.get(author)?.hidden === hidden
  await book.received(author, encode([0, card, !hidden, n + 1]))
  if (!same || book.get(author)?.hidden === hidden) throw new Error(`${n} did not count`)
  return { type: 'announce', card: cardValue(there.card), hidden, n }
}
