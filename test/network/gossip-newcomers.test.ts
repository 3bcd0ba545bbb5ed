import { expect, test } from 'vitest'
import type { Node } from '../../src/network/node.ts'
import { presenceTopic } from '../../src/network/topics.ts'
import { until } from '../relay/support.ts'
import { startNode } from './bare-node.ts'

const TOPIC = 'one of the node'

interface Rpc {
  readonly subscriptions: readonly { subscribe: boolean; topic: string }[]
  readonly messages: readonly never[]
  readonly control?: { readonly ihave: readonly { readonly messageIDs: readonly Uint8Array[] }[] }
}
interface Inside {
  sendRpc(peer: string, rpc: Rpc): boolean
  heartbeat(): Promise<void>
}
const inside = ({ services }: Node): Inside => services.pubsub as unknown as Inside

/** A node in a topic, a neighbour that says whether it is, and how many messages the node has offered it each time. */
async function neighbours(topic: string) {
  const node = await startNode()
  const neighbour = await startNode()
  node.services.pubsub.subscribe(topic)
  await neighbour.dial(node.getMultiaddrs()[0] as never)
  const says = async (...subscribes: boolean[]): Promise<void> => {
    const heard = new Promise(resolve =>
      node.services.pubsub.addEventListener('subscription-change', resolve, { once: true }),
    )
    const subscriptions = subscribes.map(subscribe => ({ subscribe, topic }))
    await until(
      () => inside(neighbour).sendRpc(`${node.peerId}`, { subscriptions, messages: [] }),
      [neighbour.services.pubsub, 'gossipsub:heartbeat'],
    )
    await heard
    await heartbeat.call(node.services.pubsub)
  }
  const offered: number[] = []
  const { sendRpc, heartbeat } = inside(node)
  // None but those of this test: what it says ages by heartbeats.
  inside(node).heartbeat = async () => {}
  inside(node).sendRpc = (peer, rpc) => {
    for (const { messageIDs } of rpc.control?.ihave ?? []) offered.push(messageIDs.length)
    return sendRpc.call(node.services.pubsub, peer, rpc)
  }
  return { says, offered, publish: (byte: number) => node.services.pubsub.publish(topic, Uint8Array.of(byte)) }
}

test('Who comes into a topic again and again, or says so again, is told of each message once', async () => {
  const { says, offered, publish } = await neighbours(TOPIC)
  for (let i = 0; i < 5; i++) await publish(i)
  await says(true)
  expect(offered).toEqual([5])
  await says(true)
  expect(offered).toEqual([5])
  await says(false, true)
  await says(false)
  await publish(5)
  await says(true)
  expect(offered).toEqual([5, 1])
})

test('Nobody is told of the presence of some seconds ago: it would bring back who has gone', async () => {
  const { says, offered, publish } = await neighbours(presenceTopic('demo'))
  await publish(1)
  await says(true)
  expect(offered).toEqual([])
})
