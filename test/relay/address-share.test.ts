import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Relay } from '../../relay/index.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { hasItsShare } from '../../src/network/address-share.ts'
import { createNode, type Node, type TransportFactory } from '../../src/network/node.ts'
import { presenceTopic, topicOf } from '../../src/network/topics.ts'
import { addressOf, hasSlot, testPeer, testRelay, until } from './support.ts'

/** A node that dials from an address of its own. */
const nodeAt = (localAddress: string): Promise<Node> => nodeWith({ localAddress })

async function nodeWith(dialOpts: object): Promise<Node> {
  const { seed } = await createIdentity()
  const transport = tcp({ dialOpts } as object) as TransportFactory
  const node = await createNode({ seed, transports: [transport], listen: [], maxConnections: 1_000 })
  onTestFinished(() => Promise.resolve(node.stop()))
  await node.start()
  return node
}

const force = { force: true } as object

const HOP = '/libp2p/circuit/relay/0.2.0/hop'
/** "Reserve", as circuit relay v2 writes it, with its length. */
const RESERVE = Uint8Array.of(2, 8, 0)

/** Asks for a slot over a new connection; resolves with the answer. */
async function asksForSlot(node: Node, relay: Relay): Promise<void> {
  const connection = await node.dial(multiaddr(addressOf(relay, 'tcp')), force)
  const stream = await connection.newStream(HOP)
  const answered = new Promise(resolve => stream.addEventListener('message', resolve, { once: true }))
  stream.send(RESERVE)
  await answered
  await stream.close()
}

describe('Connections of a relay', () => {
  test('one peer has at most sixteen, from one address or several; another one is taken', async () => {
    const relay = await testRelay()
    const stranger = await nodeAt('127.0.0.1')
    const address = multiaddr(addressOf(relay, 'tcp'))
    for (let i = 0; i < 20; i++) await stranger.dial(address, force).catch(() => {})
    await until(() => stranger.getConnections().length === 16, [stranger, 'connection:close'])
    expect(relay.stats()).toMatchObject({ peers: 1, connections: 16 })
    await testPeer([relay])
    await until(() => relay.stats().connections === 17, [relay, 'peer:connect'])
  })

  // Elsewhere loopback has one address.
  test.skipIf(process.platform !== 'linux')(
    'an address has as many as are left for all others, with as many identities as it likes',
    async () => {
      const relay = await testRelay({ limits: { maxConnections: 12 } })
      const address = multiaddr(addressOf(relay, 'tcp'))
      const taken: Node[] = []
      for (let i = 0; i < 8; i++) {
        const stranger = await nodeAt('127.0.0.2')
        await stranger.dial(address).then(
          () => taken.push(stranger),
          () => {},
        )
      }
      expect(taken).toHaveLength(6)
      const other = await nodeAt('127.0.0.3')
      for (let i = 0; i < 4; i++) await other.dial(address, force).catch(() => {})
      expect(other.getConnections()).toHaveLength(3)
      // A proxy on the relay's machine may have the rest.
      for (let i = 0; i < 3; i++) await testPeer([relay])
      await until(() => relay.stats().connections === 12, [relay, 'peer:connect'])
      // Room that is left is shared again.
      await expect(other.dial(address, force)).rejects.toThrow()
      const left = until(() => relay.stats().peers === 7, [relay, 'peer:disconnect'])
      await Promise.all(taken.slice(0, 3).map(node => node.stop()))
      await left
      await expect((await nodeAt('127.0.0.3')).dial(address)).rejects.toThrow()
      await (await nodeAt('127.0.0.4')).dial(address)
    },
  )

  test.each([
    ['/ip4/192.0.2.1/tcp/1', '/ip4/192.0.2.1/tcp/2/ws', true],
    ['/ip4/192.0.2.1/tcp/1', '/ip4/192.0.2.2/tcp/1', false],
    ['/ip6/2001:db8::1/tcp/1', '/ip6/2001:db8::2:1/tcp/1', true],
    ['/ip6/2001:db8::1/tcp/1', '/ip6/2001:db8:0:1::1/tcp/1', false],
    ['/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/1', false],
    ['/ip6/::1/tcp/1', '/ip6/::1/tcp/1', false],
  ])('%s counts with %s: %j', (address, other, together) => {
    expect(hasItsShare(multiaddr(address), [multiaddr(other)], 2)).toBe(together)
  })
})

// Elsewhere loopback has one address.
describe.skipIf(process.platform !== 'linux')('Slots of a relay', () => {
  test('of one address are no more than are left for all others, whoever asks; who has one keeps it', async () => {
    const relay = await testRelay({ limits: { maxReservations: 8 } })
    const all = async (localAddress: string, count: number): Promise<Node[]> => {
      const nodes = await Promise.all(Array.from({ length: count }, () => nodeAt(localAddress)))
      for (const node of nodes) await asksForSlot(node, relay)
      return nodes
    }
    const [first] = await all('127.0.0.2', 6)
    expect(relay.stats().reservations).toBe(4)
    await all('127.0.0.3', 4)
    expect(relay.stats().reservations).toBe(6)
    await asksForSlot(first as Node, relay)
    expect(relay.stats().reservations).toBe(6)
    await hasSlot(await testPeer([relay], { reserve: true }))
    expect(relay.stats().reservations).toBe(7)
  })

  test('are not to be had from an address that has its share by a connection from another beside it', async () => {
    const relay = await testRelay({ limits: { maxReservations: 2 } })
    await asksForSlot(await nodeAt('127.0.0.2'), relay)
    const localAddresses = ['127.0.0.3', '127.0.0.2']
    const dialOpts = {
      get localAddress() {
        return localAddresses.shift()
      },
    }
    const stranger = await nodeWith(dialOpts)
    await stranger.dial(multiaddr(addressOf(relay, 'tcp')))
    await asksForSlot(stranger, relay)
    expect(localAddresses).toEqual([])
    expect(relay.stats().reservations).toBe(1)
  })
})

// Elsewhere loopback has one address.
describe.skipIf(process.platform !== 'linux')('Topics of a relay', () => {
  test('of one address are no more than are left for all others, and those of a mesh meet whatever topics there are', async () => {
    const relay = await testRelay({ limits: { maxTopicsPerMesh: 8, maxMeshes: 2 } })
    const refused: string[] = []
    relay.addEventListener('refused', ({ detail }) => void refused.push(detail.reason))
    const topics = (): number => relay.stats().meshes.find(({ mesh }) => mesh === 'demo')?.topics ?? 0
    const joins = async (localAddress: string, names: readonly string[]): Promise<void> => {
      const node = await nodeAt(localAddress)
      await node.dial(multiaddr(addressOf(relay, 'tcp')))
      const before = topics() + refused.length
      for (const name of names) node.services.pubsub.subscribe(name)
      await until(() => topics() + refused.length === before + names.length, [relay, 'topic:join'], [relay, 'refused'])
    }
    const four = (of: string): string[] => ['1', '2', '3', '4'].map(name => topicOf('demo', of + name))
    await joins('127.0.0.2', four('eve'))
    await joins('127.0.0.2', four('another identity of eve'))
    expect(topics()).toBe(4)
    await joins('127.0.0.3', four('ada'))
    expect(topics()).toBe(6)
    expect(new Set(refused)).toEqual(new Set(['topics-per-mesh']))
    await joins('127.0.0.4', [presenceTopic('demo')])
    expect(topics()).toBe(7)
    await joins('127.0.0.2', [presenceTopic('another')])
    expect(refused.at(-1)).toBe('meshes')
  })
})
