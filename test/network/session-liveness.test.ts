import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import type { Card } from '../../src/identity/card.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { decode, encode } from '../../src/message/codec.ts'
import type { Channel, LinkTransport } from '../../src/network/carrier.ts'
import { encodeFrames, FrameType, frameOf } from '../../src/network/frames.ts'
import { encodeHello } from '../../src/network/hello.ts'
import { MemoryNet } from '../../src/network/memory.ts'
import { Session, type SessionOptions } from '../../src/network/session.ts'
import { card } from '../identity/cards.ts'
import { FakeChannel } from './fake-channel.ts'

let ada: Identity
let bob: Identity
let adaCard: Card
let bobCard: Card
beforeAll(async () => {
  ada = await createIdentity()
  bob = await createIdentity()
  adaCard = await card({ name: 'ada' }, ada)
  bobCard = await card({ name: 'bob' }, bob)
})

let clock: DrivenClock
let channel: FakeChannel
let log: string[]
let work: () => void | Promise<void>
beforeEach(() => {
  clock = new DrivenClock()
  log = []
  work = () => {}
})

const optionsOf = (name: string, own: Card, over: Channel, initiator: boolean): SessionOptions => ({
  channel: over,
  initiator,
  mesh: 'demo',
  card: () => own,
  clock,
  maxFrameBytes: 1_000_000,
  onOpen: () => log.push(`${name} opened`),
  onFrame: () => work(),
  onClosed: (_session, error) => log.push(`${name} closed ${error?.message ?? ''}`.trim()),
  onRefused: (_session, reason) => log.push(`${name} refused ${reason}`),
  onPong: () => {},
  onBye: () => {},
})

const receive = async (...frames: Uint8Array[]): Promise<void> => {
  channel.receive(encodeFrames(frames))
  await clock.advance(0)
}

/** A session with bob, who is the test. */
async function opened(transport: LinkTransport = 'memory'): Promise<Session> {
  channel = new FakeChannel(bob.id, transport)
  const session = new Session(optionsOf('ada', adaCard, channel, false))
  await receive(encodeHello('demo', bobCard))
  expect(log).toEqual(['ada opened'])
  return session
}

const newest = (type: number): Uint8Array => channel.frames.findLast(([other]) => other === type) as Uint8Array
const pong = (): Uint8Array => frameOf(FrameType.pong, newest(FrameType.ping).subarray(1))
const reading = (read: number, worked: number, held: boolean): Uint8Array =>
  frameOf(FrameType.reading, encode([read, worked, held]))
const reported = (): unknown => decode(newest(FrameType.reading).subarray(1))
const data = (): Uint8Array => frameOf(16, Uint8Array.of(1))

/** Bytes that were handed to the channel so far. */
const sentBytes = (): number => encodeFrames(channel.frames).length

/** How long the link lives from now on, ms, if `sign` comes every second, up to `limit`. */
async function lifetime(sign: () => Uint8Array | undefined, limit = 30_000): Promise<number> {
  const start = clock.monotonic()
  while (channel.aborted === undefined && clock.monotonic() - start < limit) {
    await clock.advance(1_000)
    const frame = channel.aborted === undefined ? sign() : undefined
    if (frame !== undefined) await receive(frame)
  }
  return clock.monotonic() - start
}

describe('The other side of a session', () => {
  test('from whom nothing comes is dead after three pings, whatever the transport says', async () => {
    await opened()
    await clock.advance(5_999)
    expect(channel.aborted).toBeUndefined()
    await clock.advance(1)
    expect(channel.aborted?.message).toMatch(/3 pings/)
    expect(log).toEqual(['ada opened', 'ada closed no answer to pings'])
    expect(clock.pending).toBe(0)
  })

  test('that answers pings lives', async () => {
    await opened()
    expect(await lifetime(pong)).toBe(30_000)
  })

  test('that reads nothing any more is cut off, though it goes on sending pings and reports of its own', async () => {
    await opened()
    let round = 0
    expect(await lifetime(() => (++round % 2 ? frameOf(FrameType.ping) : reading(0, 0, false)))).toBe(6_000)
  })

  test('whose pongs answer no ping of ours is cut off', async () => {
    await opened()
    const first = pong()
    await receive(first)
    let round = 0
    const stale = (): Uint8Array =>
      [first, frameOf(FrameType.pong), frameOf(FrameType.pong, encode(1_000_000))][++round % 3] as Uint8Array
    // The first ping was answered; the next three are not.
    expect(await lifetime(stale)).toBe(8_000)
  })

  test('lives as long as its messages come: its pongs may be behind them', async () => {
    await opened()
    expect(await lifetime(data)).toBe(30_000)
  })

  test('that reads slowly lives while it gets on', async () => {
    await opened()
    let read = 0
    expect(await lifetime(() => reading(++read, 0, false))).toBe(30_000)
  })

  test('whose application is busy lives while frames are worked off, and may then take two minutes for one', async () => {
    const session = await opened()
    await Promise.all(Array.from({ length: 40 }, () => session.send(data())))
    let worked = 0
    expect(await lifetime(() => reading(10, ++worked, true))).toBe(30_000)
    expect(await lifetime(() => undefined, 600_000)).toBe(122_000)
  })

  test('says truly how far it is, or is refused', async () => {
    for (const report of [
      reading(1_000_000, 0, false),
      reading(0, 1, false),
      reading(-1, 0, false),
      frameOf(FrameType.reading, encode([1.5, 0, false])),
      frameOf(FrameType.reading, encode([0, 0, 1])),
      frameOf(FrameType.reading, encode({})),
      frameOf(FrameType.reading),
    ]) {
      log = []
      await opened()
      await receive(report)
      expect(log).toEqual(['ada opened', 'ada refused malformed', 'ada closed malformed: a report of what was read'])
    }
    log = []
    await opened()
    await receive(reading(2, 0, false))
    await receive(reading(1, 0, false))
    expect(log).toContain('ada refused malformed')
  })
})

describe('A session whose application is slow', () => {
  test('does not cut the link, however long it takes: the pongs wait unread', async () => {
    const gates: PromiseWithResolvers<void>[] = []
    work = () => {
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      return gate.promise
    }
    await opened()
    await receive(...Array.from({ length: 256 }, data))
    expect(channel.paused).toBe(1)
    await clock.advance(600_000)
    expect(channel.aborted).toBeUndefined()
    for (const gate of gates) gate.resolve()
    await clock.advance(0)
    expect(channel.paused).toBe(0)
    expect(await lifetime(() => undefined)).toBe(8_000)
  })

  test('says so at once, says with each ping how far it is, and when it reads again', async () => {
    const gates: PromiseWithResolvers<void>[] = []
    work = () => {
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      return gate.promise
    }
    await opened()
    await receive(...Array.from({ length: 256 }, data))
    const read = encodeFrames([encodeHello('demo', bobCard), ...Array.from({ length: 256 }, data)]).length
    expect(reported()).toEqual([read, 0, true])
    for (const gate of gates.slice(0, 5)) gate.resolve()
    await clock.advance(2_000)
    expect(reported()).toEqual([read, 5, true])
    for (const gate of gates) gate.resolve()
    await clock.advance(0)
    expect(reported()).toEqual([read, 128, false])
  })

  test('tells of every megabyte that it has read, and of less with the next ping', async () => {
    await opened()
    const count = (): number => channel.types.filter(type => type === FrameType.reading).length
    const before = count()
    for (let i = 0; i < 9; i++) await receive(new Uint8Array(250_000).fill(16))
    expect(count() - before).toBe(1)
    await receive(new Uint8Array(4_000).fill(16))
    expect(count() - before).toBe(1)
    await clock.advance(2_000)
    expect(count() - before).toBe(2)
    await clock.advance(2_000)
    expect(count() - before).toBe(2)
  })

  test('still gets what was read before its peer ended, and sends nothing to it any more', async () => {
    const gates: PromiseWithResolvers<void>[] = []
    let frames = 0
    work = () => {
      frames++
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      return gate.promise
    }
    const session = await opened()
    await receive(...Array.from({ length: 256 }, data))
    channel.closed = true
    await expect(session.send(data())).rejects.toMatchObject({ code: 'NO_ROUTE' })
    expect(log).toEqual(['ada opened', 'ada closed closed'])
    expect([session.open, session.ended]).toEqual([false, false])
    for (const gate of gates) gate.resolve()
    await clock.advance(0)
    expect(channel.paused).toBe(0)
    await receive(...Array.from({ length: 10 }, data))
    channel.handler?.closed(undefined)
    expect(frames).toBe(266)
    expect(log).toEqual(['ada opened', 'ada closed closed'])
    expect(session.ended).toBe(true)
    expect(clock.pending).toBe(0)
  })
})

test('A session whose connection has closed is over at once, but for what is still to be read', async () => {
  let frames = 0
  work = () => void frames++
  const session = await opened()
  session.disconnected()
  expect([session.open, session.ended]).toEqual([false, false])
  expect(log).toEqual(['ada opened', 'ada closed the connection has closed'])
  await expect(session.send(data())).rejects.toMatchObject({ code: 'NO_ROUTE' })
  await receive(data(), frameOf(FrameType.ping))
  expect(frames).toBe(1)
  expect(channel.types).not.toContain(FrameType.pong)
  channel.handler?.closed(undefined)
  expect(session.ended).toBe(true)
  expect(log).toHaveLength(2)
})

describe('A session over a data channel, which cannot hold its sender back', () => {
  const large = (): Uint8Array => new Uint8Array(500_000).fill(16)

  test('has no more than four megabytes under way that the other side has not read', async () => {
    const session = await opened('webrtc')
    const sends = Array.from({ length: 20 }, () => session.send(large()))
    await clock.advance(0)
    const first = sentBytes()
    expect(first).toBeGreaterThan(4 * 1_048_576 - 1)
    expect(first).toBeLessThan(5 * 1_048_576)
    await receive(reading(1_500_000, 1, false))
    expect(sentBytes()).toBeGreaterThan(first)
    expect(sentBytes() - 1_500_000).toBeLessThan(5 * 1_048_576)
    let rounds = 0
    while (channel.types.filter(type => type === 16).length < 20 && rounds++ < 20) {
      await receive(reading(sentBytes(), 1, false))
    }
    await Promise.all(sends)
  })

  test('sends at once what other transports take', async () => {
    const session = await opened('tcp')
    await Promise.all(Array.from({ length: 20 }, () => session.send(large())))
    expect(sentBytes()).toBeGreaterThan(10_000_000)
  })
})

test('Two sessions of which one works 50 ms on each of 2,500 frames sent at once lose none, and the link stays', async () => {
  const net = new MemoryNet({ clock, random: seededRandom(1), faults: { delay: [1, 5] } })
  const [a, b] = [net.carrier(ada.id), net.carrier(bob.id)]
  await Promise.all([a.start(), b.start()])
  const sessions: Session[] = []
  b.handle('/test/1', taken => sessions.push(new Session(optionsOf('bob', bobCard, taken, false))))
  const dialled = a.dial(bob.id, b.addresses())
  await clock.advance(100)
  const opening = (await dialled).open('/test/1')
  await clock.advance(100)
  const session = new Session(optionsOf('ada', adaCard, await opening, true))
  await clock.advanceUntil(() => log.length === 2)
  let turn: Promise<void> = Promise.resolve()
  let worked = 0
  work = () => {
    turn = turn.then(() => new Promise<void>(resolve => clock.after(50, resolve))).then(() => void worked++)
    return turn
  }
  const sends = Array.from({ length: 2_500 }, () => session.send(frameOf(16, new Uint8Array(1_024))))
  await clock.advanceUntil(() => worked === 2_500 || log.length > 2)
  await Promise.all(sends)
  expect(log).toEqual(['ada opened', 'bob opened'].sort((x, y) => log.indexOf(x) - log.indexOf(y)))
  expect(worked).toBe(2_500)
  expect(clock.monotonic()).toBeGreaterThan(125_000)
  await clock.advance(60_000)
  expect([session.open, sessions[0]?.open, log.length]).toEqual([true, true, 2])
})
