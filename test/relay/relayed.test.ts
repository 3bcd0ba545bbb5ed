import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, test } from 'vitest'
import type { Relay } from '../../relay/index.ts'
import { addressOf, hasSlot, type TestPeer, testPeer, testRelay, until } from './support.ts'

const force = { force: true } as object

/** Reaches for a peer through the relay; whether it was let. */
async function reach(from: TestPeer, relay: Relay, to: TestPeer): Promise<boolean> {
  const address = multiaddr(`${addressOf(relay, 'tcp')}/p2p-circuit/p2p/${to.id}`)
  return from.node.dial(address, force).then(
    () => true,
    () => false,
  )
}

async function reachable(relay: Relay): Promise<TestPeer> {
  const peer = await testPeer([relay], { reserve: true })
  await hasSlot(peer)
  return peer
}

const relayedWith = (peer: TestPeer) => peer.node.getConnections().filter(({ limits }) => limits !== undefined)

describe('Relayed connections of one peer', () => {
  test('are bounded towards it, whoever reaches for it, one by one or all at once, and there is room again', async () => {
    const relay = await testRelay({ limits: { maxRelayedPerPeer: 4 } })
    const [ada, bob] = [await reachable(relay), await reachable(relay)]
    const strangers = await Promise.all(Array.from({ length: 6 }, () => testPeer([relay])))
    const taken = await Promise.all(strangers.map(stranger => reach(stranger, relay, ada)))
    expect(taken.filter(Boolean)).toHaveLength(4)
    for (const stranger of strangers) expect(await reach(stranger, relay, ada)).toBe(false)
    expect(await reach(strangers[0] as TestPeer, relay, bob)).toBe(true)
    await until(() => relayedWith(ada).length === 4, [ada.node, 'connection:open'])
    const left = until(() => relayedWith(ada).length === 3, [ada.node, 'connection:close'])
    await relayedWith(ada)[0]?.close()
    await left
    // The relay's half ends with it, and what it counted: as soon as the other end hears of it.
    await until(
      () => strangers.flatMap(relayedWith).length === 4,
      ...strangers.map(({ node }) => [node, 'connection:close'] as const),
    )
    expect(await reach(strangers[5] as TestPeer, relay, ada)).toBe(true)
    expect(await reach(strangers[5] as TestPeer, relay, ada)).toBe(false)
  })

  test('are bounded from it, over all its connections to the relay', async () => {
    const relay = await testRelay({ limits: { maxRelayedPerPeer: 4 } })
    const targets = [await reachable(relay), await reachable(relay), await reachable(relay)]
    const stranger = await testPeer([relay])
    const taken: boolean[] = []
    for (const target of targets) {
      for (let i = 0; i < 2; i++) taken.push(await reach(stranger, relay, target))
      // libp2p asks over the first connection that it has: the next ones come over a new one.
      const connection = await stranger.node.dial(multiaddr(addressOf(relay, 'tcp')), force)
      const connections = stranger.node.getConnections(connection.remotePeer)
      connections.splice(0, connections.length, connection, ...connections.filter(other => other !== connection))
    }
    expect(taken).toEqual([true, true, true, true, false, false])
  })

  test('are shared towards it: one peer has no more than are left for all others, and keeps nobody out', async () => {
    const relay = await testRelay({ limits: { maxRelayedPerPeer: 8 } })
    const ada = await reachable(relay)
    const [stranger, other] = [await testPeer([relay]), await testPeer([relay])]
    const reached = async (from: TestPeer): Promise<number> => {
      const taken: boolean[] = []
      for (let i = 0; i < 8; i++) taken.push(await reach(from, relay, ada))
      return taken.filter(Boolean).length
    }
    expect(await reached(stranger)).toBe(4)
    expect(await reached(other)).toBe(2)
    expect(await reach(await testPeer([relay]), relay, ada)).toBe(true)
    // What goes is shared anew.
    const left = until(() => relayedWith(other).length === 0, [other.node, 'connection:close'])
    for (const connection of relayedWith(other)) void connection.close()
    await left
    expect(await reach(stranger, relay, ada)).toBe(false)
    expect(await reach(other, relay, ada)).toBe(true)
  })

  // Elsewhere loopback has one address.
  test.skipIf(process.platform !== 'linux')(
    'are shared between addresses too, with as many identities as there are; the relay’s own machine has the rest',
    async () => {
      const relay = await testRelay({ limits: { maxRelayedPerPeer: 8 } })
      const ada = await reachable(relay)
      const reached = async (localAddress?: string): Promise<number> => {
        const strangers = await Promise.all(Array.from({ length: 6 }, () => testPeer([relay], { localAddress })))
        const taken: boolean[] = []
        for (const stranger of strangers) taken.push(await reach(stranger, relay, ada))
        return taken.filter(Boolean).length
      }
      expect(await reached('127.0.0.2')).toBe(4)
      expect(await reached('127.0.0.3')).toBe(2)
      expect(await reached()).toBe(2)
    },
  )
})
