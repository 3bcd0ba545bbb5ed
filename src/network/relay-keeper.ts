/**
 * Keeps relays connected. libp2p neither reconnects to a lost relay within useful time nor starts while one is down, so
 * the loop is here: dial, watch, dial again, with growing pauses and for as long as the agent lives.
 */

import type { Clock, Timer } from '../common/clock.ts'
import type { Random } from '../common/random.ts'
import { peerOf } from './addresses.ts'
import type { CarrierEvents, Connection } from './carrier.ts'

/** The first pause before a relay is dialled again, ms; each failure doubles it. */
const FIRST_PAUSE = 250
/** The longest pause, ms. */
const LONGEST_PAUSE = 10_000
/** How long one dial may take, ms. */
const DIAL_TIMEOUT = 8_000
/** How long a connected relay may take to grant a reservation before it is dialled anew, ms. */
const RESERVATION_TIMEOUT = 15_000

/** What the keeper needs. */
export interface RelayKeeperOptions {
  relays: readonly string[]
  clock: Clock
  random: Random
  dial: (address: string, signal: AbortSignal) => Promise<unknown>
  onState: (state: CarrierEvents['relay']) => void
}

interface Relay {
  readonly address: string
  readonly id: string
  state: 'idle' | 'connecting' | 'connected' | 'reserved'
  failures: number
  timer: Timer | undefined
  link: Connection | undefined
}

/** See the head of this file. */
export class RelayKeeper {
  readonly #options: RelayKeeperOptions
  readonly #relays: Relay[]
  readonly #stop = new AbortController()

  constructor(options: RelayKeeperOptions) {
    this.#options = options
    this.#relays = options.relays.map(address => ({
      address,
      id: peerOf(address) as string,
      state: 'idle',
      failures: 0,
      timer: undefined,
      link: undefined,
    }))
  }

  start(): void {
    for (const relay of this.#relays) void this.#dial(relay)
  }

  stop(): void {
    this.#stop.abort()
    for (const relay of this.#relays) relay.timer?.cancel()
  }

  /** Whether an address through a relay can come any moment: one is being connected or asked, and none is held yet. */
  get awaiting(): boolean {
    const states = new Set(this.#relays.map(({ state }) => state))
    return !states.has('reserved') && (states.has('connecting') || states.has('connected'))
  }

  /** A connection opened, dialled by the keeper or not. */
  connected(link: Connection): void {
    for (const relay of this.#relays) {
      if (relay.id !== link.peer || relay.link !== undefined) continue
      relay.link = link
      relay.failures = 0
      this.#enter(relay, 'connected')
      this.#after(relay, RESERVATION_TIMEOUT, () => {
        // Connected, but no slot: the relay is full or its handshake got lost. A new connection asks again.
        relay.failures++
        relay.link?.abort(new Error('the relay granted no reservation'))
      })
    }
  }

  /** A connection closed; `rest` are those still open. */
  disconnected(link: Connection, rest: readonly Connection[]): void {
    for (const relay of this.#relays) {
      if (relay.link?.id !== link.id) continue
      relay.link = rest.find(({ peer }) => peer === relay.id)
      if (relay.link !== undefined || this.#stop.signal.aborted) continue
      this.#lost(relay)
    }
  }

  /** The agent's own addresses changed: those through a relay show its reservation. */
  reserved(addresses: readonly string[]): void {
    for (const relay of this.#relays) {
      const has = addresses.some(address => address.includes(`/p2p/${relay.id}/p2p-circuit`))
      if (has && relay.state === 'connected') {
        relay.timer?.cancel()
        this.#enter(relay, 'reserved')
      }
    }
  }

  async #dial(relay: Relay): Promise<void> {
    if (this.#stop.signal.aborted || relay.link !== undefined) return
    this.#enter(relay, 'connecting')
    try {
      await this.#options.dial(relay.address, AbortSignal.any([this.#stop.signal, AbortSignal.timeout(DIAL_TIMEOUT)]))
    } catch (error) {
      if (this.#stop.signal.aborted || relay.link !== undefined) return
      relay.failures++
      this.#lost(relay, error)
    }
  }

  #lost(relay: Relay, error?: unknown): void {
    relay.state = 'idle'
    // Browsers hand out bare events for sockets that fail; what listeners get is an error in any case.
    const cause = error === undefined || error instanceof Error ? error : new Error('could not connect')
    this.#options.onState({ address: relay.address, state: 'lost', error: cause })
    const pause = Math.min(FIRST_PAUSE * 2 ** relay.failures, LONGEST_PAUSE)
    // Half of the pause is drawn, so that a restarted relay is not dialled by everyone at once.
    this.#after(relay, pause * (0.5 + this.#options.random.float() / 2), () => void this.#dial(relay))
  }

  #enter(relay: Relay, state: 'connecting' | 'connected' | 'reserved'): void {
    relay.state = state
    this.#options.onState({ address: relay.address, state })
  }

  #after(relay: Relay, ms: number, callback: () => void): void {
    relay.timer?.cancel()
    relay.timer = this.#options.clock.after(ms, callback)
  }
}
