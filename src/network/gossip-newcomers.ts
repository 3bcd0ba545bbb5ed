/**
 * Tells whoever comes into a topic what has just been said in it. Gossipsub forwards to those whose subscription it
 * knows, and offers the rest, once a second, to those that it does not forward to: who begins to be forwarded to in
 * between gets neither. A message can be quicker than a subscription that was made before it, on another way.
 *
 * Who comes again, or says so again, is told only what is new since: coming all the time costs no more than being there.
 * Of presence nobody is told: that is said again all the time, and what is some seconds old brings back who has gone.
 */

import type { GossipSub } from '@libp2p/gossipsub'
import { parseTopic } from './topics.ts'

/** Messages that a newcomer is told of at the most, of some three seconds: gossipsub reads 5,000 ids at a time. */
const MAX_OFFERED = 1_024

/** Heartbeats after which nothing is offered any more that was before: gossipsub keeps what is younger than three. */
const OFFERED_FOR = 3

/** What of gossipsub's own is used: it gives no other way. */
interface Inside {
  readonly mcache: { getGossipIDs(topics: ReadonlySet<string>): ReadonlyMap<string, readonly Uint8Array[]> }
  readonly opts: { readonly scoreThresholds: { readonly gossipThreshold: number } }
  getScore(peer: string): number
  sendRpc(peer: string, rpc: object): boolean
}

const isPresence = (topic: string): boolean => {
  const parsed = parseTopic(topic)
  return parsed !== undefined && parsed.name === undefined
}

/** See the head of this file. */
export function tellNewcomers(pubsub: GossipSub): void {
  const inside = pubsub as unknown as Inside
  /** Topics that peers came into since the last heartbeat; no more than gossipsub keeps of them. */
  const newcomers = new Map<string, Set<string>>()
  /** When peers were last told of topics, by peer and topic, the longest ago first, and since when ids could be told. */
  const told = new Map<string, number>()
  const firstSaid = new WeakMap<Uint8Array, number>()
  let beat = 0
  pubsub.addEventListener('subscription-change', ({ detail: { peerId, subscriptions } }) => {
    const peer = peerId.toString()
    const topics = newcomers.get(peer) ?? new Set()
    for (const { topic, subscribe } of subscriptions) {
      if (subscribe && !isPresence(topic)) topics.add(topic)
      else topics.delete(topic)
    }
    if (topics.size > 0) newcomers.set(peer, topics)
    else newcomers.delete(peer)
  })
  pubsub.addEventListener('gossipsub:heartbeat', () => {
    beat++
    for (const [key, at] of told) {
      if (beat - at < OFFERED_FOR) break
      told.delete(key)
    }
    if (newcomers.size === 0) return
    const said = inside.mcache.getGossipIDs(new Set([...newcomers.values()].flatMap(topics => [...topics])))
    for (const id of [...said.values()].flat()) if (!firstSaid.has(id)) firstSaid.set(id, beat)
    for (const [peer, topics] of newcomers) {
      if (inside.getScore(peer) < inside.opts.scoreThresholds.gossipThreshold) continue
      let room = MAX_OFFERED
      const ihave = [...topics].flatMap(topicID => {
        const before = told.get(`${peer} ${topicID}`) ?? 0
        // By heartbeats, the newest first.
        const fresh = said.get(topicID)?.filter(id => (firstSaid.get(id) as number) > before) ?? []
        const messageIDs = fresh.slice(0, room)
        room -= messageIDs.length
        return messageIDs.length > 0 ? [{ topicID, messageIDs }] : []
      })
      const control = { ihave, iwant: [], graft: [], prune: [], idontwant: [] }
      if (ihave.length === 0 || !inside.sendRpc(peer, { subscriptions: [], messages: [], control })) continue
      for (const { topicID } of ihave) {
        told.delete(`${peer} ${topicID}`)
        told.set(`${peer} ${topicID}`, beat)
      }
    }
    newcomers.clear()
  })
}
