/** The carrier that stands on libp2p. */

import type { Connection as Libp2pConnection, PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { DEFAULT_LISTEN, DIALS, platformTransports } from '#defaults'
import type { AbortOptions } from '../common/abort.ts'
import { type Clock, systemClock, type Timer } from '../common/clock.ts'
import { AfpError } from '../common/errors.ts'
import { TypedEventTarget } from '../common/events.ts'
import { type Random, systemRandom } from '../common/random.ts'
import type { Identity } from '../identity/keys.ts'
import { peerOf, reachOf } from './addresses.ts'
import type { Carrier, CarrierEvents, Channel, Connection, GossipHandler, LinkKind } from './carrier.ts'
import type { IceServer } from './ice-server.ts'
import { Libp2pChannel, Libp2pLink } from './libp2p-channel.ts'
import { createNode, type Node, type TransportFactory } from './node.ts'
import { RelayKeeper } from './relay-keeper.ts'

/** Options of {@link libp2pCarrier}. */
export interface Libp2pCarrierOptions {
  identity: Identity
  /** Multiaddrs of relays, each ending in its id. */
  relays?: readonly string[] | undefined
  /** Multiaddrs to listen on; default: what the platform can. */
  listen?: readonly string[] | undefined
  /** Transports beside the platform's own, such as WebRTC in Node. */
  transports?: readonly ExtraTransport[] | undefined
  iceServers?: readonly IceServer[] | undefined
  /** See `NodeOptions.score`. */
  score?: ((peer: string) => number) | undefined
  clock?: Clock | undefined
  random?: Random | undefined
}

/** A transport that comes from an optional package. */
export interface ExtraTransport {
  /** What its addresses are called, e.g. `webrtc`. */
  readonly name: 'webrtc'
  /** Multiaddrs to listen on for it. */
  readonly listen: readonly string[]
  /** @internal libp2p's factory */
  readonly factory: unknown
}

/** How often own addresses are looked at, ms: libp2p's own event comes a second after a reservation. */
const ADDRESS_POLL = 50
/** The same while no reservation is awaited, ms. */
const CALM_ADDRESS_POLL = 250

/** Channels that one protocol may have open on one connection, in each direction. */
const MAX_STREAMS = 64

/** Makes a carrier on libp2p; `start()` brings it up. */
export function libp2pCarrier(options: Libp2pCarrierOptions): Carrier {
  return new Libp2pCarrier(options)
}

class Libp2pCarrier extends TypedEventTarget<CarrierEvents> implements Carrier {
  readonly id: string
  readonly #options: Libp2pCarrierOptions
  readonly #clock: Clock
  readonly #dials: typeof DIALS
  readonly #links = new Map<string, Libp2pLink>()
  readonly #handlers = new Map<string, (channel: Channel) => void>()
  readonly #gossip = new Map<string, GossipHandler>()
  #node: Node | undefined
  #keeper: RelayKeeper | undefined
  #addresses: readonly string[] = []
  #poll: Timer | undefined

  constructor(options: Libp2pCarrierOptions) {
    super()
    this.id = options.identity.id
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#dials = { ...DIALS, webrtc: DIALS.webrtc || (options.transports ?? []).some(({ name }) => name === 'webrtc') }
  }

  async start({ signal }: AbortOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const { identity, relays = [], transports = [], listen = DEFAULT_LISTEN, iceServers = [] } = this.#options
    const node = await createNode({
      seed: identity.seed,
      transports: [...platformTransports(iceServers), ...transports.map(({ factory }) => factory as TransportFactory)],
      // One `/p2p-circuit` for each relay. Never `<relay>/p2p-circuit`: such a relay is not reserved again once it was
      // lost, and one that is down makes the start fail.
      listen: [...relays.map(() => '/p2p-circuit'), ...listen, ...transports.flatMap(transport => transport.listen)],
      relays: new Set(relays.map(relay => peerOf(relay) as string)),
      score: this.#options.score,
      clock: this.#clock,
      // An address that the application named is one that it counts on.
      mustListen: this.#options.listen !== undefined,
    })
    this.#node = node
    node.addEventListener('connection:open', event => this.#opened(event.detail))
    node.addEventListener('connection:close', event => this.#closed(event.detail.id))
    const { pubsub } = node.services
    pubsub.addEventListener('subscription-change', event => {
      const { peerId, subscriptions } = event.detail
      for (const { topic, subscribe } of subscriptions) {
        if (this.#gossip.has(topic)) {
          this.emit('subscription', { topic, peer: peerId.toString(), subscribed: subscribe })
        }
      }
    })
    try {
      for (const protocol of this.#handlers.keys()) await this.#register(protocol)
    } catch (cause) {
      // libp2p's own locks use a BroadcastChannel, which Firefox refuses where cookies are blocked.
      throw new AfpError('NETWORK_FAILED', `the network cannot start: ${(cause as Error).message}`, { cause })
    }
    try {
      await node.start()
    } catch (cause) {
      throw new AfpError('NETWORK_FAILED', `cannot listen on ${listen}`, { cause })
    }
    for (const topic of this.#gossip.keys()) this.#joinGossip(topic)
    this.#look()
    // A reservation counts as a new listener.
    node.addEventListener('transport:listening', () => this.#look())
    this.#keeper = new RelayKeeper({
      relays,
      clock: this.#clock,
      random: this.#options.random ?? systemRandom,
      dial: (address, dialSignal) => node.dial(multiaddr(address), { signal: dialSignal }),
      onState: state => this.emit('relay', state),
    })
    this.#keeper.start()
  }

  async stop(): Promise<void> {
    this.#poll?.cancel()
    this.#keeper?.stop()
    const node = this.#node
    this.#node = undefined
    if (node === undefined) return
    // libp2p does not wait until what was sent is read: sockets that came in it destroys.
    await Promise.all(this.connections().map(link => link.close()))
    await node.stop()
    for (const id of [...this.#links.keys()]) this.#closed(id)
  }

  addresses(): readonly string[] {
    return this.#addresses
  }

  reach(address: string): LinkKind | undefined {
    return reachOf(address, this.#dials)
  }

  async dial(peer: string, addresses: readonly string[], options?: AbortOptions): Promise<Connection> {
    const connection = await this.#running().dial(
      addresses.map(address => multiaddr(address)),
      // Its types know no absent signal; without one it allows ten seconds.
      // Without `force` libp2p hands back a connection that exists, and a relayed link would never be left for a better.
      { ...(options as { signal: AbortSignal }), force: true },
    )
    const answered = connection.remotePeer.toString()
    if (answered !== peer) {
      const error = new AfpError('NETWORK_FAILED', `dialled ${peer}, but ${answered} answered`)
      connection.abort(error)
      throw error
    }
    return this.#opened(connection)
  }

  connections(): readonly Connection[] {
    return [...this.#links.values()]
  }

  handle(protocol: string, handler: (channel: Channel) => void): void {
    this.#handlers.set(protocol, handler)
    if (this.#node !== undefined) void this.#register(protocol)
  }

  subscribe(topic: string, handler: GossipHandler): void {
    this.#gossip.set(topic, handler)
    if (this.#node !== undefined) this.#joinGossip(topic)
  }

  unsubscribe(topic: string): void {
    if (!this.#gossip.delete(topic) || this.#node === undefined) return
    const { pubsub } = this.#node.services
    pubsub.unsubscribe(topic)
    pubsub.topicValidators.delete(topic)
  }

  subscribers(topic: string): readonly string[] {
    return this.#node?.services.pubsub.getSubscribers(topic).map(peer => peer.toString()) ?? []
  }

  async publish(topic: string, data: Uint8Array): Promise<readonly string[]> {
    const { recipients } = await this.#running().services.pubsub.publish(topic, data)
    return recipients.map(peer => peer.toString())
  }

  #running(): Node {
    if (this.#node === undefined) throw new AfpError('CLOSED', 'the network is not running')
    return this.#node
  }

  #opened(connection: Libp2pConnection): Libp2pLink {
    const known = this.#links.get(connection.id)
    if (known !== undefined) return known
    const link = new Libp2pLink(connection)
    this.#links.set(link.id, link)
    this.#keeper?.connected(link)
    this.emit('connection:open', link)
    return link
  }

  #closed(id: string): void {
    const link = this.#links.get(id)
    if (link === undefined) return
    this.#links.delete(id)
    this.#keeper?.disconnected(link, this.connections())
    this.emit('connection:close', link)
  }

  async #register(protocol: string): Promise<void> {
    await this.#node?.handle(
      protocol,
      (stream, connection) => {
        const channel = new Libp2pChannel(this.#opened(connection), stream)
        this.#handlers.get(protocol)?.(channel)
      },
      { runOnLimitedConnection: true, maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS, force: true },
    )
  }

  #joinGossip(topic: string): void {
    const { pubsub } = this.#running().services
    pubsub.topicValidators.set(topic, async (peer: PeerId, message) => {
      const handler = this.#gossip.get(topic)
      // The verdicts have the names that gossipsub's own enumeration gives them.
      const verdict = handler === undefined ? 'ignore' : await handler(message.data, peer.toString())
      return verdict as never
    })
    pubsub.subscribe(topic)
  }

  /** Tells when the own addresses have changed, now and from now on. */
  #look(): void {
    this.#poll?.cancel()
    // What closes as the node stops changes its addresses once more.
    if (this.#node === undefined) return
    const awaiting = this.#keeper?.awaiting ?? true
    this.#poll = this.#clock.after(awaiting ? ADDRESS_POLL : CALM_ADDRESS_POLL, () => this.#look())
    const addresses = this.#node.getMultiaddrs().map(address => address.toString())
    if (`${addresses}` === `${this.#addresses}`) return
    this.#addresses = addresses
    this.#keeper?.reserved(addresses)
    this.emit('addresses', addresses)
  }
}
