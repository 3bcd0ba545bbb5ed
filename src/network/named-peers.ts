/** Keeps links to agents that the application named by address: makes them, and makes them again when they are gone. */

import type { Clock, Timer } from '../common/clock.ts'
import type { Random } from '../common/random.ts'
import { peerOf } from './addresses.ts'

/** How long after a link was lost or could not be made the next try is, ms: this, doubled with each failure up to the other. */
const PAUSE = 250
const LONGEST_PAUSE = 10_000
/** How long after a dial has begun the next one can be asked for, ms. */
const HURRY = 1_000
/** Links that end sooner than this, ms, are made again after pauses that grow as with failures, up to so many of them. */
const BRIEF = 10_000
const BRIEF_FAILURES = 3

/** What keeping them needs. */
export interface NamedPeersOptions {
  readonly addresses: readonly string[]
  readonly clock: Clock
  readonly random: Random
  /** Whether there is a link to an agent. */
  readonly linked: (id: string) => boolean
  readonly connect: (address: string) => Promise<unknown>
}

interface Named {
  readonly address: string
  readonly id: string
  failures: number
  timer: Timer | undefined
  dialling: boolean
  /** When it was dialled last, and when the pause that runs is over, by the monotonic clock. */
  dialledAt: number
  dueAt: number
  /** When the last dial of this side made a link, likewise. */
  linkedAt: number
}

/** See the head of this file. */
export class NamedPeers {
  readonly #options: NamedPeersOptions
  readonly #peers: readonly Named[]
  #stopped = false

  constructor(options: NamedPeersOptions) {
    this.#options = options
    this.#peers = [...new Set(options.addresses)].map(address => ({
      address,
      id: peerOf(address) as string,
      failures: 0,
      timer: undefined,
      dialling: false,
      dialledAt: 0,
      dueAt: 0,
      linkedAt: Number.NEGATIVE_INFINITY,
    }))
  }

  start(): void {
    for (const peer of this.#peers) this.#dial(peer)
  }

  stop(): void {
    this.#stopped = true
    for (const { timer } of this.#peers) timer?.cancel()
  }

  /** The last link to an agent is gone. */
  lost(id: string): void {
    const { clock } = this.#options
    for (const peer of this.#peers) {
      if (peer.id !== id || peer.dialling || peer.timer !== undefined) continue
      // A peer that takes links and drops them is not to be dialled without end; one that crashes is waited for.
      const brief = clock.monotonic() - peer.linkedAt < BRIEF
      peer.failures = brief ? Math.min(peer.failures + 1, BRIEF_FAILURES) : 0
      this.#later(peer)
    }
  }

  /** Somebody wants to send to an agent without a link: the pause before its next dial is cut short. */
  hurry(id: string): void {
    const now = this.#options.clock.monotonic()
    for (const peer of this.#peers) {
      const at = Math.max(now, peer.dialledAt + HURRY)
      if (peer.id === id && peer.timer !== undefined && at < peer.dueAt) this.#after(peer, at - now)
    }
  }

  #dial(peer: Named): void {
    const { clock, linked, connect } = this.#options
    peer.timer = undefined
    if (this.#stopped || linked(peer.id)) return
    peer.dialling = true
    peer.dialledAt = clock.monotonic()
    connect(peer.address).then(
      () => {
        peer.dialling = false
        peer.linkedAt = clock.monotonic()
        if (!linked(peer.id)) this.lost(peer.id)
      },
      () => {
        peer.dialling = false
        peer.failures++
        this.#later(peer)
      },
    )
  }

  #later(peer: Named): void {
    const pause = Math.min(PAUSE * 2 ** peer.failures, LONGEST_PAUSE)
    // Half of the pause is drawn, so that what comes back is not dialled by everyone at once.
    this.#after(peer, pause * (0.5 + this.#options.random.float() / 2))
  }

  #after(peer: Named, ms: number): void {
    if (this.#stopped) return
    const { clock } = this.#options
    peer.timer?.cancel()
    peer.dueAt = clock.monotonic() + ms
    peer.timer = clock.after(ms, () => this.#dial(peer))
  }
}
