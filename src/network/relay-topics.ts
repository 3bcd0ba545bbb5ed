/**
 * When relays are in a topic. A relay joins what its peers are in, and only then is it told others, who publish to nobody
 * until they hear of it: whoever subscribes behind a relay can be reached once the relay says that it is in the topic too.
 */

import type { Clock } from '../common/clock.ts'
import { peerOf } from './addresses.ts'
import type { Carrier } from './carrier.ts'

/** How long a relay is waited for, ms: one that does not serve the mesh, or has no room for the topic, never joins. */
const PATIENCE = 2_000

/** See the head of this file. */
export class RelayTopics {
  readonly #carrier: Carrier
  readonly #clock: Clock
  /** Relays that are connected, or about to be. */
  readonly #relays = new Set<string>()
  readonly #waiting = new Set<{ readonly topic: string; readonly resolve: () => void }>()

  /** To be made before the carrier starts, so that no relay is missed. */
  constructor(carrier: Carrier, clock: Clock) {
    this.#carrier = carrier
    this.#clock = clock
    carrier.addEventListener('relay', ({ detail }) => {
      const relay = peerOf(detail.address) as string
      if (detail.state === 'lost') this.#relays.delete(relay)
      else this.#relays.add(relay)
      this.#look()
    })
    carrier.addEventListener('subscription', () => this.#look())
  }

  /** Nobody is waited for any more. */
  stop(): void {
    this.#relays.clear()
    this.#look()
  }

  /** Resolves when every relay is in a gossip topic that this peer is in, or when those that are not have had two seconds. */
  async joined(topic: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#clock.after(PATIENCE, resolve)
    const wait = { topic, resolve }
    this.#waiting.add(wait)
    this.#look()
    await promise
    timer.cancel()
    this.#waiting.delete(wait)
  }

  #look(): void {
    for (const { topic, resolve } of this.#waiting) {
      const there = new Set(this.#carrier.subscribers(topic))
      if ([...this.#relays].every(relay => there.has(relay))) resolve()
    }
  }
}
