import { expect, test } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
import { GOSSIP_SKEW } from '../../src/network/gossip.ts'
import { createNode } from '../../src/network/node.ts'

test('gossip remembers what it has seen for longer than an old message is taken for a new one', async () => {
  const node = await createNode({ seed: (await createIdentity()).seed, transports: [], listen: [] })
  // What gossipsub was really set up with: forgotten messages would come back as new ones.
  const { opts } = node.services.pubsub as unknown as { opts: { seenTTL: number } }
  expect(opts.seenTTL).toBeGreaterThan(2 * GOSSIP_SKEW)
})
