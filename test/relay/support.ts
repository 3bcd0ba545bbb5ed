/** Light peers and waiting for events, for the relay's tests. */

import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { onTestFinished } from 'vitest'
import { createRelay, type Relay, type RelayOptions } from '../../relay/index.ts'
import { systemRandom } from '../../src/common/random.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { peerOf } from '../../src/network/addresses.ts'
import { platformTransports } from '../../src/network/defaults.ts'
import { sealGossip } from '../../src/network/gossip.ts'
import { createNode, type Node, type TransportFactory } from '../../src/network/node.ts'

/** Free ports on loopback: nothing of a test is reachable from outside. */
export const LOOPBACK: readonly string[] = ['/ip4/127.0.0.1/tcp/0/ws', '/ip4/127.0.0.1/tcp/0']

/** A relay that is closed when the test is over. */
export async function testRelay(options: RelayOptions = {}): Promise<Relay> {
  const relay = await createRelay({ listen: LOOPBACK, ...options })
  onTestFinished(() => relay.close())
  return relay
}

/** A peer that gossips. */
export interface TestPeer {
  readonly id: string
  readonly node: Node
  readonly identity: Identity
  /** Texts that gossip brought, by topic and text. */
  readonly heard: Set<string>
  join(topic: string): void
  /** Signs a text as an agent does and publishes it. */
  say(topic: string, text: string): Promise<void>
}

const encoder = new TextEncoder()
const text = (data: Uint8Array): string => new TextDecoder().decode(data)

/** TCP from an address of this machine. */
const tcpFrom = (localAddress: string) => tcp({ dialOpts: { localAddress } } as object) as TransportFactory

/** A started peer, connected to `relays` and to nobody else; stopped when the test is over. */
export async function testPeer(
  relays: readonly (Relay | string)[],
  options: { reserve?: boolean; listen?: boolean; dial?: 'tcp' | 'ws'; localAddress?: string | undefined } = {},
): Promise<TestPeer> {
  const { localAddress } = options
  const identity = await createIdentity()
  const addresses = relays.map(relay => (typeof relay === 'string' ? relay : addressOf(relay, options.dial ?? 'tcp')))
  const node = await createNode({
    seed: identity.seed,
    transports: localAddress === undefined ? platformTransports([]) : [tcpFrom(localAddress)],
    listen: [
      ...(options.listen ? ['/ip4/127.0.0.1/tcp/0'] : []),
      ...(options.reserve ? addresses.map(() => '/p2p-circuit') : []),
    ],
    relays: new Set(addresses.map(address => peerOf(address) as string)),
  })
  onTestFinished(() => Promise.resolve(node.stop()))
  await node.start()
  for (const address of addresses) await node.dial(multiaddr(address))
  const heard = new Set<string>()
  node.services.pubsub.addEventListener('message', ({ detail }) => {
    // What is sealed holds the text as it is: good enough to know it again.
    heard.add(`${detail.topic} ${/@@([^@]*)@@/.exec(text(detail.data))?.[1]}`)
  })
  return {
    id: identity.id,
    node,
    identity,
    heard,
    join: topic => node.services.pubsub.subscribe(topic),
    say: async (topic, words) => {
      const payload = encoder.encode(`@@${words}@@`)
      const data = await sealGossip(identity, topic, [payload], { now: Date.now(), random: systemRandom })
      await node.services.pubsub.publish(topic, data)
    },
  }
}

/** The relay's address of one kind. */
export function addressOf(relay: Relay, kind: 'tcp' | 'ws'): string {
  const address = relay.addresses().find(candidate => candidate.includes('/ws/') === (kind === 'ws'))
  if (address === undefined) throw new Error(`the relay has no ${kind} address`)
  return address
}

/** Whatever has events: the platform's targets, libp2p's and this project's. */
interface Target {
  addEventListener(type: never, listener: never, options?: never): void
}

/** Resolves as soon as `done()` holds, looking after each of the events named; at once if it holds already. */
export function until(done: () => boolean, ...sources: readonly (readonly [Target, string])[]): Promise<void> {
  return new Promise(resolve => {
    const stop = new AbortController()
    const look = (): void => {
      if (!done()) return
      stop.abort()
      resolve()
    }
    // A turn later: other listeners of the same event may be what changes the answer.
    for (const [target, type] of sources) {
      const listener = (): void => void setImmediate(look)
      ;(target as unknown as EventTarget).addEventListener(type, listener, { signal: stop.signal })
    }
    look()
  })
}

/** Resolves when `peer` has heard `words` on `topic`. */
export function hears(peer: TestPeer, topic: string, words: string): Promise<void> {
  return until(() => peer.heard.has(`${topic} ${words}`), [peer.node.services.pubsub, 'message'])
}

/** Resolves when the relay is in `topic`, as far as `peer` knows. */
export function seesRelayIn(peer: TestPeer, relay: Relay, topic: string): Promise<void> {
  const { pubsub } = peer.node.services
  return until(
    () => pubsub.getSubscribers(topic).some(id => id.toString() === relay.id),
    [pubsub, 'subscription-change'],
  )
}

/** Resolves when others can reach `peer` through the relay. */
export function hasSlot(peer: TestPeer): Promise<void> {
  return until(
    () => peer.node.getMultiaddrs().some(address => address.toString().includes('/p2p-circuit')),
    [peer.node, 'self:peer:update'],
  )
}
