/** What upper floors see of peers and links. */

import type { AbortOptions } from '../common/abort.ts'
import type { TypedEventTarget } from '../common/events.ts'
import type { Card } from '../identity/card.ts'
import type { LinkKind, LinkTransport } from './carrier.ts'
import type { AnyFrame } from './frames-to-be.ts'
import type { Patience } from './write-queue.ts'

export { type AnyFrame, type FrameMaker, type FrameToBe, madeFrames } from './frames-to-be.ts'
export { closedEarly, type Deadline, type Patience } from './write-queue.ts'

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
  /** This side failed at it, which says nothing about the sender. */
  | 'internal'

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
  relay: { address: string; state: 'connecting' | 'connected' | 'reserved' | 'lost'; error?: Error | undefined }
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
  /** Closes the channels with an agent, of which nothing more is read. It may come again. */
  drop(peer: string): void
  /** Dials an address outside what presence tells. Resolves when hellos are exchanged. */
  connect(address: string, options?: AbortOptions): Promise<Link>
  /** Somebody waits for an agent that is not online: where its address is known all the same it is dialled soon. */
  hurry(peer: string): void
  /**
   * Makes sure that there is a link to an agent that is online, dialling if there is none.
   * @throws AfpRoutingError NO_ROUTE
   */
  open(peer: string, options?: AbortOptions): Promise<Link>
  /**
   * Hands a frame to a connection with `peer`, dialling if there is none. Frames that are ready in one turn of the event
   * loop leave in one write, and what is to become a frame becomes one with its like there. A peer that reads slowly, or
   * not at all, keeps it waiting: whoever cannot wait brings a signal, which holds all the way, or a deadline, which holds
   * once there is a link: when it fires before the frame is handed over, the frame is taken back and never leaves;
   * afterwards it does nothing.
   * @throws AfpRoutingError NO_ROUTE, or QUEUE_FULL when too much waits for this peer already; the signal's reason. The
   *   frame was not handed over then, except that with NO_ROUTE a connection may have broken while it was being written
   */
  send(peer: string, frame: AnyFrame, options?: Patience): Promise<void>
  /**
   * Joins a topic of this mesh. Resolves when the relays are in it too, so that what is published from then on has a way
   * here; a relay that does not join within two seconds is not waited for. Never rejects.
   */
  join(topic: string): Promise<void>
  leave(topic: string): void
  /**
   * Signs and publishes a payload; resolves with the ids of the peers it was handed to.
   * @throws AfpMessageError MESSAGE_TOO_LARGE for one that does not fit a MiB of gossip
   */
  publish(topic: string, payload: Uint8Array): Promise<readonly string[]>
}
