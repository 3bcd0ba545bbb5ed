/**
 * Bounds what gossipsub remembers. It has no bound of its own on messages that it has seen, which it notes before anybody
 * looks at them: whoever can connect could fill the memory of a node with nonsense.
 */

import type { GossipSub, GossipsubOpts } from '@libp2p/gossipsub'

/** Messages that are remembered at the most, some 500 bytes each: ten minutes of a busy mesh. */
export const MAX_REMEMBERED = 32_768

/** What of gossipsub's own is looked into: it gives no other way. */
interface Remembered {
  /** Ids of messages, the oldest first. */
  readonly seenCache: { readonly entries: Map<string, unknown> }
  readonly score: {
    readonly deliveryRecords: {
      readonly records: Map<string, unknown>
      /** The oldest first. */
      readonly queue: { readonly length: number; shift(): { readonly msgId: string } | undefined }
    }
  }
}

/** The one place in gossipsub that sees a message before its id is noted: one that it refuses leaves no trace. */
export const onlyTopics = (takes: (topic: string) => boolean): GossipsubOpts['dataTransform'] & object => ({
  inboundTransform: (topic, data) => {
    if (!takes(topic)) throw new Error('not a topic of this node')
    return data
  },
  outboundTransform: (_topic, data) => data,
})

/**
 * Forgets the oldest messages beyond a number, each second. One that comes again after that is looked at again: whoever
 * takes messages knows their ids for longer.
 */
export function boundGossip(pubsub: GossipSub): void {
  pubsub.addEventListener('gossipsub:heartbeat', () => {
    const { seenCache, score } = pubsub as unknown as Remembered
    for (const id of seenCache.entries.keys()) {
      if (seenCache.entries.size <= MAX_REMEMBERED) break
      seenCache.entries.delete(id)
    }
    const { records, queue } = score.deliveryRecords
    while (queue.length > MAX_REMEMBERED) records.delete(queue.shift()?.msgId as string)
  })
}
