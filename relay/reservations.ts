/**
 * Frees the slots of peers that are gone. A slot otherwise lasts until it expires, and since most tabs come back with
 * another identity, a busy hour of page loads would use up every slot there is.
 */

import type { PeerId } from '@libp2p/interface'
import { type Clock, repeat, type Timer } from '../src/common/clock.ts'

/** How often absent peers are looked for, ms; a peer has to be absent twice in a row. */
const SWEEP = 15_000

/** The part of a circuit relay's table that is needed here. */
export interface ReservationTable extends Iterable<[PeerId, { readonly signal: { clear(): void } }]> {
  delete(peer: PeerId): boolean | undefined
}

/** Sweeps until the timer is cancelled. A peer that reconnects at once keeps its slot. */
export function freeAbandonedReservations(
  table: ReservationTable,
  clock: Clock,
  connected: (peer: string) => boolean,
): Timer {
  let absent = new Set<string>()
  return repeat(
    clock,
    () => SWEEP,
    () => {
      const stillAbsent = new Set<string>()
      for (const [peer, { signal }] of [...table]) {
        const id = peer.toString()
        if (connected(id)) continue
        if (!absent.has(id)) {
          stillAbsent.add(id)
          continue
        }
        // When its time is up the old slot deletes whatever the peer holds by then, so its timer is stopped first.
        signal.clear()
        table.delete(peer)
      }
      absent = stillAbsent
    },
  )
}
