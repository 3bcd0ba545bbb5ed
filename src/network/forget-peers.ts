/**
 * Has libp2p forget peers that have gone. Its peer store keeps a row of each peer for hours, and looks for rows that are
 * out of date only when it is asked for that peer: with visitors who come once it would grow for as long as the node
 * lives. Nothing here reads those rows later: who is dialled again is dialled by addresses.
 */

import type { Libp2p, PeerId } from '@libp2p/interface'
import type { Clock, Timer } from '../common/clock.ts'

/** How long a row outlives its peer, ms: libp2p looks into it to tell gossip of the end, and writes to it once more. */
const FORGET_AFTER = 5_000

/** Forgets for as long as the node runs. */
export function forgetPeers(node: Libp2p, clock: Clock): void {
  let gone: PeerId[] = []
  let timer: Timer | undefined
  const look = (peer: PeerId): void => {
    if (node.status === 'stopped' || node.getConnections(peer).length > 0) return
    gone.push(peer)
    timer ??= clock.after(FORGET_AFTER, () => {
      timer = undefined
      // Who is back stays; so does a relay that is dialled on the way to somebody, and is looked up in its row.
      const kept = new Set([...node.getPeers(), ...node.getDialQueue().map(({ peerId }) => peerId)].map(String))
      for (const left of gone) if (!kept.has(`${left}`)) void node.peerStore.delete(left)
      gone = []
    })
  }
  node.addEventListener('peer:disconnect', ({ detail }) => look(detail))
  // A dial that failed leaves a row too.
  node.addEventListener('peer:update', ({ detail }) => look(detail.peer.id))
  node.addEventListener('stop', () => timer?.cancel())
}
