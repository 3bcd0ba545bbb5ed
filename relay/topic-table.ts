/**
 * Which gossip topics a relay is in: those of allowed meshes that its peers are in, within bounds. Each topic, and each
 * mesh, is charged to the place of a peer that wants it, lest a few strangers take what there is from all others. No I/O
 * here: the table says what to join and to leave.
 */

import { Shares } from '../src/network/shares.ts'
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
 * How long a topic is kept after its last peer left, or the last that it could be charged to, ms. Joining and leaving are told to every connected peer, so one
 * that comes and goes must not make the relay do the same.
 */
export const TOPIC_LINGER = 30_000

/** Topics that one peer can make the relay join, a second, beyond its first `maxTopicsPerPeer`. */
const JOINS_PER_SECOND = 4

/** What is charged to the place of a peer that wants it. */
interface Charged {
  payer: string | undefined
  /** Where the payer is; once that is gone, where it was. */
  place: string | undefined
  /** Since when nobody pays, by the monotonic clock. */
  idleSince: number | undefined
}

interface Entry extends Charged {
  readonly mesh: string
  readonly presence: boolean
  readonly peers: Set<string>
  joined: boolean
}

interface Mesh extends Charged {
  /** Those that are joined. */
  readonly topics: Set<string>
  /** The same without presence. */
  readonly shares: Shares
}

/** What is shared between places, and how much of it there is. */
type Bound = readonly [shares: Shares, max: number]

interface Peer {
  readonly place: string | undefined
  readonly topics: Set<string>
  /** How many topics it may still make the relay join, as of `countedAt`. */
  credit: number
  countedAt: number
}

const UNPAID: Charged = { payer: undefined, place: undefined, idleSince: undefined }

const isFull = ([shares, max]: Bound, place: string | undefined): boolean => shares.full(place, max)

/** See the head of this file. */
export class TopicTable {
  readonly #now: () => number
  readonly #entries = new Map<string, Entry>()
  readonly #peers = new Map<string, Peer>()
  /** Those with a joined topic. */
  readonly #meshes = new Map<string, Mesh>()
  readonly #meshShares = new Shares()
  readonly #topicShares = new Shares()
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
  meshes(): ReadonlyMap<string, { readonly topics: ReadonlySet<string> }> {
    return this.#meshes
  }

  /** Peers that are in a topic. */
  peers(topic: string): ReadonlySet<string> {
    return this.#entries.get(topic)?.peers ?? new Set()
  }

  /**
   * A peer is in a topic. Refused wishes of a known form are kept, and fulfilled when there is room.
   *
   * @param place - where the peer is, heeded with its first wish: one place has no more than are left for all others;
   *   undefined for the relay's own machine, which may have all that is left
   */
  wants(peer: string, topic: string, place: string | undefined): Wish {
    const parsed = parseTopic(topic)
    if (parsed === undefined) return 'not-a-topic'
    const known = this.#peers.get(peer)
    const holder = known ?? { place, topics: new Set(), credit: this.#limits.maxTopicsPerPeer, countedAt: this.#now() }
    const again = holder.topics.has(topic)
    if (!again && holder.topics.size >= this.#limits.maxTopicsPerPeer) return 'topics-per-peer'
    const entry = this.#entry(topic, parsed.mesh)
    if (again) return entry.joined ? 'known' : (this.#refusal(entry, holder.place) ?? 'known')
    this.#peers.set(peer, holder)
    holder.topics.add(topic)
    entry.peers.add(peer)
    if (entry.joined) return 'known'
    return this.#tryJoin(topic, entry, [peer]) ?? 'join'
  }

  /** A peer left a topic. Who else can pay for it is looked for with the next sweep. */
  leaves(peer: string, topic: string): void {
    const entry = this.#entries.get(topic)
    if (entry === undefined || !entry.peers.delete(peer)) return
    this.#peers.get(peer)?.topics.delete(topic)
    if (entry.payer === peer) this.#idle(entry)
    if (entry.peers.size === 0 && !entry.joined) this.#entries.delete(topic)
  }

  /** A peer is gone. */
  forget(peer: string): void {
    for (const topic of [...(this.#peers.get(peer)?.topics ?? [])]) this.leaves(peer, topic)
    this.#peers.delete(peer)
  }

  /** Leaves what nobody has paid for in a while, then joins what waited for room. */
  sweep(): TopicChanges {
    for (const entry of this.#entries.values()) {
      if (entry.joined) this.#settle(entry, [entry.peers], this.#boundsOf(entry))
    }
    for (const mesh of this.#meshes.values()) {
      const groups = [...mesh.topics].map(topic => (this.#entries.get(topic) as Entry).peers)
      this.#settle(mesh, groups, [this.#boundOfMeshes()])
    }
    const leave: string[] = []
    for (const [topic, entry] of this.#entries) {
      if (!entry.joined || (this.#allows(entry.mesh) && !this.#isOver(entry))) continue
      this.#unjoin(topic, entry)
      leave.push(topic)
    }
    for (const mesh of this.#allowed ?? []) this.#entry(presenceTopic(mesh), mesh)
    const join: string[] = []
    for (const [topic, entry] of this.#entries) {
      if (!entry.joined && this.#tryJoin(topic, entry, entry.peers) === undefined) join.push(topic)
    }
    return { join, leave }
  }

  /** Changes the rules; topics beyond smaller bounds stay while somebody is in them at the place they are charged to. */
  rule(allowed: AllowedMeshes, limits: TopicLimits): TopicChanges {
    this.#allowed = allowed === 'any' ? undefined : new Set(allowed)
    this.#limits = limits
    return this.sweep()
  }

  #entry(topic: string, mesh: string): Entry {
    const known = this.#entries.get(topic)
    if (known !== undefined) return known
    const presence = topic === presenceTopic(mesh)
    const entry: Entry = { mesh, presence, peers: new Set(), joined: false, ...UNPAID }
    this.#entries.set(topic, entry)
    return entry
  }

  #allows(mesh: string): boolean {
    return this.#allowed?.has(mesh) ?? true
  }

  /** The presence of a mesh that was named is joined whether anybody is there or not. */
  #pinned(entry: Entry): boolean {
    return this.#allowed !== undefined && entry.presence
  }

  /** Presence counts with its mesh, not as a topic: whatever topics there are, those of a mesh can meet. */
  #boundsOf({ mesh, presence }: Entry): readonly Bound[] {
    const shares = this.#meshes.get(mesh)?.shares
    if (presence || shares === undefined) return []
    const { maxTopicsPerMesh, maxTopics } = this.#limits
    return [
      [shares, maxTopicsPerMesh],
      [this.#topicShares, maxTopics],
    ]
  }

  /** Those that were named are bounded by their names. */
  #boundOfMeshes(): Bound {
    return [this.#meshShares, this.#allowed === undefined ? this.#limits.maxMeshes : Number.POSITIVE_INFINITY]
  }

  #refusal(entry: Entry, place: string | undefined): TopicRefusal | undefined {
    if (!this.#allows(entry.mesh)) return 'mesh'
    const mesh = this.#meshes.get(entry.mesh)
    if (mesh === undefined && isFull(this.#boundOfMeshes(), place)) return 'meshes'
    if (entry.presence) return undefined
    if (mesh?.shares.full(place, this.#limits.maxTopicsPerMesh)) return 'topics-per-mesh'
    return this.#topicShares.full(place, this.#limits.maxTopics) ? 'topics' : undefined
  }

  /** Joins a topic for the first of `peers` that has room and credit for it. */
  #tryJoin(topic: string, entry: Entry, peers: Iterable<string>): TopicRefusal | undefined {
    if (!this.#allows(entry.mesh)) return 'mesh'
    if (this.#pinned(entry)) return this.#join(topic, entry, UNPAID)
    let refusal: TopicRefusal = 'topics-per-peer'
    for (const payer of peers) {
      const peer = this.#peers.get(payer) as Peer
      const why = this.#refusal(entry, peer.place)
      if (why === undefined && this.#pays(peer)) {
        return this.#join(topic, entry, { payer, place: peer.place, idleSince: undefined })
      }
      refusal = why ?? 'topics-per-peer'
    }
    return refusal
  }

  #join(topic: string, entry: Entry, charge: Charged): undefined {
    Object.assign(entry, charge, { joined: true })
    const known = this.#meshes.get(entry.mesh)
    const mesh = known ?? { ...charge, topics: new Set(), shares: new Shares() }
    if (known === undefined) this.#meshShares.take(charge.place)
    this.#meshes.set(entry.mesh, mesh)
    mesh.topics.add(topic)
    for (const [shares] of this.#boundsOf(entry)) shares.take(charge.place)
  }

  #unjoin(topic: string, entry: Entry): void {
    for (const [shares] of this.#boundsOf(entry)) shares.free(entry.place)
    Object.assign(entry, UNPAID, { joined: false })
    const mesh = this.#meshes.get(entry.mesh) as Mesh
    mesh.topics.delete(topic)
    if (mesh.topics.size === 0) {
      this.#meshes.delete(entry.mesh)
      this.#meshShares.free(mesh.place)
    }
    if (entry.peers.size === 0) this.#entries.delete(topic)
  }

  /**
   * Charges what its payer has left to another one that wants it. Not to one whose place has its share: by waiting in the
   * topics of others it would come by all of them in time.
   */
  #settle(charged: Charged, groups: readonly ReadonlySet<string>[], bounds: readonly Bound[]): void {
    const { payer, place: from } = charged
    const placeOf = (id: string): string | undefined => this.#peers.get(id)?.place
    // One that went and came may be somewhere else.
    if (payer !== undefined && groups.some(peers => peers.has(payer)) && placeOf(payer) === from) return
    this.#idle(charged)
    for (const [shares] of bounds) shares.free(from)
    const mayHave = (place: string | undefined): boolean =>
      place === from || !bounds.some(bound => isFull(bound, place))
    for (const peers of groups) {
      charged.payer ??= [...peers].find(id => mayHave(placeOf(id)))
    }
    if (charged.payer !== undefined) Object.assign(charged, { place: placeOf(charged.payer), idleSince: undefined })
    for (const [shares] of bounds) shares.take(charged.place)
  }

  /** Nobody pays any more: for a while its place is taken all the same. */
  #idle(charged: Charged): void {
    charged.payer = undefined
    charged.idleSince ??= this.#now()
  }

  /** Whether nobody has paid for a topic, or for its whole mesh, in a while. */
  #isOver(entry: Entry): boolean {
    const isOver = ({ idleSince }: Charged): boolean =>
      idleSince !== undefined && this.#now() - idleSince >= TOPIC_LINGER
    return !this.#pinned(entry) && (isOver(entry) || isOver(this.#meshes.get(entry.mesh) as Mesh))
  }

  /** Whether a peer may make the relay join one more topic; one that changes its topics all the time has to wait. */
  #pays(peer: Peer): boolean {
    const now = this.#now()
    const earned = ((now - peer.countedAt) / 1_000) * JOINS_PER_SECOND
    peer.credit = Math.min(this.#limits.maxTopicsPerPeer, peer.credit + earned)
    peer.countedAt = now
    if (peer.credit < 1) return false
    peer.credit--
    return true
  }
}
