import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/common/clock.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import type { Carrier } from '../../src/network/carrier.ts'
import { libp2pCarrier } from '../../src/network/libp2p.ts'
import { type MemoryFaults, MemoryNet } from '../../src/network/memory.ts'
import type { GossipHost } from '../../src/network/memory-gossip.ts'
import { presenceTopic } from '../../src/network/topics.ts'
import { networkContract } from '../contracts/network.ts'
import { slowPeersContract } from '../contracts/network-slow.ts'
import { MESH, Member, type NetworkWorld } from '../contracts/network-world.ts'
import { eventually, until } from '../contracts/waiting.ts'

interface MemoryWorld extends NetworkWorld {
  readonly net: MemoryNet
  crash(carrier: Carrier): void
}

/** Members in memory, on a clock that goes on by itself, a millisecond a turn of the event loop. */
async function world(faults: Partial<MemoryFaults> = {}): Promise<MemoryWorld> {
  const clock = new DrivenClock()
  const net = new MemoryNet({ clock, random: seededRandom(1), faults })
  const carriers: Carrier[] = []
  const places = new Map<Carrier, string>()
  let over = false
  const driving = (async () => {
    while (!over) await clock.advance(1)
  })()
  return {
    net,
    clock,
    carrier: identity => {
      const place = `${carriers.length}-${identity.id}`
      const carrier = net.carrier(identity.id, { place })
      carriers.push(carrier)
      places.set(carrier, place)
      return carrier
    },
    crash: carrier => net.crash(places.get(carrier) as string),
    close: async () => {
      await Promise.all(carriers.map(carrier => carrier.stop()))
      over = true
      await driving
    },
  }
}

/** Members on loopback, in real time. */
async function loopback(): Promise<NetworkWorld> {
  const carriers: Carrier[] = []
  return {
    clock: systemClock,
    carrier: identity => {
      const carrier = libp2pCarrier({ identity, listen: ['/ip4/127.0.0.1/tcp/0'] })
      carriers.push(carrier)
      return carrier
    },
    close: async () => {
      await Promise.all(carriers.map(carrier => carrier.stop()))
    },
  }
}

for (const contract of [networkContract, slowPeersContract]) {
  contract('The network over libp2p', loopback)
  contract('The network over carriers in memory', () => world())
  contract('The network over carriers in memory with delays', () => world({ delay: [1, 10] }))
}

test('another live run of an identity is noticed by the one that is older', async () => {
  const all = await world()
  const [a, b, c] = [
    await Member.start(all, 'ada'),
    await Member.start(all, 'bob'),
    await Member.start(all, 'cyd'),
  ] as const
  await Promise.all([a.connect(b), c.connect(b)])
  await eventually(a.network, 'link:open', () => a.network.link(c.id) !== undefined)
  const noticed = until(a.network, 'identity:in-use')
  // Which of two is older their cards' numbers tell, and those are times.
  await new Promise<void>(resolve => void all.clock.after(10, resolve))
  const twin = await Member.start(all, 'ada', { identity: a.identity })
  await twin.connect(c)
  expect(await noticed).toEqual({ id: a.id })
  await all.close()
})

test('a neighbour that says again and again that it has come into the mesh is answered as one newcomer is', async () => {
  const all = await world()
  const [a, b] = [await Member.start(all, 'ada'), await Member.start(all, 'bob')]
  await a.connect(b)
  const { carrier } = a as unknown as { carrier: Carrier & GossipHost }
  let announced = 0
  const { publish } = carrier
  carrier.publish = (...message) => {
    announced++
    return publish.apply(carrier, message)
  }
  for (let i = 0; i < 100; i++) {
    carrier.emitSubscription({ topic: presenceTopic(MESH), peer: b.id, subscribed: true })
    await new Promise<void>(resolve => void all.clock.after(50, resolve))
  }
  // In 5 s: the beats, and an answer every second and a half.
  expect(announced).toBeLessThan(12)
  await all.close()
})

describe('A network that loses what it carries', () => {
  test('a member that crashes is missed, and said to be silent', async () => {
    const all = await world()
    const [a, b] = [await Member.start(all, 'ada'), await Member.start(all, 'bob')]
    await a.connect(b)
    const since = all.clock.monotonic()
    const offline = until(a.network, 'peer:offline')
    all.crash(b.carrier)
    expect(await offline).toEqual({ id: b.id, reason: 'silent' })
    expect(all.clock.monotonic() - since).toBeLessThan(20_000)
    expect(a.network.link(b.id)).toBeUndefined()
    await all.close()
  })

  test.each([1, 2, 3])('links come back after a partition without anybody asking (seed %i)', async seed => {
    const all = await world({ delay: [1, 5 + seed] })
    const [a, b] = [await Member.start(all, 'ada'), await Member.start(all, 'bob')]
    await a.connect(b)
    const places = [a, b].map(({ network }) => (network.addresses()[0] as string).split('/')[2] as string)
    const lost = [until(a.network, 'link:closed'), until(b.network, 'link:closed')]
    all.net.partition([places[0] as string], [places[1] as string])
    await Promise.all(lost)
    const back = [until(a.network, 'link:open'), until(b.network, 'link:open')]
    all.net.heal()
    await Promise.all(back)
    await a.send(b, 'back')
    await b.received(() => b.frames.some(({ text }) => text === 'back'))
    await all.close()
  })
})
