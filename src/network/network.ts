/** What upper floors see of peers and links. */

import type { AbortOptions } from '../common/abort.ts'
import type { TypedEventTarget } from '../common/events.ts'
import type { Card } from '../identity/card.ts'
import type { LinkKind, LinkTransport } from './carrier.ts'

/** A member of the mesh with which hellos were exchanged over a live connection. */
export interface Link {
  readonly peer: string
  /** The best path open now. */
  readonly kind: LinkKind
  readonly transport: LinkTransport
  /** Round trip of the last ping, ms; undefined before the first. */
  readonly rtt: number | undefined
}

/** An agent known by its card. */
export interface Peer {
  readonly card: Card
  /** Whether its heartbeats or its link say that it is there. */
  readonly online: boolean
  /** It said that its tab is hidden, where timers may run once a minute. */
  readonly hidden: boolean
  readonly link: Link | undefined
}

/** Why something from outside was dropped. Counted under these names. */
export type RefusalReason =
  | 'malformed'
  | 'too-large'
  | 'too-deep'
  | 'wrong-version'
  | 'wrong-mesh'
  | 'no-hello'
  | 'bad-card'
  | 'bad-signature'
  | 'clock-skew'
  | 'rate'
  | 'not-for-us'
  | 'expired'
  | 'duplicate'
  | 'unsolicited'
  | 'overflow'
  | 'hook'

/** What the network tells. */
export interface NetworkEvents {
  'peer:online': Peer
  'peer:offline': { id: string; reason: 'left' | 'silent' }
  'peer:changed': Peer
  'link:open': Link
  'link:changed': Link
  'link:closed': { peer: string }
  /** Something from outside was dropped. `peer` is the neighbour it came from. */
  refused: { peer: string; reason: RefusalReason; detail?: string }
  relay: { address: string; state: 'connecting' | 'connected' | 'reserved' | 'lost'; error?: Error }
  /** Another live instance uses this identity: this one has to stop. */
  'identity:in-use': { id: string }
}

/** Where the network delivers. */
export interface NetworkSink {
  /** A frame from a member of the mesh over its own connection. A promise holds its sender back until it resolves. */
  direct(from: string, frame: Uint8Array, link: Link): void | Promise<void>
  /** A payload that `from` signed and published on a topic. */
  topic(topic: string, from: string, payload: Uint8Array): void
}

/** See the head of this file. */
export interface Network extends TypedEventTarget<NetworkEvents> {
  readonly id: string
  start(sink: NetworkSink, options?: AbortOptions): Promise<void>
  /** Says goodbye, then closes everything. */
  stop(): Promise<void>
  /** Addresses under which this agent can be dialled now. */
  addresses(): readonly string[]
  /** Tells others now that this agent's card or the visibility of its tab changed. */
  announce(): void
  /** Everyone known in the mesh, this agent left out. */
  peers(): readonly Peer[]
  /** One of them. */
  peer(id: string): Peer | undefined
  links(): readonly Link[]
  /** The link to an agent. */
  link(id: string): Link | undefined
  /** Dials an address outside what presence tells. Resolves when hellos are exchanged. */
  connect(address: string, options?: AbortOptions): Promise<Link>
  /**
   * Makes sure that there is a link to an agent that is online, dialling if there is none.
   * @throws AfpRoutingError NO_ROUTE
   */
  open(peer: string, options?: AbortOptions): Promise<Link>
  /**
   * Hands a frame to a connection with `peer`, dialling if there is none. Frames that are ready in one turn of the event
   * loop leave in one write.
   * @throws AfpRoutingError NO_ROUTE
   */
  send(peer: string, frame: Uint8Array, options?: AbortOptions): Promise<void>
  /** Joins a topic of this mesh. */
  join(topic: string): void
  leave(topic: string): void
  /** Signs and publishes a payload; resolves with the ids of the peers it was handed to. */
  publish(topic: string, payload: Uint8Array): Promise<readonly string[]>
}
