import type { PeerId } from '@libp2p/interface'
import type { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { systemRandom } from '../../src/common/random.ts'
import { type GossipStreams, MAX_UNREAD, MAX_UNREAD_IN_ALL } from '../../src/network/gossip-streams.ts'
import type { Node } from '../../src/network/node.ts'
import { until } from '../relay/support.ts'
import { startNode } from './bare-node.ts'

const TOPIC = 'one of the node'
const MESSAGE = 262_144

interface Inside extends Omit<GossipStreams, 'peers'> {
  readonly peers: Map<string, PeerId>
  readonly outboundInflightQueue: { push(entry: { peerId: PeerId; connection: object }): void }
  readonly streamsInbound: ReadonlyMap<string, { readonly rawStream: { pause(): void; resume(): void } }>
}
const inside = ({ services }: Node): Inside => services.pubsub as unknown as Inside

/** Neighbours of a node that are in its topic. */
async function neighbours(node: Node, count: number): Promise<Node[]> {
  node.services.pubsub.subscribe(TOPIC)
  const all: Node[] = []
  while (all.length < count) {
    const neighbour = await startNode()
    neighbour.services.pubsub.subscribe(TOPIC)
    await neighbour.dial(node.getMultiaddrs()[0] as ReturnType<typeof multiaddr>)
    const there = () => node.services.pubsub.getSubscribers(TOPIC).some(peer => peer.equals(neighbour.peerId))
    await until(there, [node.services.pubsub, 'subscription-change'])
    all.push(neighbour)
  }
  return all
}

const stopsReading = (neighbour: Node, node: Node): void =>
  inside(neighbour).streamsInbound.get(`${node.peerId}`)?.rawStream.pause()

const publish = (node: Node) => node.services.pubsub.publish(TOPIC, systemRandom.bytes(MESSAGE))

/** What waits in a node for its neighbours, bytes. */
const unread = (node: Node): number[] =>
  Array.from(inside(node).streamsOutbound.values(), ({ rawStream }) => rawStream.writeBufferLength)

/** Resolves when a neighbour has heard a message of one byte that is said again with each heartbeat. */
async function hearsAgain(neighbour: Node, node: Node): Promise<void> {
  const { pubsub } = node.services
  let number = 0
  const say = (): void => void pubsub.publish(TOPIC, Uint8Array.of(number++ % 256, number >> 8))
  const stop = new AbortController()
  pubsub.addEventListener('gossipsub:heartbeat', say, { signal: stop.signal } as never)
  let heard = false
  neighbour.services.pubsub.addEventListener('message', ({ detail }) => {
    heard ||= detail.data.length === 2
  })
  await until(() => heard, [neighbour.services.pubsub, 'message'])
  stop.abort()
}

test('What waits for a neighbour that does not read its gossip is bounded, others hear everything, and it hears again', async () => {
  const node = await startNode()
  const [deaf, other] = (await neighbours(node, 2)) as [Node, Node]
  let heard = 0
  other.services.pubsub.addEventListener('message', () => void heard++)
  stopsReading(deaf, node)
  const messages = 3 * (MAX_UNREAD / MESSAGE)
  for (let sent = 1; sent <= messages; sent++) {
    await publish(node)
    expect(Math.max(...unread(node))).toBeLessThanOrEqual(MAX_UNREAD)
    await until(() => heard === sent, [other.services.pubsub, 'message'])
  }
  expect(inside(node).streamsOutbound.has(`${deaf.peerId}`)).toBe(false)
  await hearsAgain(deaf, node)
})

test('What waits for all neighbours together is bounded too', async () => {
  const node = await startNode()
  const count = MAX_UNREAD_IN_ALL / MAX_UNREAD + 3
  for (const neighbour of await neighbours(node, count)) stopsReading(neighbour, node)
  for (let sent = 0; sent < MAX_UNREAD / MESSAGE - 1; sent++) await publish(node)
  expect(unread(node)).toHaveLength(count)
  const sum = (): number => unread(node).reduce((total, bytes) => total + bytes, 0)
  expect(sum()).toBeGreaterThan(MAX_UNREAD_IN_ALL)
  await until(() => sum() <= MAX_UNREAD_IN_ALL, [node.services.pubsub, 'gossipsub:heartbeat'])
  expect(unread(node).length).toBeGreaterThanOrEqual(count - 4)
})

test('A neighbour on which no stream can be opened does not keep gossip from those that come after it', async () => {
  const node = await startNode()
  const { peerId } = await startNode()
  inside(node).peers.set(`${peerId}`, peerId)
  const asked = Promise.withResolvers<void>()
  const connection = {
    newStream: () => {
      asked.resolve()
      return new Promise(() => {})
    },
  }
  inside(node).outboundInflightQueue.push({ peerId, connection })
  await asked.promise
  const [next] = (await neighbours(node, 1)) as [Node]
  await hearsAgain(next, node)
})
