/** What neighbours did that no honest one does: gossip thinks less of them for it for a while, and who goes on loses its channels. */

import { type Clock, repeat, type Timer } from '../common/clock.ts'
import type { EnvelopeRefusal } from '../delivery/arrived.ts'
import type { RefusalReason } from '../network/network.ts'

/**
 * Reasons that no honest neighbour gives. Late replies, expiry, other limits, an overload or a failure of this side say
 * nothing about who they came from.
 */
export const FAULTS: ReadonlySet<RefusalReason | EnvelopeRefusal> = new Set([
  'malformed',
  'too-deep',
  'bad-signature',
  'bad-card',
  'undecryptable',
  'wrong-author',
])

/** How long a fault is held against a neighbour, ms at most. */
const MEMORY = 60_000

/**
 * The most faults within that time over a neighbour's own links: looking at a forged frame costs a signature, and an
 * honest neighbour has none to show. A fault that a version or a store of an earlier day explains is repeated every few
 * seconds at the most.
 */
export const MAX_FAULTS = 64

/** The most neighbours whose faults are counted. */
const MAX_PEERS = 1_024

/** See the head of this file. */
export class Standing {
  readonly #faults = new Map<string, number>()
  /** Those over a neighbour's own links: what it forwards may be another's. */
  readonly #own = new Map<string, number>()
  readonly #forgetting: Timer

  constructor(clock: Clock) {
    this.#forgetting = repeat(
      clock,
      () => MEMORY,
      () => {
        this.#faults.clear()
        this.#own.clear()
      },
    )
  }

  /** Notes that something from a neighbour was refused. */
  refused(peer: string, reason: RefusalReason | EnvelopeRefusal): void {
    if (!FAULTS.has(reason)) return
    count(this.#faults, peer)
  }

  /** Notes that a frame of a neighbour's own was refused; whether it is one too many. */
  exceeded(peer: string, reason: EnvelopeRefusal): boolean {
    return FAULTS.has(reason) && count(this.#own, peer) > MAX_FAULTS
  }

  /** What gossip is to think of a neighbour: 0, and less for each fault. */
  score(peer: string): number {
    return 0 - (this.#faults.get(peer) ?? 0)
  }

  close(): void {
    this.#forgetting.cancel()
  }
}

function count(faults: Map<string, number>, peer: string): number {
  const sum = (faults.get(peer) ?? 0) + 1
  // The one whose last fault was the longest ago gives way, and nobody else: ids cost nothing.
  faults.delete(peer)
  for (const oldest of faults.keys()) {
    if (faults.size < MAX_PEERS) break
    faults.delete(oldest)
  }
  faults.set(peer, sum)
  return sum
}
