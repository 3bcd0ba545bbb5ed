/** Gossip in memory: flooded over simulated hops, with the seen set and the verdicts that gossipsub has. */

import { sha256 } from '@noble/hashes/sha2.js'
import { toHex } from '../common/bytes.ts'
import type { CarrierEvents, GossipHandler, Verdict } from './carrier.ts'
import type { MemoryConnection } from './memory-connection.ts'
import type { Medium } from './memory-lane.ts'

/** How long what was seen is remembered, ms; as the libp2p carrier does. */
const SEEN_MS = 300_000

/** How many messages are remembered. */
const MAX_SEEN = 65_536

/** What gossip needs of the peer it belongs to. */
export interface GossipHost {
  readonly place: string
  /** Whether it forwards every topic of its neighbours, as relays do. */
  readonly relays: boolean
  emitSubscription(detail: CarrierEvents['subscription']): void
}

/** See the head of this file. */
export class MemoryGossip {
  readonly #medium: Medium
  readonly #host: GossipHost
  readonly #handlers = new Map<string, GossipHandler>()
  /** Open connections by peer, those that gossip prefers first. */
  readonly #ways = new Map<string, MemoryConnection[]>()
  readonly #topicsOf = new Map<string, Set<string>>()
  readonly #announced = new Set<string>()
  /** Digests of what came, with the time: in order, so that the oldest are the first. */
  readonly #seen = new Map<string, number>()
  readonly #rejections = new Map<string, number>()

  constructor(medium: Medium, host: GossipHost) {
    this.#medium = medium
    this.#host = host
  }

  subscribe(topic: string, handler: GossipHandler): void {
    this.#handlers.set(topic, handler)
    this.#announce()
  }

  unsubscribe(topic: string): void {
    if (this.#handlers.delete(topic)) this.#announce()
  }

  subscribers(topic: string): readonly string[] {
    return [...this.#topicsOf].flatMap(([peer, topics]) => (topics.has(topic) ? [peer] : []))
  }

  /** How often what a peer forwarded was rejected. */
  rejections(peer: string): number {
    return this.#rejections.get(peer) ?? 0
  }

  publish(topic: string, data: Uint8Array): readonly string[] {
    const bytes = data.slice()
    if (!this.#note(topic, bytes)) return []
    const peers = this.subscribers(topic)
    for (const peer of peers) this.#hop(topic, bytes, peer)
    return peers
  }

  opened(connection: MemoryConnection): void {
    const ways = this.#ways.get(connection.peer) ?? []
    ways.push(connection)
    ways.sort((a, b) => Number(a.kind === 'relayed') - Number(b.kind === 'relayed'))
    this.#ways.set(connection.peer, ways)
    for (const topic of this.#announced) this.#tell(connection, topic, true)
  }

  closed(connection: MemoryConnection): void {
    const ways = this.#ways.get(connection.peer)?.filter(way => way !== connection) ?? []
    if (ways.length > 0) {
      this.#ways.set(connection.peer, ways)
      return
    }
    this.#ways.delete(connection.peer)
    // No event: gossipsub has none for a neighbour that is gone, and nobody may come to rely on one.
    this.#topicsOf.delete(connection.peer)
    this.#announce()
  }

  /** A neighbour says that it joined or left a topic. */
  told(peer: string, topic: string, subscribed: boolean): void {
    if (!this.#ways.has(peer)) return
    const topics = this.#topicsOf.get(peer) ?? new Set()
    this.#topicsOf.set(peer, topics)
    if (topics.has(topic) === subscribed) return
    if (subscribed) topics.add(topic)
    else topics.delete(topic)
    this.#changed(topic, peer, subscribed)
    this.#announce()
  }

  /** A neighbour forwards a message. */
  async received(topic: string, data: Uint8Array, from: string): Promise<void> {
    const handler = this.#handlers.get(topic)
    if ((handler === undefined && !this.#host.relays) || !this.#note(topic, data)) return
    const verdict = handler === undefined ? 'accept' : await judged(handler, data, from)
    if (verdict === 'reject') {
      this.#rejections.set(from, this.rejections(from) + 1)
      this.#medium.record('rejected', from, this.#host.place, topic, data.length)
    }
    if (verdict !== 'accept') return
    for (const peer of this.subscribers(topic)) if (peer !== from) this.#hop(topic, data, peer)
  }

  #hop(topic: string, data: Uint8Array, peer: string): void {
    const way = this.#ways.get(peer)?.[0]
    if (way === undefined) return
    // gossipsub promises nothing: what a cut meets is gone, where a channel would hold it until the way is free.
    const path = way.outbound ? way.wire.path : way.wire.path.toReversed()
    if (!this.#medium.passes(path)) return this.#medium.record('lost', this.#host.place, peer, topic, data.length)
    way.gossip.push(data.length, () => way.remote.gossiped(way, topic, data))
  }

  /** Tells neighbours which topics were joined and left since they were told last. */
  #announce(): void {
    const wanted = new Set(this.#handlers.keys())
    if (this.#host.relays) {
      for (const [peer, topics] of this.#topicsOf) {
        // Not for other relays: two of them would keep each other in a topic for ever.
        if (this.#ways.get(peer)?.[0]?.remote.relays) continue
        for (const topic of topics) wanted.add(topic)
      }
    }
    const left = [...this.#announced].filter(topic => !wanted.has(topic))
    const joined = [...wanted].filter(topic => !this.#announced.has(topic))
    for (const topic of left) this.#announced.delete(topic)
    for (const topic of joined) this.#announced.add(topic)
    for (const [way] of this.#ways.values()) {
      if (way === undefined) continue
      for (const topic of left) this.#tell(way, topic, false)
      for (const topic of joined) this.#tell(way, topic, true)
    }
  }

  #tell(way: MemoryConnection, topic: string, subscribed: boolean): void {
    way.gossip.pushReliable(0, () => way.remote.announced(way, topic, subscribed))
  }

  #changed(topic: string, peer: string, subscribed: boolean): void {
    if (this.#handlers.has(topic)) this.#host.emitSubscription({ topic, peer, subscribed })
  }

  /** Notes a message; false when it was seen before. By a hash of all of it: an id inside could be anybody's. */
  #note(topic: string, data: Uint8Array): boolean {
    const now = this.#medium.clock.monotonic()
    for (const [digest, at] of this.#seen) {
      if (this.#seen.size < MAX_SEEN && now - at < SEEN_MS) break
      this.#seen.delete(digest)
    }
    const key = `${topic} ${toHex(sha256(data))}`
    if (this.#seen.has(key)) return false
    this.#seen.set(key, now)
    return true
  }
}

/** The handler's verdict; one that fails says nothing about the neighbour. */
const judged = async (handler: GossipHandler, data: Uint8Array, from: string): Promise<Verdict> => {
  try {
    return await handler(data.slice(), from)
  } catch {
    return 'ignore'
  }
}
