/**
 * Gossip at the relay: it joins the topics that its peers are in, so that tabs which share nothing but the relay reach
 * each other, and forwards what an agent signed. It delivers nothing and cannot read what is sealed.
 */

import type { GossipSub } from '@libp2p/gossipsub'
import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { type Clock, repeat, type Timer } from '../src/common/clock.ts'
import { placeOf } from '../src/network/address-share.ts'
import type { Verdict } from '../src/network/carrier.ts'
import { openGossip } from '../src/network/gossip.ts'
import type { RefusalReason } from '../src/network/network.ts'
import { Refusal } from '../src/network/refusal.ts'
import { Standing } from './standing.ts'
import {
  type AllowedMeshes,
  type TopicChanges,
  type TopicLimits,
  type TopicRefusal,
  TopicTable,
} from './topic-table.ts'

/** How often topics that nobody is in are looked for, ms. */
const SWEEP = 10_000

/** Reasons that an honest neighbour may have for forwarding something: its clock, its version or its limits differ. */
const FORGIVEN: ReadonlySet<RefusalReason> = new Set(['clock-skew', 'wrong-version', 'too-large'])

/** Bounds of a relay's gossip; see `RelayLimits`. */
export interface GossipLimits extends TopicLimits {
  readonly maxGossipBytes: number
  readonly maxGossipRate: number
}

/** What the relay's gossip needs. */
export interface RelayGossipOptions {
  readonly meshes: AllowedMeshes
  readonly limits: GossipLimits
  readonly clock: Clock
  /** Where a peer is connected from; undefined for one that is not. */
  readonly addressOf: (peer: PeerId) => Multiaddr | undefined
  readonly onTopic: (topic: string, joined: boolean) => void
  readonly onRefused: (peer: string, reason: TopicRefusal | RefusalReason, topic: string, detail: string) => void
}

/** See the head of this file. */
export class RelayGossip {
  readonly #options: RelayGossipOptions
  readonly #table: TopicTable
  readonly #standing: Standing
  #limits: GossipLimits
  #pubsub: GossipSub | undefined
  #timer: Timer | undefined

  constructor(options: RelayGossipOptions) {
    const { meshes, limits, clock } = options
    this.#options = options
    this.#limits = limits
    this.#table = new TopicTable(meshes, limits, () => clock.monotonic())
    this.#standing = new Standing(limits.maxGossipRate, () => clock.monotonic())
  }

  /** What the relay is in. */
  get table(): Pick<TopicTable, 'has' | 'meshes' | 'peers'> {
    return this.#table
  }

  /** A peer's score: 0 or, for one with faults, below. */
  score(peer: string): number {
    return this.#standing.score(peer)
  }

  /** Begins to follow what peers are in; to be called before the node starts, so that no peer is missed. */
  attach(pubsub: GossipSub): void {
    this.#pubsub = pubsub
    pubsub.addEventListener('subscription-change', ({ detail }) => {
      const peer = detail.peerId.toString()
      const address = this.#options.addressOf(detail.peerId)
      // A peer may be gone by the time its last words are read.
      if (address === undefined) return
      for (const { topic, subscribe } of detail.subscriptions) {
        if (subscribe) this.#wants(peer, topic, placeOf(address))
        else this.#table.leaves(peer, topic)
      }
    })
  }

  /** Joins the presence of the meshes that were named; to be called once the node has started. */
  start(): void {
    this.#apply(this.#table.sweep())
    this.#timer = repeat(
      this.#options.clock,
      () => SWEEP,
      () => this.#apply(this.#table.sweep()),
    )
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** A peer is gone. */
  forget(peer: string): void {
    this.#table.forget(peer)
  }

  /** Changes meshes and bounds. */
  rule(meshes: AllowedMeshes, limits: GossipLimits): void {
    this.#limits = limits
    this.#standing.rate = limits.maxGossipRate
    this.#apply(this.#table.rule(meshes, limits))
  }

  #wants(peer: string, topic: string, place: string | undefined): void {
    const wish = this.#table.wants(peer, topic, place)
    if (wish === 'join') this.#join(topic)
    else if (wish !== 'known' && wish !== 'not-a-topic') this.#options.onRefused(peer, wish, topic, 'topic not joined')
  }

  #apply({ join, leave }: TopicChanges): void {
    for (const topic of leave) {
      this.#pubsub?.unsubscribe(topic)
      this.#pubsub?.topicValidators.delete(topic)
      this.#options.onTopic(topic, false)
    }
    for (const topic of join) this.#join(topic)
  }

  #join(topic: string): void {
    this.#pubsub?.topicValidators.set(topic, async (peer: PeerId, message) => {
      // The verdicts have the names that gossipsub's own enumeration gives them.
      return (await this.#judge(topic, message.data, peer.toString())) as never
    })
    this.#pubsub?.subscribe(topic)
    this.#options.onTopic(topic, true)
  }

  async #judge(topic: string, data: Uint8Array, from: string): Promise<Verdict> {
    if (!this.#standing.message(from)) this.#options.onRefused(from, 'rate', topic, 'more than its share of messages')
    try {
      await openGossip(topic, data, { now: this.#options.clock.now(), maxBytes: this.#limits.maxGossipBytes })
      return 'accept'
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#options.onRefused(from, error.reason, topic, error.message)
      if (FORGIVEN.has(error.reason)) return 'ignore'
      this.#standing.rejected(from)
      return 'reject'
    }
  }
}
