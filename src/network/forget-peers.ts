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
  const gone = new Map<string, PeerId>()
  let timer: Timer | undefined
  const connected = (peer: PeerId): boolean => node.getConnections(peer).length > 0
  const sweep = (): void => {
    timer = undefined
    // A relay that is dialled on the way to somebody is looked up in its row.
    const dialled = new Set(node.getDialQueue().map(({ peerId }) => `${peerId}`))
    for (const [id, peer] of gone) {
      if (dialled.has(id)) continue
      gone.delete(id)
      if (!connected(peer)) node.peerStore.delete(peer).catch(() => {})
    }
    if (gone.size > 0) timer = clock.after(FORGET_AFTER, sweep)
  }
  const absent = (peer: PeerId): void => {
    if (node.status === 'stopped' || connected(peer)) return
    gone.set(peer.toString(), peer)
    timer ??= clock.after(FORGET_AFTER, sweep)
  }
  node.addEventListener('peer:disconnect', ({ detail }) => absent(detail))
  // A dial that failed leaves a row too.
  node.addEventListener('peer:update', ({ detail }) => absent(detail.peer.id))
  node.addEventListener('stop', () => timer?.cancel())
}
