/**
 * Bounds the relayed connections of each peer, and shares those towards a peer between all who ask for them. libp2p
 * bounds the streams of one connection, and takes the bound towards the peer that is reached from its own circuit
 * transport; a peer may have several connections, and one stranger would have them all.
 */

import type { PeerId, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { placeOf } from '../src/network/address-share.ts'

/** A request to be connected, with the connection that it came over. */
interface HopRequest {
  readonly connection: { readonly remotePeer: PeerId; readonly remoteAddr: Multiaddr }
}

/** A request to the peer that is to be reached, as libp2p's circuit relay makes it. */
interface StopRequest {
  readonly connection: { readonly remotePeer: PeerId }
}

/** The part of libp2p's circuit relay that is needed here. */
interface Circuits {
  /** Asks the peer that is to be reached, and joins its stream with the one of the peer that asked. */
  handleConnect(hop: HopRequest, options: object): Promise<void>
  /** The stream to the peer that is reached, for as long as the relayed connection lives; nothing where it refuses. */
  stopHop(stop: StopRequest, options: object): Promise<Stream | undefined>
}

/** Who asked for a relayed connection, and where from; nowhere for the own machine, whose proxy brings everybody. */
interface Asker {
  readonly peer: string
  readonly place: string | undefined
}

/**
 * Has a circuit relay refuse what is beyond `limit` from one peer, or to one; and to one also what would leave who asks,
 * or the address it asks from, with more than are left for all others.
 */
export function boundRelayed(circuits: object, limit: number): void {
  const relay = circuits as Circuits
  const { handleConnect } = relay
  /** Those that each peer has asked for. */
  const asked = new Map<string, number>()
  /** Who has those to each peer. */
  const towards = new Map<string, Set<Asker>>()

  const refused = ({ peer, place }: Asker, taken: ReadonlySet<Asker>): boolean => {
    const left = limit - taken.size
    const held = (same: (other: Asker) => boolean): number => [...taken].filter(same).length
    return (
      left <= 0 ||
      (asked.get(peer) ?? 0) >= limit ||
      held(other => other.peer === peer) >= left ||
      (place !== undefined && held(other => other.place === place) >= left)
    )
  }

  /** Counts one until the function that it returns is called; nothing where that would be too many. */
  const take = (asker: Asker, to: string): (() => void) | undefined => {
    const taken = towards.get(to) ?? new Set()
    if (refused(asker, taken)) return undefined
    towards.set(to, taken.add(asker))
    asked.set(asker.peer, (asked.get(asker.peer) ?? 0) + 1)
    return () => {
      taken.delete(asker)
      if (taken.size === 0) towards.delete(to)
      const left = (asked.get(asker.peer) ?? 1) - 1
      if (left === 0) asked.delete(asker.peer)
      else asked.set(asker.peer, left)
    }
  }

  relay.handleConnect = function (this: Circuits, hop, options) {
    const { remotePeer, remoteAddr } = hop.connection
    const asker: Asker = { peer: `${remotePeer}`, place: placeOf(remoteAddr) }
    const stopHop: Circuits['stopHop'] = async (stop, stopOptions) => {
      const over = take(asker, `${stop.connection.remotePeer}`)
      if (over === undefined) return undefined
      const stream = await this.stopHop(stop, stopOptions).catch(error => {
        over()
        throw error
      })
      if (stream?.status === 'open') stream.addEventListener('close', over, { once: true })
      else over()
      return stream
    }
    return handleConnect.call(Object.assign(Object.create(this), { stopHop }), hop, options)
  }
}
