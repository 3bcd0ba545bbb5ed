/**
 * Bounds the relayed connections of each peer. libp2p bounds the streams of one connection, and takes the bound towards
 * the peer that is reached from its own circuit transport; a peer may have several connections.
 */

import type { PeerId, Stream } from '@libp2p/interface'

/** A request to the peer that is to be reached, as libp2p's circuit relay makes it. */
interface StopRequest {
  readonly connection: { readonly remotePeer: PeerId }
  /** Names the peer that asked. */
  readonly request: { readonly peer?: { readonly id: Uint8Array } | undefined }
}

/** The part of libp2p's circuit relay that is needed here. */
interface Circuits {
  /** The stream to the peer that is reached, for as long as the relayed connection lives; nothing where it refuses. */
  stopHop(stop: StopRequest, options: object): Promise<Stream | undefined>
}

/** Has a circuit relay refuse what is beyond `limit` from one peer, or to one. */
export function boundRelayed(circuits: object, limit: number): void {
  const counts = new Map<string, number>()
  const count = (ends: readonly string[], change: 1 | -1): void => {
    for (const end of ends) {
      const now = (counts.get(end) ?? 0) + change
      if (now === 0) counts.delete(end)
      else counts.set(end, now)
    }
  }
  const relay = circuits as Circuits
  const stopHop = relay.stopHop.bind(relay)
  relay.stopHop = async (stop, options) => {
    const ends = [`from ${stop.request.peer?.id}`, `to ${stop.connection.remotePeer}`]
    if (ends.some(end => (counts.get(end) ?? 0) >= limit)) return undefined
    count(ends, 1)
    const over = (): void => count(ends, -1)
    const stream = await stopHop(stop, options).catch(error => {
      over()
      throw error
    })
    if (stream?.status === 'open') stream.addEventListener('close', over, { once: true })
    else over()
    return stream
  }
}
