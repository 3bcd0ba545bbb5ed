import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, test } from 'vitest'
import { RelayGossip } from '../../relay/gossip.ts'
import { relayLimits } from '../../relay/limits.ts'
import { systemClock } from '../../src/common/clock.ts'
import { topicOf } from '../../src/network/topics.ts'
import { testPeer, until } from './support.ts'

describe('the relay’s bookkeeping of gossip', () => {
  test.each([true, false])('topics of a peer are heeded only while it is connected (%s)', async connected => {
    const keeper = await testPeer([], { listen: true })
    const gossip = new RelayGossip({
      meshes: 'any',
      limits: relayLimits(),
      clock: systemClock,
      addressOf: () => (connected ? multiaddr('/ip4/192.0.2.1/tcp/1') : undefined),
      onTopic: () => {},
      onRefused: () => {},
    })
    gossip.attach(keeper.node.services.pubsub)
    const topic = topicOf('demo', 'news')
    const ada = await testPeer(keeper.node.getMultiaddrs().map(address => address.toString()))
    ada.join(topic)
    const { pubsub } = keeper.node.services
    await until(() => pubsub.getSubscribers(topic).length === 1, [pubsub, 'subscription-change'])
    expect(gossip.table.has(topic)).toBe(connected)
  })
})
