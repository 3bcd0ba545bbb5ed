import type { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { systemRandom } from '../../src/common/random.ts'
import { MAX_REMEMBERED } from '../../src/network/gossip-bounds.ts'
import type { Node } from '../../src/network/node.ts'
import { until } from '../relay/support.ts'
import { startNode } from './bare-node.ts'

/** Gossipsub's own, as it is looked into to bound it. */
interface Inside {
  readonly seenCache: { readonly size: number }
  readonly score: { readonly deliveryRecords: { readonly records: Map<string, unknown>; queue: { length: number } } }
  sendRpc(peer: string, rpc: object): boolean
}
const inside = (node: Node): Inside => node.services.pubsub as unknown as Inside

/** How many messages a node remembers. */
function remembered(node: Node): number {
  const { seenCache, score } = inside(node)
  const { records, queue } = score.deliveryRecords
  expect(records.size).toBe(queue.length)
  return Math.max(seenCache.size, records.size)
}

const TOPIC = 'one of the node'

/** A node that is in a topic, and a stranger to it that sends whatever it likes. */
async function nodeAndStranger(): Promise<{ node: Node; send: (topic: string, count: number) => Promise<void> }> {
  const [node, stranger] = [await startNode(), await startNode()]
  const { pubsub } = node.services
  pubsub.subscribe(TOPIC)
  let marks = 0
  pubsub.addEventListener('message', ({ detail }) => void (detail.data.length === 1 && marks++))
  await stranger.dial(node.getMultiaddrs()[0] as ReturnType<typeof multiaddr>)
  const { pubsub: theirs } = stranger.services
  const hasHeard = () => theirs.getSubscribers(TOPIC).length > 0
  await until(hasHeard, [theirs, 'subscription-change'])
  const send = async (topic: string, count: number): Promise<void> => {
    const seen = marks
    for (let sent = 0; sent < count; sent += 1_000) {
      const messages = Array.from({ length: 1_000 }, () => ({ topic, data: systemRandom.bytes(12) }))
      expect(inside(stranger).sendRpc(node.peerId.toString(), { messages })).toBe(true)
    }
    // One stream: what comes behind all of it has come when it was looked at.
    await theirs.publish(TOPIC, Uint8Array.of(seen))
    await until(() => marks > seen, [pubsub, 'message'])
  }
  return { node, send }
}

test('Messages on topics that a node is not in leave no trace in it', async () => {
  const { node, send } = await nodeAndStranger()
  await send('another', 5_000)
  expect(remembered(node)).toBe(1)
})

test('Of messages on its own topics a node remembers so many and no more, the latest', async () => {
  const { node, send } = await nodeAndStranger()
  const { pubsub } = node.services
  for (let i = 0; i < 4; i++) await send(TOPIC, MAX_REMEMBERED / 4 + 1_000)
  expect(remembered(node)).toBeGreaterThan(0)
  let beats = 0
  pubsub.addEventListener('gossipsub:heartbeat', () => void beats++)
  await until(() => beats > 0, [pubsub, 'gossipsub:heartbeat'])
  expect(remembered(node)).toBe(MAX_REMEMBERED)
}, 30_000)
