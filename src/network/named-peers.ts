/** Keeps links to agents that the application named by address: makes them, and makes them again when they are gone. */

import type { Clock, Timer } from '../common/clock.ts'
import type { Random } from '../common/random.ts'

/** How long after an attempt the next one is, ms: this, doubled with each failure up to the other. */
const PAUSE = 2_000
const LONGEST_PAUSE = 60_000

/** What keeping them needs. */
export interface NamedPeersOptions {
  readonly addresses: readonly string[]
  readonly clock: Clock
  readonly random: Random
  /** Whether there is a link to the agent at an address. */
  readonly linked: (address: string) => boolean
  readonly connect: (address: string) => Promise<unknown>
}

/** See the head of this file. */
export class NamedPeers {
  readonly #options: NamedPeersOptions
  readonly #timers = new Map<string, Timer>()
  #stopped = false

  constructor(options: NamedPeersOptions) {
    this.#options = options
  }

  start(): void {
    for (const address of new Set(this.#options.addresses)) this.#keep(address, 0)
  }

  stop(): void {
    this.#stopped = true
    for (const timer of this.#timers.values()) timer.cancel()
  }

  #keep(address: string, failures: number): void {
    const { clock, random, linked, connect } = this.#options
    const again = (failed: number): void => {
      if (this.#stopped) return
      // Half of the pause is drawn, so that what comes back is not dialled by everyone at once.
      const pause = Math.min(PAUSE * 2 ** failed, LONGEST_PAUSE) * (0.5 + random.float() / 2)
      this.#timers.set(
        address,
        clock.after(pause, () => this.#keep(address, failed)),
      )
    }
    if (linked(address)) return again(0)
    connect(address).then(
      () => again(0),
      () => again(failures + 1),
    )
  }
}
