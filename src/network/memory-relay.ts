/** Keeps the relays of a peer in memory connected and reserved, as the libp2p carrier keeps its own. */

import type { Timer } from '../common/clock.ts'
import { AfpError } from '../common/errors.ts'
import type { CarrierEvents } from './carrier.ts'
import type { MemoryConnection } from './memory-connection.ts'
import type { Medium } from './memory-lane.ts'

/** The first pause before a relay is dialled again, ms; each failure doubles it. */
const FIRST_PAUSE = 250
/** The longest pause, ms. */
const LONGEST_PAUSE = 10_000

/** What the keeper needs. */
export interface MemoryRelaysOptions {
  readonly medium: Medium
  readonly addresses: readonly string[]
  dial(address: string): Promise<MemoryConnection>
  /** Asks the relay at the other end of a connection for a reservation. */
  reserve(connection: MemoryConnection): Promise<void>
  onState(state: CarrierEvents['relay']): void
}

interface Relay {
  readonly address: string
  failures: number
  timer: Timer | undefined
  connection: MemoryConnection | undefined
  reserved: boolean
}

/** See the head of this file. */
export class MemoryRelays {
  readonly #options: MemoryRelaysOptions
  readonly #relays: readonly Relay[]
  #stopped = false

  constructor(options: MemoryRelaysOptions) {
    this.#options = options
    this.#relays = options.addresses.map(address => ({
      address,
      failures: 0,
      timer: undefined,
      connection: undefined,
      reserved: false,
    }))
  }

  start(): void {
    for (const relay of this.#relays) void this.#connect(relay)
  }

  stop(): void {
    this.#stopped = true
    for (const relay of this.#relays) {
      relay.timer?.cancel()
      relay.reserved = false
    }
  }

  /** Addresses of relays that hold a reservation for this peer. */
  reserved(): readonly string[] {
    return this.#relays.flatMap(relay => (relay.reserved ? [relay.address] : []))
  }

  /** A connection closed. */
  closed(connection: MemoryConnection): void {
    const relay = this.#relays.find(other => other.connection === connection)
    if (relay !== undefined) this.#lost(relay, undefined)
  }

  async #connect(relay: Relay): Promise<void> {
    const { dial, reserve, onState } = this.#options
    const { address } = relay
    onState({ address, state: 'connecting' })
    try {
      const connection = await dial(address)
      relay.connection = connection
      if (!connection.isOpen) throw new AfpError('NETWORK_FAILED', 'the relay closed the connection')
      if (this.#stopped) return
      onState({ address, state: 'connected' })
      await reserve(connection)
      if (this.#stopped || relay.connection !== connection) return
      relay.failures = 0
      relay.reserved = true
      onState({ address, state: 'reserved' })
    } catch (error) {
      const fault = error as Error
      const { connection } = relay
      // Closing it reports the loss; where there is none, it is reported here.
      if (connection?.isOpen) connection.abort(fault)
      else if (!this.#stopped && relay.timer === undefined) this.#lost(relay, fault)
    }
  }

  #lost(relay: Relay, error: Error | undefined): void {
    relay.connection = undefined
    relay.reserved = false
    if (this.#stopped) return
    relay.timer?.cancel()
    const { medium, onState } = this.#options
    const pause = Math.min(FIRST_PAUSE * 2 ** relay.failures++, LONGEST_PAUSE) * (0.5 + medium.random.float() / 2)
    relay.timer = medium.clock.after(pause, () => {
      relay.timer = undefined
      void this.#connect(relay)
    })
    onState({ address: relay.address, state: 'lost', ...(error === undefined ? {} : { error }) })
  }
}
