/** The face of a relay: what it is told, what it tells, what it can be asked. */

import type { Clock } from '../src/common/clock.ts'
import type { TypedEventTarget } from '../src/common/events.ts'
import type { RefusalReason } from '../src/network/network.ts'
import type { RelayLimits } from './limits.ts'
import type { AllowedMeshes, TopicRefusal } from './topic-table.ts'

/** Where a relay listens by default: WebSockets, which tabs can dial, and TCP for agents in Node. */
export const DEFAULT_RELAY_LISTEN: readonly string[] = ['/ip4/0.0.0.0/tcp/9090/ws', '/ip4/0.0.0.0/tcp/9091']

/** Options of `createRelay`. */
export interface RelayOptions {
  /**
   * Multiaddrs to listen on, TCP or WebSocket; port 0 takes a free one. Default {@link DEFAULT_RELAY_LISTEN}. TLS is for
   * a proxy in front: pages on https can dial `wss` only, so give the proxy's address in `announce`.
   */
  readonly listen?: readonly string[] | undefined
  /**
   * Multiaddrs to tell agents instead of those it listens on, e.g. `/dns4/relay.example/tcp/443/wss`. Needed behind a
   * proxy, in a container and behind NAT. Default: every address of the machine.
   */
  readonly announce?: readonly string[] | undefined
  /** Ed25519 seed of the relay's identity, 32 bytes. Default: `identityFile`, or else a new identity at each start. */
  readonly seed?: Uint8Array | undefined
  /** File that holds the relay's identity; made, for its owner's eyes only, if it is not there. Not beside `seed`. */
  readonly identityFile?: string | undefined
  /** Meshes whose gossip it carries. Default `'any'`. Slots and relayed connections are not tied to a mesh. */
  readonly meshes?: AllowedMeshes | undefined
  /** Bounds; those left out have their defaults. */
  readonly limits?: Partial<RelayLimits> | undefined
  /** Time for tests to drive. */
  readonly clock?: Clock | undefined
}

/** What a running relay can be told to change. */
export type RelayChanges = Pick<RelayOptions, 'meshes' | 'limits'>

/** What a relay tells. */
export interface RelayEvents {
  'peer:connect': { peer: string }
  'peer:disconnect': { peer: string }
  /** It joined a gossip topic. */
  'topic:join': { topic: string }
  /** It left a gossip topic, some time after the last peer did. */
  'topic:leave': { topic: string }
  /** A peer's gossip was dropped, or a topic it is in was not joined. */
  refused: { peer: string; reason: TopicRefusal | RefusalReason; topic: string; detail: string }
}

/** What a relay is doing. */
export interface RelayStats {
  /** Connected peers. */
  readonly peers: number
  readonly connections: number
  /** Slots in use, through which peers can be reached. */
  readonly reservations: number
  /** Meshes it is in: how many gossip topics of each, presence included, and how many peers are in its presence. */
  readonly meshes: readonly { readonly mesh: string; readonly topics: number; readonly peers: number }[]
}

/** A running relay. */
export interface Relay extends TypedEventTarget<RelayEvents>, AsyncDisposable {
  /** The relay's peer id. */
  readonly id: string
  /** Multiaddrs for the option `relays` of agents, each ending in the relay's id. */
  addresses(): readonly string[]
  stats(): RelayStats
  /**
   * Changes meshes and bounds while it runs; what is left out goes back to its default. Returns the names of the bounds
   * that differ but need a restart, and takes effect for all others at once. Gossip of a mesh that is no longer allowed
   * stops; connections stay.
   * @throws AfpError INVALID_OPTION, INVALID_NAME; nothing is changed then
   */
  change(changes: RelayChanges): readonly (keyof RelayLimits)[]
  /** Closes listeners and connections. May be called more than once. */
  close(): Promise<void>
}
