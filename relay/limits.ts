/** What a relay gives at the most: each bound, its unit and its default. */

import { AfpError } from '../src/common/errors.ts'

/** Bounds of a relay. */
export interface RelayLimits {
  /**
   * Connections at a time; further ones are refused. One peer has at most 16. An address (of IPv6 the first 64 bits) has
   * at most as many as are left for all others, so half of them where all come from one, as behind a proxy on another
   * machine; the relay's own, 127.0.0.1 or ::1, may have all. Default 2,048.
   */
  readonly maxConnections: number
  /**
   * Peers that may hold a slot, through which others reach them; shared between addresses as connections are. Default
   * 1,024.
   */
  readonly maxReservations: number
  /** How long a slot lasts before its peer has to ask again, seconds. Default 3,600. */
  readonly reservationTtl: number
  /**
   * What one relayed connection may carry, both directions together, bytes; then it is cut. Tabs that cannot get through
   * to each other talk over such connections for as long as they live. Default 1 GiB.
   */
  readonly maxRelayedBytes: number
  /** How long one relayed connection may last, seconds; then it is cut. Default 86,400. */
  readonly maxRelayedSeconds: number
  /**
   * Relayed connections that one peer may have open, in each direction, over all its connections; libp2p brings at most
   * 300 to a peer over one of them. Of those to a peer, who asks has at most as many as are left for all others, and so
   * has an address, shared as connections are. Default 256.
   */
  readonly maxRelayedPerPeer: number
  /** The largest gossip message, bytes. Default 1 MiB, as agents have it. */
  readonly maxGossipBytes: number
  /**
   * New gossip messages that one peer may hand over a second before its score falls. Agents forward up to 800, whoever
   * wrote them: with less than that, strangers can have honest ones muted. Default 1,000.
   */
  readonly maxGossipRate: number
  /** Meshes at a time, where every mesh is allowed; shared between addresses as connections are. Default 1,024. */
  readonly maxMeshes: number
  /** Gossip topics of one mesh, beside its presence; shared between addresses as connections are. Default 256. */
  readonly maxTopicsPerMesh: number
  /** Gossip topics that are heeded of one peer. Default 128. */
  readonly maxTopicsPerPeer: number
  /** Gossip topics of all meshes together, beside presence; shared between addresses as connections are. Default 8,192. */
  readonly maxTopics: number
}

/** The bounds that can change while a relay runs; the others are fixed when it starts. */
export const LIVE_LIMITS = [
  'maxGossipRate',
  'maxMeshes',
  'maxTopicsPerMesh',
  'maxTopicsPerPeer',
  'maxTopics',
] as const satisfies readonly (keyof RelayLimits)[]

/** See {@link RelayLimits}. */
export const DEFAULT_RELAY_LIMITS: RelayLimits = {
  maxConnections: 2_048,
  maxReservations: 1_024,
  reservationTtl: 3_600,
  maxRelayedBytes: 1_073_741_824,
  maxRelayedSeconds: 86_400,
  maxRelayedPerPeer: 256,
  maxGossipBytes: 1_048_576,
  maxGossipRate: 1_000,
  maxMeshes: 1_024,
  maxTopicsPerMesh: 256,
  maxTopicsPerPeer: 128,
  maxTopics: 8_192,
}

/** The longest timer of the platform is 2^31 - 1 ms; a longer one would fire at once. */
const MAX_SECONDS = Math.floor((2 ** 31 - 1) / 1_000)

/** The highest value of those bounds that have one below 2^53. */
const CEILINGS: Partial<RelayLimits> = { reservationTtl: MAX_SECONDS, maxRelayedSeconds: MAX_SECONDS }

/**
 * The defaults with `given` over them.
 * @throws AfpError INVALID_OPTION for an unknown name or a value that is not a whole number in its range
 */
export function relayLimits(given: Partial<RelayLimits> = {}): RelayLimits {
  const known = new Set(Object.keys(DEFAULT_RELAY_LIMITS))
  for (const [name, value] of Object.entries(given)) {
    if (!known.has(name)) throw new AfpError('INVALID_OPTION', `there is no limit called ${JSON.stringify(name)}`)
    const ceiling = CEILINGS[name as keyof RelayLimits] ?? Number.MAX_SAFE_INTEGER
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1 && value <= ceiling)) {
      throw new AfpError('INVALID_OPTION', `${name} is a whole number from 1 to ${ceiling}, not ${String(value)}`)
    }
  }
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return { ...DEFAULT_RELAY_LIMITS, ...set }
}
