/** What neighbours did that no honest one does: gossip thinks less of them for it, for a while. */

import { type Clock, repeat, type Timer } from '../common/clock.ts'
import type { EnvelopeRefusal } from '../delivery/arrived.ts'
import type { RefusalReason } from '../network/network.ts'

/**
 * Reasons that no honest neighbour gives. Late replies, expiry, other limits, an overload or a failure of this side say
 * nothing about who they came from.
 */
const FAULTS: ReadonlySet<RefusalReason | EnvelopeRefusal> = new Set([
  'malformed',
  'too-deep',
  'bad-signature',
  'bad-card',
  'undecryptable',
  'wrong-author',
])

/** How long a fault is held against a neighbour, ms at most. */
const MEMORY = 60_000

/** The most neighbours whose faults are counted. */
const MAX_PEERS = 1_024

/** See the head of this file. */
export class Standing {
  readonly #faults = new Map<string, number>()
  readonly #forgetting: Timer

  constructor(clock: Clock) {
    this.#forgetting = repeat(
      clock,
      () => MEMORY,
      () => this.#faults.clear(),
    )
  }

  /** Notes that something from a neighbour was refused. */
  refused(peer: string, reason: RefusalReason | EnvelopeRefusal): void {
    if (!FAULTS.has(reason)) return
    // Ids cost nothing: whoever makes so many would be forgotten no later than by a new one.
    if (this.#faults.size >= MAX_PEERS) this.#faults.clear()
    this.#faults.set(peer, (this.#faults.get(peer) ?? 0) + 1)
  }

  /** What gossip is to think of a neighbour: 0, and less for each fault. */
  score(peer: string): number {
    return 0 - (this.#faults.get(peer) ?? 0)
  }

  close(): void {
    this.#forgetting.cancel()
  }
}
