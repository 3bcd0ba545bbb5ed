/**
 * What carries the mesh: connections, byte channels and gossip between peers whose ids are proved. One implementation
 * stands on libp2p, one on a seeded network in memory. Everything AFP adds (frames, hello, presence, who dials whom) is
 * above this interface and written once.
 */

import type { AbortOptions } from '../common/abort.ts'
import type { TypedEventTarget } from '../common/events.ts'

/** Whether bytes go straight to the peer or through a relay that forwards them. */
export type LinkKind = 'direct' | 'relayed'

/** What a connection runs on. */
export type LinkTransport = 'webrtc' | 'websocket' | 'tcp' | 'circuit' | 'memory' | 'other'

/** A connection whose remote peer id is proved. */
export interface Connection {
  /** Unique within this carrier. */
  readonly id: string
  /** The remote peer's id. */
  readonly peer: string
  readonly kind: LinkKind
  readonly transport: LinkTransport
  /** Whether this side dialled. */
  readonly outbound: boolean
  /** Opens a byte channel for a protocol. Rejects when the peer does not speak it. */
  open(protocol: string, options?: AbortOptions): Promise<Channel>
  /** Closes the connection and every channel on it. */
  close(): Promise<void>
  /** Drops the connection at once, discarding what is not sent. */
  abort(reason: Error): void
}

/** What a channel tells its user. */
export interface ChannelHandler {
  /** Bytes arrived, in order. Chunk borders mean nothing. */
  data(chunk: Uint8Array): void
  /** Nothing more will arrive or leave; called once. */
  closed(error: Error | undefined): void
}

/** An ordered, reliable, two-way sequence of bytes. */
export interface Channel {
  readonly connection: Connection
  /** Starts the flow of bytes to `handler`; to be called once, in the turn in which the channel was handed over. */
  attach(handler: ChannelHandler): void
  /** Hands bytes over; false when the peer is slower than the sender: wait for {@link Channel.drained} then. */
  send(data: Uint8Array): boolean
  /** Resolves when more can be sent; rejects when the channel closes. */
  drained(options?: AbortOptions): Promise<void>
  /**
   * Calls back when this turn of the event loop is over: until then what is written gathers. Left out: when its microtasks
   * are, as on a network that stands on a driven clock.
   */
  afterTurn?(run: () => void): void
  /** Stops the flow of bytes to the handler, and with it, after some buffers, the remote sender. */
  pause(): void
  resume(): void
  /** Sends what is queued, then ends this side. */
  close(): Promise<void>
  /** Drops the channel at once; the other side sees an error. */
  abort(reason: Error): void
}

/** A gossip message's fate: delivered and forwarded, dropped in silence, or dropped and held against its forwarder. */
export type Verdict = 'accept' | 'ignore' | 'reject'

/** Judges, and where it accepts delivers, what gossip brings. `from` is the peer that forwarded it, not the author. */
export type GossipHandler = (data: Uint8Array, from: string) => Verdict | Promise<Verdict>

/** What a carrier tells. */
export interface CarrierEvents {
  'connection:open': Connection
  'connection:close': Connection
  /** The addresses under which this peer can be reached have changed. */
  addresses: readonly string[]
  /** A relay was connected, reserved or lost. */
  relay: { address: string; state: 'connecting' | 'connected' | 'reserved' | 'lost'; error?: Error | undefined }
  /** A peer joined or left a gossip topic that this peer is in. */
  subscription: { topic: string; peer: string; subscribed: boolean }
}

/** See the head of this file. */
export interface Carrier extends TypedEventTarget<CarrierEvents> {
  /** This peer's id. */
  readonly id: string
  start(options?: AbortOptions): Promise<void>
  stop(): Promise<void>
  /** Addresses under which this peer can be dialled now, each ending in its id. */
  addresses(): readonly string[]
  /** The best kind of link that an address could give this peer, or undefined where it cannot dial it at all. */
  reach(address: string): LinkKind | undefined
  /** Makes a new connection to `peer` over one of `addresses`, beside those that exist. */
  dial(peer: string, addresses: readonly string[], options?: AbortOptions): Promise<Connection>
  connections(): readonly Connection[]
  /** Takes channels that peers open for `protocol`. */
  handle(protocol: string, handler: (channel: Channel) => void): void
  /** Joins a gossip topic. */
  subscribe(topic: string, handler: GossipHandler): void
  unsubscribe(topic: string): void
  /** Peers known to be in a topic that this peer is in. */
  subscribers(topic: string): readonly string[]
  /** Sends to the topic; resolves with the peers it was handed to, which may be none. It is not echoed to its sender. */
  publish(topic: string, data: Uint8Array): Promise<readonly string[]>
}
