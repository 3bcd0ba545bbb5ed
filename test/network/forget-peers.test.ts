import type { PeerId } from '@libp2p/interface'
import type { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { platformTransports } from '../../src/network/defaults.ts'
import { createNode, type Node } from '../../src/network/node.ts'
import { until } from '../relay/support.ts'

async function startNode(clock = new DrivenClock()): Promise<Node> {
  const { seed } = await createIdentity()
  const transports = platformTransports([])
  const node = await createNode({ seed, transports, listen: ['/ip4/127.0.0.1/tcp/0'], clock })
  onTestFinished(() => Promise.resolve(node.stop()))
  await node.start()
  return node
}

const addressOf = (node: Node) => node.getMultiaddrs()[0] as ReturnType<typeof multiaddr>

const connectedTo = (node: Node, peer: PeerId): boolean => node.getConnections(peer).length > 0

/** Resolves when libp2p has asked a peer who it is, and gossip has heard of it. */
const isKnown = (node: Node, peer: PeerId): Promise<void> =>
  until(() => node.services.pubsub.getPeers().some(known => known.equals(peer)), [node, 'peer:update'])

test('A peer is forgotten once its last connection has gone, by gossip and by the peer store, and not before', async () => {
  const clock = new DrivenClock()
  const host = await startNode(clock)
  const visitor = await startNode()
  const first = await visitor.dial(addressOf(host))
  const second = await visitor.dial(addressOf(host), { force: true } as object)
  await isKnown(host, visitor.peerId)
  await until(() => host.getConnections(visitor.peerId).length === 2, [host, 'connection:open'])
  await first.close()
  await until(() => host.getConnections(visitor.peerId).length === 1, [host, 'connection:close'])
  await clock.advance(60_000)
  expect(await host.peerStore.has(visitor.peerId)).toBe(true)
  await second.close()
  await until(() => !connectedTo(host, visitor.peerId), [host, 'peer:disconnect'])
  await clock.advance(10_000)
  expect(await host.peerStore.has(visitor.peerId)).toBe(false)
  expect(host.services.pubsub.getPeers()).toEqual([])
})

test('A peer that comes back meanwhile is not forgotten, and one that comes back later is known as before', async () => {
  const clock = new DrivenClock()
  const host = await startNode(clock)
  const visitor = await startNode()
  const come = async (): Promise<void> => {
    await visitor.dial(addressOf(host))
    await until(() => connectedTo(host, visitor.peerId), [host, 'peer:connect'])
  }
  const leave = async (): Promise<void> => {
    await visitor.hangUp(host.peerId)
    await until(() => !connectedTo(host, visitor.peerId), [host, 'peer:disconnect'])
  }
  await come()
  await isKnown(host, visitor.peerId)
  await leave()
  await come()
  await isKnown(host, visitor.peerId)
  await clock.advance(10_000)
  expect(await host.peerStore.has(visitor.peerId)).toBe(true)
  await leave()
  await clock.advance(10_000)
  expect(await host.peerStore.has(visitor.peerId)).toBe(false)
  await come()
  await isKnown(host, visitor.peerId)
  expect((await host.peerStore.get(visitor.peerId)).protocols).toContain('/meshsub/1.2.0')
})

test('A peer that could not be dialled is forgotten too', async () => {
  const clock = new DrivenClock()
  const host = await startNode(clock)
  const visitor = await startNode()
  const address = addressOf(visitor)
  await visitor.stop()
  await expect(host.dial(address)).rejects.toThrow()
  expect(await host.peerStore.has(visitor.peerId)).toBe(true)
  await clock.advance(10_000)
  expect(await host.peerStore.has(visitor.peerId)).toBe(false)
})
