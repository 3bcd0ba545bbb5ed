import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import type { Channel, Connection, LinkTransport } from '../../src/network/carrier.ts'
import type { MemoryCarrier } from '../../src/network/memory.ts'
import { MemoryNet } from '../../src/network/memory.ts'
import { Member, type NetworkWorld, Stranger } from '../contracts/network-world.ts'
import { until } from '../contracts/waiting.ts'

const SOMEBODY = '12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p'

let clock: DrivenClock
let a: Member
let carrier: MemoryCarrier
let world: NetworkWorld
beforeEach(async () => {
  clock = new DrivenClock()
  const net = new MemoryNet({ clock, random: seededRandom(1) })
  world = {
    clock,
    carrier: identity => net.carrier(identity.id),
    close: async () => {},
  }
  a = await Member.start({ ...world, carrier: identity => (carrier = net.carrier(identity.id)) }, 'ada')
})
afterEach(async () => {
  const stopping = a.network.stop()
  await clock.advance(10_000)
  await stopping
})

/** A connection as a transport lists it, with nobody behind it: what is opened on it never comes about. */
class Phantom implements Connection {
  readonly id = 'phantom'
  readonly peer = SOMEBODY
  readonly kind = 'direct'
  readonly transport: LinkTransport
  readonly outbound: boolean
  aborted: { at: number; reason: Error } | undefined
  /** What opening a channel comes to; by default nothing. */
  opening: (signal: AbortSignal) => Promise<Channel> = signal =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))

  constructor(transport: LinkTransport, outbound: boolean) {
    this.transport = transport
    this.outbound = outbound
  }

  /** Shows it to the network, as a transport that believes in it does; returns when. */
  appear(): number {
    carrier.emit('connection:open', this)
    return clock.monotonic()
  }

  open(_protocol: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Channel> {
    return this.opening(signal as AbortSignal)
  }

  async close(): Promise<void> {}

  abort(reason: Error): void {
    this.aborted ??= { at: clock.monotonic(), reason }
  }
}

describe('A connection with nobody behind it', () => {
  test.each(['webrtc', 'websocket', 'tcp', 'circuit'] as const)(
    'that came in over %s is dropped after twelve seconds in which nobody spoke on it',
    async transport => {
      const phantom = new Phantom(transport, false)
      const since = phantom.appear()
      await clock.advance(11_999)
      expect(phantom.aborted).toBeUndefined()
      await clock.advance(1)
      expect(phantom.aborted).toMatchObject({
        at: since + 12_000,
        reason: { message: expect.stringMatching(/nobody/) },
      })
      expect(a.network.links()).toEqual([])
    },
  )

  test('that was dialled over WebRTC is dropped when no channel opens on it within eight seconds', async () => {
    const phantom = new Phantom('webrtc', true)
    const since = phantom.appear()
    await clock.advance(7_999)
    expect(phantom.aborted).toBeUndefined()
    await clock.advance(1)
    expect(phantom.aborted?.at).toBe(since + 8_000)
  })

  test('that was dialled over WebRTC and refuses the channel is dropped at once', async () => {
    const phantom = new Phantom('webrtc', true)
    phantom.opening = () => Promise.reject(new Error('the peer connection is still connecting'))
    const since = phantom.appear()
    await clock.advance(0)
    expect(phantom.aborted).toMatchObject({ at: since, reason: { message: expect.stringMatching(/connecting/) } })
  })

  test('that was dialled over another transport is left alone: a relay speaks other protocols than this one', async () => {
    const phantom = new Phantom('websocket', true)
    phantom.appear()
    await clock.advance(60_000)
    expect(phantom.aborted).toBeUndefined()
  })

  test('is no link, and is not waited for when the network stops', async () => {
    new Phantom('webrtc', false).appear()
    expect(a.network.link(SOMEBODY)).toBeUndefined()
    await expect(a.network.send(SOMEBODY, Uint8Array.of(32))).rejects.toMatchObject({ code: 'NO_ROUTE' })
    const stopping = a.network.stop()
    await clock.advance(0)
    await stopping
    expect(clock.pending).toBe(0)
  })
})

/** Lets time go on by itself while `work` is under way. */
async function driven<T>(work: Promise<T>): Promise<T> {
  let over = false
  work.then(
    () => (over = true),
    () => (over = true),
  )
  while (!over) await clock.advance(5)
  return work
}

test('A connection on which channels are opened without a hello is dropped after twenty-four seconds; with one it stays', async () => {
  const [silent, friend] = await driven(Promise.all([Stranger.start(world), Stranger.start(world)]))
  const { channel } = await driven(friend.say(a, await friend.hello(world)))
  await driven(a.received(() => a.network.link(friend.id) !== undefined))
  await driven(channel.close())
  const since = clock.monotonic()
  const ended = until(silent.carrier, 'connection:close')
  const connection = await driven(silent.dial(a))
  const opening = (async () => {
    for (;;) {
      const channel = await connection.open('/afp/1/direct')
      await new Promise<void>(resolve => channel.attach({ data: () => {}, closed: () => resolve() }))
    }
  })()
  opening.catch(() => {})
  await driven(ended)
  expect(Math.round((clock.monotonic() - since) / 1_000)).toBe(24)
  expect(a.refused.map(({ reason }) => reason)).toContain('no-hello')
  expect(friend.carrier.connections()).toHaveLength(1)
})

test('A data channel that looks open with nobody behind it is given up after eight seconds without a hello', async () => {
  const phantom = new Phantom('webrtc', true)
  let closed = false
  const sent: Uint8Array[] = []
  const channel: Channel = {
    connection: phantom,
    attach: () => {},
    send: bytes => sent.push(bytes) > 0,
    drained: () => Promise.resolve(),
    pause: () => {},
    resume: () => {},
    close: async () => {
      closed = true
    },
    abort: () => {},
  }
  phantom.opening = async () => channel
  phantom.appear()
  await clock.advance(7_999)
  expect([sent.length, closed]).toEqual([1, false])
  await clock.advance(1)
  expect(closed).toBe(true)
  expect(phantom.aborted?.at).toBe(clock.monotonic())
  expect(a.refused).toMatchObject([{ peer: SOMEBODY, reason: 'no-hello' }])
  expect(a.network.links()).toEqual([])
})
