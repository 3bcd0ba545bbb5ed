import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import type { Card } from '../../src/identity/card.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { decode, encode } from '../../src/message/codec.ts'
import { encodeFrames, FrameType, frameOf } from '../../src/network/frames.ts'
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
let work: (frame: Uint8Array) => void | Promise<void>
beforeEach(() => {
  clock = new DrivenClock()
  channel = new FakeChannel(bob.id)
  log = []
  work = () => {}
})

function session(initiator = false, options: Partial<SessionOptions> = {}): Session {
  return new Session({
    ...options,
    channel,
    initiator,
    mesh: 'demo',
    card: () => adaCard,
    clock,
    maxFrameBytes: 1_000_000,
    onOpen: (_session, theirs) => log.push(`open ${theirs.name}`),
    onFrame: (_session, frame) => {
      log.push(`frame ${frame[1]}`)
      return work(frame)
    },
    onClosed: (_session, error) => log.push(`closed ${error === undefined ? '' : (error as { code?: string }).code}`),
    onRefused: (_session, reason) => log.push(`refused ${reason}`),
    onPong: () => log.push('pong'),
    onBye: () => log.push('bye'),
  })
}

const hello = (): Uint8Array => frameOf(FrameType.hello, encode([1, 'demo', bobCard.bytes, null]))
const receive = async (...frames: Uint8Array[]): Promise<void> => {
  channel.receive(encodeFrames(frames))
  await clock.advance(0)
}
/** The body of the newest ping that was sent. */
const pinged = (): Uint8Array =>
  (channel.frames.findLast(([type]) => type === FrameType.ping) as Uint8Array).subarray(1)
const numbered = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => frameOf(16, Uint8Array.of(i % 256)))

describe('A session', () => {
  test('whose side opened the channel says hello first, the other only to a proper hello', async () => {
    session(true)
    expect(channel.types).toEqual([FrameType.hello])
    channel = new FakeChannel(bob.id)
    session(false)
    expect(channel.types).toEqual([])
    await receive(hello())
    expect(channel.types).toEqual([FrameType.hello, FrameType.ping])
    expect(decode((channel.frames[0] as Uint8Array).subarray(1))).toEqual([1, 'demo', adaCard.bytes, 1_000_000])
    expect(log).toEqual(['open bob'])
  })

  test('sends nothing before hellos are exchanged', async () => {
    const one = session(true)
    await expect(one.send(frameOf(16))).rejects.toMatchObject({ code: 'NO_ROUTE' })
    expect(channel.types).toEqual([FrameType.hello])
  })

  test('works on what came right behind the hello, hundreds of frames in one chunk too, once it is checked', async () => {
    session()
    channel.receive(encodeFrames([hello(), ...numbered(2_000)]))
    expect(channel.paused).toBe(1)
    expect(log).toEqual([])
    await clock.advance(0)
    expect(channel.paused).toBe(0)
    expect(log.slice(0, 3)).toEqual(['open bob', 'frame 0', 'frame 1'])
    expect(log).toHaveLength(2_001)
  })

  test('holds no more than four megabytes of what came behind the hello', async () => {
    session()
    const large = new Uint8Array(900_000).fill(16)
    await receive(hello(), large, large, large, large, large)
    expect(log).toEqual(['refused overflow', 'closed MALFORMED'])
    expect(channel.closed).toBe(true)
  })

  test('holds nothing large of what comes before the hello', async () => {
    session()
    channel.receive(Uint8Array.of(0x81, 0xa0, 0x01))
    expect(log).toEqual(['refused too-large', 'closed MALFORMED'])
  })

  test('without a hello within eight seconds is over, and says why', async () => {
    session()
    await clock.advance(7_999)
    expect(log).toEqual([])
    await clock.advance(1)
    expect(log).toEqual(['refused no-hello', 'closed MALFORMED'])
    expect(decode((channel.frames[0] as Uint8Array).subarray(1))).toBe('no-hello')
    await receive(hello())
    expect(log).toHaveLength(2)
    expect(clock.pending).toBe(0)
  })

  test('that is refused by the other side knows the reason, and does not refuse back', async () => {
    const one = session(true)
    await receive(frameOf(FrameType.refused, encode('wrong-mesh')))
    expect(one.refusedBy).toBe('wrong-mesh')
    expect(log).toEqual(['closed UNAUTHORIZED'])
    expect(channel.types).toEqual([FrameType.hello])
  })

  test('believes no reason that is none', async () => {
    const one = session(true)
    await receive(frameOf(FrameType.refused, Uint8Array.of(0xff)))
    expect(one.refusedBy).toBe('malformed')
    channel = new FakeChannel(bob.id)
    const other = session(true)
    await receive(frameOf(FrameType.refused, encode('x'.repeat(1_000))))
    expect(other.refusedBy).toHaveLength(32)
  })

  test('pings every two seconds, measures the round trip and answers pings with their own body', async () => {
    const one = session()
    await receive(hello())
    await clock.advance(40)
    await receive(frameOf(FrameType.pong, pinged()))
    expect(one.rtt).toBe(40)
    await clock.advance(1_960)
    expect(channel.types.filter(type => type === FrameType.ping)).toHaveLength(2)
    await receive(frameOf(FrameType.ping, Uint8Array.of(1, 2)))
    expect(channel.frames.at(-1)).toEqual(frameOf(FrameType.pong, Uint8Array.of(1, 2)))
  })

  test('sends the frames of one turn in one write', async () => {
    const one = session()
    await receive(hello())
    const before = channel.writes
    await Promise.all(numbered(100).map(frame => one.send(frame)))
    expect(channel.writes - before).toBe(1)
    expect(channel.types.filter(type => type === 16)).toHaveLength(100)
  })

  test('queues sixteen megabytes for a peer that is slow, then refuses; what was queued leaves when it can', async () => {
    const one = session()
    await receive(hello())
    const gate = Promise.withResolvers<void>()
    channel.full = gate.promise
    const large = new Uint8Array(1_048_576).fill(16)
    const sends = Array.from({ length: 15 }, () => one.send(large))
    await expect(one.send(large)).rejects.toMatchObject({ code: 'QUEUE_FULL', recipients: [bob.id] })
    expect(channel.types).not.toContain(16)
    gate.resolve()
    await Promise.all(sends)
    expect(channel.types.filter(type => type === 16)).toHaveLength(15)
    await expect(one.send(large)).resolves.toBeUndefined()
  })

  test('queues as much as its option says', async () => {
    const one = session(false, { maxQueuedBytes: 1_000 })
    await receive(hello())
    channel.full = new Promise(() => {})
    const sends = [500, 200].map(length => one.send(new Uint8Array(length).fill(16)))
    for (const sent of sends) sent.catch(() => {})
    await expect(one.send(frameOf(16))).rejects.toMatchObject({ code: 'QUEUE_FULL' })
    await one.close()
    for (const sent of sends) await expect(sent).rejects.toMatchObject({ code: 'NO_ROUTE' })
  })

  test('takes a frame back from a peer that stopped reading when its signal fires: it never leaves', async () => {
    const one = session()
    await receive(hello())
    const gate = Promise.withResolvers<void>()
    channel.full = gate.promise
    const off = new AbortController()
    const sent = one.send(frameOf(16, Uint8Array.of(1)), { signal: off.signal })
    const other = one.send(frameOf(16, Uint8Array.of(2)))
    await clock.advance(1_000)
    off.abort(new Error('no time'))
    await expect(sent).rejects.toThrow('no time')
    gate.resolve()
    await other
    expect(channel.frames.filter(([type]) => type === 16)).toEqual([frameOf(16, Uint8Array.of(2))])
  })

  test('writes no more pongs to a peer that pings and does not read than it will ever need', async () => {
    session()
    await receive(hello())
    channel.accepting = false
    channel.full = new Promise(() => {})
    for (let i = 0; i < 1_000; i++) await receive(frameOf(FrameType.ping, Uint8Array.of(i % 256)))
    expect(channel.types.filter(type => type === FrameType.pong)).toHaveLength(1)
  })

  test('that ends does not wait for ever for the other side to read what is left', async () => {
    const one = session()
    await receive(hello())
    const gate = Promise.withResolvers<void>()
    channel.flushed = gate.promise
    channel.abort = reason => {
      channel.aborted = reason
      gate.reject(reason)
    }
    const closing = one.close()
    await clock.advance(4_999)
    expect(channel.aborted).toBeUndefined()
    await clock.advance(1)
    await closing
    expect(channel.aborted?.message).toMatch(/not read/)
    expect(clock.pending).toBe(0)
  })

  test('whose channel closes under what is queued says so to whoever sent it', async () => {
    const one = session()
    await receive(hello())
    channel.full = Promise.reject(new Error('closed'))
    channel.full.catch(() => {})
    await expect(one.send(frameOf(16))).rejects.toMatchObject({ code: 'NO_ROUTE' })
    channel.handler?.closed(undefined)
    await expect(one.send(frameOf(16))).rejects.toMatchObject({ code: 'NO_ROUTE' })
    expect(log).toEqual(['open bob', 'closed undefined'])
  })

  test('holds its sender back while 256 frames are being worked on, and lets it go on at 128', async () => {
    session()
    await receive(hello())
    const gates: PromiseWithResolvers<void>[] = []
    work = () => {
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      return gate.promise
    }
    await receive(...numbered(255))
    expect(channel.paused).toBe(0)
    await receive(...numbered(10))
    expect(channel.paused).toBe(1)
    for (const gate of gates.slice(0, 136)) gate.resolve()
    await clock.advance(0)
    expect(channel.paused).toBe(1)
    gates[136]?.reject(new Error('one that fails counts too'))
    await clock.advance(0)
    expect(channel.paused).toBe(0)
  })

  test('stays paused when what came right behind the hello keeps the application busy', async () => {
    session()
    const gates: PromiseWithResolvers<void>[] = []
    work = () => {
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      return gate.promise
    }
    await receive(hello(), ...numbered(256))
    expect(channel.paused).toBe(1)
    for (const gate of gates) gate.resolve()
    await clock.advance(0)
    expect(channel.paused).toBe(0)
  })

  test('says goodbye in the same turn, and a channel that is closed already is no error', async () => {
    const one = session()
    await receive(hello())
    one.bye()
    expect(channel.types.at(-1)).toBe(FrameType.bye)
    channel.closed = true
    expect(() => one.bye()).not.toThrow()
    await receive(frameOf(FrameType.bye))
  })

  test('passes on what came behind a hello, also when the channel ends before that is checked', async () => {
    session(true)
    channel.receive(encodeFrames([hello(), frameOf(FrameType.ping, encode(1)), ...numbered(2), frameOf(FrameType.bye)]))
    channel.closed = true
    channel.handler?.closed(undefined)
    await clock.advance(0)
    expect(log).toEqual(['open bob', 'frame 0', 'frame 1', 'bye', 'closed '])
  })

  test('takes no hello whose channel ended before it was checked with nothing behind it', async () => {
    session(true)
    channel.receive(encodeFrames([hello()]))
    channel.handler?.closed(undefined)
    await clock.advance(0)
    expect(log).toEqual(['closed '])
  })

  test('writes nothing to who leaves, reads what still comes, and hangs up on who does not', async () => {
    const one = session()
    await receive(hello(), frameOf(FrameType.bye))
    const sent = channel.types.length
    channel.flushed = new Promise(() => {})
    one.left()
    await expect(one.send(frameOf(16))).rejects.toMatchObject({ code: 'NO_ROUTE' })
    await receive(...numbered(1), frameOf(FrameType.ping, encode(1)))
    expect(channel.types).toHaveLength(sent)
    expect(log).toEqual(['open bob', 'bye', 'closed undefined', 'frame 0'])
    expect(channel.aborted).toBeUndefined()
    await clock.advance(5_000)
    expect(channel.aborted?.message).toContain('not read')
  })

  test('passes a goodbye on, and ends once however often it is closed', async () => {
    const one = session()
    await receive(hello(), frameOf(FrameType.bye))
    await Promise.all([one.close(), one.close()])
    channel.handler?.closed(undefined)
    expect(log).toEqual(['open bob', 'bye', 'closed '])
    expect(one.open).toBe(false)
  })
})
