/**
 * The streams on which a node hands gossip to its neighbours. Gossipsub opens one as a neighbour comes, one neighbour
 * after the other, writes into it whether it is read or not, and never opens another. Here what waits for those who do
 * not read is bounded: beyond that a stream is given up with all that waits in it, which gossip may lose, and whoever is
 * without one gets a new one.
 */

import type { Libp2p, PeerId, Stream } from '@libp2p/interface'

/** What may wait for one neighbour, bytes: some seconds of a busy mesh. */
export const MAX_UNREAD = 8_388_608
/** What may wait for all of them together, bytes; then the longest queues are given up. */
export const MAX_UNREAD_IN_ALL = 67_108_864
/** Heartbeats that a neighbour is without a stream before it gets another: the first one may take its time. */
const PATIENCE = 3

/** What of gossipsub's own is used: it gives no other way. */
export interface GossipStreams {
  readonly peers: ReadonlyMap<string, PeerId>
  readonly streamsOutbound: ReadonlyMap<string, { readonly rawStream: Stream }>
  createOutboundStream(peer: PeerId, connection: object): Promise<void>
}

/** See the head of this file. */
export function keepGossipStreams(node: Libp2p<{ pubsub: EventTarget }>): void {
  const { pubsub } = node.services
  const { peers, streamsOutbound } = pubsub as unknown as GossipStreams
  /** Heartbeats for which neighbours have been without a stream. */
  const without = new Map<string, number>()
  const opening = new Set<string>()

  const boundUnread = (): void => {
    const streams = Array.from(streamsOutbound.values(), ({ rawStream }) => rawStream)
    let unread = streams.reduce((sum, { writeBufferLength }) => sum + writeBufferLength, 0)
    if (unread <= MAX_UNREAD_IN_ALL) return
    streams.sort((a, b) => b.writeBufferLength - a.writeBufferLength)
    for (const stream of streams) {
      if (unread <= MAX_UNREAD_IN_ALL) break
      unread -= stream.writeBufferLength
      stream.abort(new Error('too much gossip waits to be read'))
    }
  }

  const open = async (id: string, peer: PeerId): Promise<void> => {
    // Gossip does not run over relayed connections, which are limited.
    const connection = node.getConnections(peer).find(({ status, limits }) => status === 'open' && limits === undefined)
    if (connection === undefined || opening.has(id)) return
    opening.add(id)
    try {
      await (pubsub as unknown as GossipStreams).createOutboundStream(peer, connection)
    } finally {
      opening.delete(id)
    }
  }

  pubsub.addEventListener('gossipsub:heartbeat', () => {
    boundUnread()
    for (const id of without.keys()) if (!peers.has(id) || streamsOutbound.has(id)) without.delete(id)
    for (const [id, peer] of peers) {
      if (streamsOutbound.has(id)) continue
      const beats = (without.get(id) ?? 0) + 1
      without.set(id, beats)
      if (beats > PATIENCE) void open(id, peer)
    }
  })
}
