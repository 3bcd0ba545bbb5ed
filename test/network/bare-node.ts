/** A libp2p node as agents and relays have it, with nothing above it. */

import { onTestFinished } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
import { platformTransports } from '../../src/network/defaults.ts'
import { createNode, type Node } from '../../src/network/node.ts'

/** One that listens on loopback, and is stopped when the test is over. */
export async function startNode(listen: readonly string[] = ['/ip4/127.0.0.1/tcp/0']): Promise<Node> {
  const { seed } = await createIdentity()
  const node = await createNode({ seed, transports: platformTransports([]), listen })
  onTestFinished(() => Promise.resolve(node.stop()))
  await node.start()
  return node
}
