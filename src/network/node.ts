/**
 * The one place that makes a libp2p node, for agents and relays alike: Noise, yamux, identify, ping and gossipsub, set
 * up as this protocol needs them.
 */

import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { type GossipSub, type GossipsubOpts, gossipsub, StrictNoSign } from '@libp2p/gossipsub'
import { type Identify, identify } from '@libp2p/identify'
import { type ConnectionGater, FaultTolerance, type Libp2p, type PeerId, type Transport } from '@libp2p/interface'
import { type Ping, ping } from '@libp2p/ping'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type ServiceFactoryMap } from 'libp2p'
import { noise } from '#noise'
import { type Clock, systemClock } from '../common/clock.ts'
import { namesHost } from './addresses.ts'
import { forgetPeers } from './forget-peers.ts'
import { gossipId } from './gossip.ts'
import { boundGossip, onlyTopics } from './gossip-bounds.ts'
import { tellNewcomers } from './gossip-newcomers.ts'
import { keepGossipStreams, MAX_UNREAD } from './gossip-streams.ts'
import { boundMuxer } from './muxer.ts'

/** A libp2p transport's factory. */
export type TransportFactory = (components: never) => Transport

/** The services that every node has. */
export interface NodeServices extends Record<string, unknown> {
  identify: Identify
  ping: Ping
  pubsub: GossipSub
}

/** Options of {@link createNode}. */
export interface NodeOptions<Extra extends Record<string, unknown>> {
  /** Ed25519 seed of the node's identity, 32 bytes. */
  seed: Uint8Array
  /** Transports beside circuits. */
  transports: readonly TransportFactory[]
  /** Multiaddrs to listen on. */
  listen: readonly string[]
  /** Multiaddrs to announce instead of those it listens on, for a node behind a proxy. */
  announce?: readonly string[] | undefined
  /** Ids of the relays this node may reserve slots on. */
  relays?: ReadonlySet<string> | undefined
  /** Whether a gossip topic is one of this node's; what comes on others leaves no trace. Default: those it subscribed to. */
  topics?: ((topic: string) => boolean) | undefined
  /** Options of gossipsub beside those that every node has. */
  gossip?: Partial<GossipsubOpts> | undefined
  /** Whether `start()` rejects when one of the addresses cannot be listened on; default: it goes on without. */
  mustListen?: boolean | undefined
  /** Score of a peer in gossip, 0 for one without a fault, below for each. */
  score?: ((peer: string) => number) | undefined
  /** The most connections at a time; default {@link MAX_CONNECTIONS}. */
  maxConnections?: number | undefined
  /** What else is refused, beside connections beyond those that one peer may have. */
  gater?: Omit<ConnectionGater, 'denyInboundUpgradedConnection'> | undefined
  clock?: Clock | undefined
  /** More services. */
  services?: ServiceFactoryMap<Extra> | undefined
}

/** A libp2p node with the services above. */
export type Node<Extra extends Record<string, unknown> = Record<string, unknown>> = Libp2p<NodeServices & Extra>

/** Connections of a node that does not say how many it takes. */
export const MAX_CONNECTIONS = 300

/** New inbound connections a second from one address: a whole office shares one, and so does a machine with many tabs. */
const INBOUND_PER_SECOND = 100

/**
 * Connections with one peer. One is used, and two while a relayed link gives way to a direct one; those that were cut
 * stay until they are found out.
 */
const MAX_PER_PEER = 16

/** How long gossip remembers what it has seen, ms: longer than twice the clock skew that is allowed, so that no old message comes back. */
const GOSSIP_MEMORY = 300_000

/** Makes a node; it is not started. */
export async function createNode<Extra extends Record<string, unknown> = Record<string, never>>(
  options: NodeOptions<Extra>,
): Promise<Node<Extra>> {
  const relays = options.relays ?? new Set()
  const subscribed = (topic: string): boolean => node.services.pubsub.getTopics().includes(topic)
  const services = {
    // What needs it, gossip, does not run on relayed connections; there it would only hold up what they are opened for.
    identify: identify({ runOnLimitedConnection: false }),
    ping: ping(),
    pubsub: gossipsub({
      // Gossip carries envelopes that their authors signed: a second signature would cost more than all the rest.
      globalSignaturePolicy: StrictNoSign,
      msgIdFn: ({ topic, data }) => gossipId(topic, data),
      allowPublishToZeroTopicPeers: true,
      ignoreDuplicatePublishError: true,
      emitSelf: false,
      // Telling every neighbour not to send a small message costs more than getting it twice.
      idontwantMinDataSize: 16_384,
      seenTTL: GOSSIP_MEMORY,
      maxInboundDataLength: 1_048_576,
      // One that is given up has ended before the next one comes; each holds a message that is not whole.
      maxInboundStreams: 2,
      maxOutboundBufferSize: MAX_UNREAD,
      dataTransform: onlyTopics(options.topics ?? subscribed),
      scoreParams: {
        // Many agents share an address behind NAT, and every WebRTC address counts as its relay's.
        IPColocationFactorWeight: 0,
        appSpecificWeight: 1,
        appSpecificScore: options.score ?? (() => 0),
      },
      ...options.gossip,
    }),
    ...options.services,
  } as unknown as ServiceFactoryMap<NodeServices & Extra>
  const node: Node<Extra> = await createLibp2p<NodeServices & Extra>({
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', options.seed),
    nodeInfo: { userAgent: 'agent-flow-protocol' },
    addresses: { listen: [...options.listen], ...(options.announce ? { announce: [...options.announce] } : {}) },
    transports: [...(options.transports as ((components: unknown) => Transport)[]), circuits(relays)],
    connectionEncrypters: [noise()],
    streamMuxers: [boundMuxer(yamux())],
    // Agents live in private networks and on loopback; libp2p's browser default refuses to dial there.
    connectionGater: {
      // What a stranger's card says is dialled: nothing but hosts, whatever an address leads to.
      denyDialMultiaddr: address => !namesHost(`${address}`),
      denyInboundUpgradedConnection: peer => node.getConnections(peer).length >= MAX_PER_PEER,
      ...options.gater,
    },
    connectionManager: {
      maxConnections: options.maxConnections ?? MAX_CONNECTIONS,
      inboundConnectionThreshold: INBOUND_PER_SECOND,
      // One count for all is soon full of one stranger's. Each kind is bounded where it comes in: sockets, handshakes of
      // WebRTC and circuits.
      maxIncomingPendingConnections: Number.POSITIVE_INFINITY,
      // Whoever dials sets the limit: on a busy machine the round trips of a WebRTC dial take longer than libp2p's 6 s.
      addressDialTimeout: 10_000,
      // Reconnecting is this project's own work: libp2p gives up after five attempts.
      reconnectRetries: 0,
      // One address may stand for any number of others, each of them asked for by a lookup.
      resolvers: {},
    },
    // Nothing but a missing answer shows that a relay behind a cut cable is gone.
    // The interval is longer than the timeout: libp2p drops a connection on which two of these pings are under way.
    connectionMonitor: { pingInterval: 10_000, pingTimeout: { minTimeout: 8_000, maxTimeout: 9_000 } },
    transportManager: { faultTolerance: options.mustListen ? FaultTolerance.FATAL_ALL : FaultTolerance.NO_FATAL },
    services,
  })
  boundGossip(node.services.pubsub)
  tellNewcomers(node.services.pubsub)
  keepGossipStreams(node)
  forgetPeers(node, options.clock ?? systemClock)
  return node
}

/**
 * Circuits through the configured relays only. The filter that libp2p ships remembers each relay for ever, so a relay
 * that was lost would never be reserved again.
 */
function circuits(relays: ReadonlySet<string>): (components: unknown) => Transport {
  const factory = circuitRelayTransport({
    reservationConcurrency: Math.max(1, relays.size),
    discoveryFilter: { has: (peer: PeerId) => !relays.has(peer.toString()), add: () => {}, remove: () => {} },
  })
  return components => factory(components as never)
}
