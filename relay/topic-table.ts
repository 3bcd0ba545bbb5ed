/**
 * Which gossip topics a relay is in: those of allowed meshes that its peers are in, within bounds. No I/O here: the table
 * says what to join and to leave.
 */

import { parseTopic, presenceTopic } from '../src/network/topics.ts'

/** Which meshes a relay serves. */
export type AllowedMeshes = 'any' | readonly string[]

/** The bounds that the table keeps; see `RelayLimits`. */
export interface TopicLimits {
  readonly maxMeshes: number
  readonly maxTopicsPerMesh: number
  readonly maxTopicsPerPeer: number
  readonly maxTopics: number
}

/** Why a topic that a peer is in is not joined. */
export type TopicRefusal = 'not-a-topic' | 'mesh' | 'meshes' | 'topics' | 'topics-per-mesh' | 'topics-per-peer'

/** What became of a wish: `known` if the relay is in the topic already. */
export type Wish = 'join' | 'known' | TopicRefusal

/** What to do after a sweep or a change of rules. */
export interface TopicChanges {
  readonly join: readonly string[]
  readonly leave: readonly string[]
}

/**
 * How long a topic is kept after its last peer left, ms. Joining and leaving are told to every connected peer, so one
 * that comes and goes must not make the relay do the same.
 */
export const TOPIC_LINGER = 30_000

/** Topics that one peer can make the relay join, a second, beyond its first `maxTopicsPerPeer`. */
const JOINS_PER_SECOND = 4

interface Entry {
  readonly mesh: string
  readonly peers: Set<string>
  joined: boolean
  /** Since when nobody is in it, by the monotonic clock. */
  idleSince: number | undefined
}

interface Peer {
  readonly topics: Set<string>
  /** How many topics it may still make the relay join, as of `countedAt`. */
  credit: number
  countedAt: number
}

/** See the head of this file. */
export class TopicTable {
  readonly #now: () => number
  readonly #entries = new Map<string, Entry>()
  readonly #peers = new Map<string, Peer>()
  /** Joined topics of each mesh. */
  readonly #meshes = new Map<string, Set<string>>()
  #joined = 0
  #allowed: ReadonlySet<string> | undefined
  #limits: TopicLimits

  /** @param now - a monotonic clock, ms */
  constructor(allowed: AllowedMeshes, limits: TopicLimits, now: () => number) {
    this.#now = now
    this.#allowed = allowed === 'any' ? undefined : new Set(allowed)
    this.#limits = limits
  }

  /** Whether the relay is in a topic. */
  has(topic: string): boolean {
    return this.#entries.get(topic)?.joined === true
  }

  /** Meshes that the relay is in, with their topics. */
  meshes(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#meshes
  }

  /** Peers that are in a topic. */
  peers(topic: string): ReadonlySet<string> {
    return this.#entries.get(topic)?.peers ?? new Set()
  }

  /** A peer is in a topic. Refused wishes of a known form are kept, and fulfilled when there is room. */
  wants(peer: string, topic: string): Wish {
    const parsed = parseTopic(topic)
    if (parsed === undefined) return 'not-a-topic'
    const known = this.#peers.get(peer)
    if (known?.topics.has(topic)) return this.has(topic) ? 'known' : (this.#refusal(topic, parsed.mesh) ?? 'known')
    if ((known?.topics.size ?? 0) >= this.#limits.maxTopicsPerPeer) return 'topics-per-peer'
    const holder = known ?? { topics: new Set(), credit: this.#limits.maxTopicsPerPeer, countedAt: this.#now() }
    this.#peers.set(peer, holder)
    holder.topics.add(topic)
    const entry = this.#entry(topic, parsed.mesh)
    entry.peers.add(peer)
    entry.idleSince = undefined
    if (entry.joined) return 'known'
    return this.#tryJoin(topic, entry) ?? 'join'
  }

  /** A peer left a topic. */
  leaves(peer: string, topic: string): void {
    const entry = this.#entries.get(topic)
    if (entry === undefined || !entry.peers.delete(peer)) return
    this.#peers.get(peer)?.topics.delete(topic)
    if (entry.peers.size > 0) return
    if (entry.joined) entry.idleSince = this.#now()
    else this.#entries.delete(topic)
  }

  /** A peer is gone. */
  forget(peer: string): void {
    for (const topic of [...(this.#peers.get(peer)?.topics ?? [])]) this.leaves(peer, topic)
    this.#peers.delete(peer)
  }

  /** Leaves what nobody has been in for a while, then joins what waited for room. */
  sweep(): TopicChanges {
    const leave: string[] = []
    for (const [topic, entry] of this.#entries) {
      const idle = entry.idleSince !== undefined && this.#now() - entry.idleSince >= TOPIC_LINGER
      const barred = entry.joined && !this.#allows(entry.mesh)
      if (!entry.joined || !(idle || barred) || (!barred && this.#pinned(topic, entry.mesh))) continue
      this.#unjoin(topic, entry)
      leave.push(topic)
    }
    const join: string[] = []
    for (const mesh of this.#allowed ?? []) {
      const topic = presenceTopic(mesh)
      const entry = this.#entry(topic, mesh)
      if (!entry.joined && this.#tryJoin(topic, entry) === undefined) join.push(topic)
    }
    for (const [topic, entry] of this.#entries) {
      if (!entry.joined && this.#tryJoin(topic, entry) === undefined) join.push(topic)
    }
    return { join, leave }
  }

  /** Changes the rules; topics beyond smaller bounds stay until nobody is in them. */
  rule(allowed: AllowedMeshes, limits: TopicLimits): TopicChanges {
    this.#allowed = allowed === 'any' ? undefined : new Set(allowed)
    this.#limits = limits
    return this.sweep()
  }

  #entry(topic: string, mesh: string): Entry {
    const known = this.#entries.get(topic)
    if (known !== undefined) return known
    const entry: Entry = { mesh, peers: new Set(), joined: false, idleSince: undefined }
    this.#entries.set(topic, entry)
    return entry
  }

  #allows(mesh: string): boolean {
    return this.#allowed?.has(mesh) ?? true
  }

  /** The presence of a mesh that was named is joined whether anybody is there or not. */
  #pinned(topic: string, mesh: string): boolean {
    return this.#allowed !== undefined && topic === presenceTopic(mesh)
  }

  #refusal(topic: string, mesh: string): TopicRefusal | undefined {
    if (!this.#allows(mesh)) return 'mesh'
    if (this.#pinned(topic, mesh)) return undefined
    const topics = this.#meshes.get(mesh)
    if (topics === undefined && this.#allowed === undefined && this.#meshes.size >= this.#limits.maxMeshes)
      return 'meshes'
    if ((topics?.size ?? 0) >= this.#limits.maxTopicsPerMesh) return 'topics-per-mesh'
    return this.#joined >= this.#limits.maxTopics ? 'topics' : undefined
  }

  #tryJoin(topic: string, entry: Entry): TopicRefusal | undefined {
    const refusal = this.#refusal(topic, entry.mesh)
    if (refusal !== undefined) return refusal
    if (!this.#pinned(topic, entry.mesh) && ![...entry.peers].some(peer => this.#pays(peer))) return 'topics-per-peer'
    entry.joined = true
    this.#joined++
    const topics = this.#meshes.get(entry.mesh)
    if (topics === undefined) this.#meshes.set(entry.mesh, new Set([topic]))
    else topics.add(topic)
    return undefined
  }

  #unjoin(topic: string, entry: Entry): void {
    entry.joined = false
    entry.idleSince = undefined
    this.#joined--
    const topics = this.#meshes.get(entry.mesh)
    topics?.delete(topic)
    if (topics?.size === 0) this.#meshes.delete(entry.mesh)
    if (entry.peers.size === 0) this.#entries.delete(topic)
  }

  /** Whether a peer may make the relay join one more topic; one that changes its topics all the time has to wait. */
  #pays(id: string): boolean {
    const peer = this.#peers.get(id)
    if (peer === undefined) return false
    const now = this.#now()
    const earned = ((now - peer.countedAt) / 1_000) * JOINS_PER_SECOND
    peer.credit = Math.min(this.#limits.maxTopicsPerPeer, peer.credit + earned)
    peer.countedAt = now
    if (peer.credit < 1) return false
    peer.credit--
    return true
  }
}
