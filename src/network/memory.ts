/** A network in memory that fails on demand, the same way for the same seed. */

import type { Clock } from '../common/clock.ts'
import { AfpError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import { MemoryCarrier, type MemoryCarrierOptions, type Surroundings } from './memory-carrier.ts'
import { type MemoryConnection, Wire } from './memory-connection.ts'
import { type MemoryEvent, type MemoryFaults, NO_FAULTS } from './memory-lane.ts'

export type { MemoryCarrier, MemoryCarrierOptions } from './memory-carrier.ts'
export type { MemoryEvent, MemoryFaults } from './memory-lane.ts'

/** Options of {@link MemoryNet}. */
export interface MemoryNetOptions {
  readonly clock: Clock
  readonly random: Random
  /** What goes wrong from the start; default nothing. See {@link MemoryNet.setFaults}. */
  readonly faults?: Partial<MemoryFaults> | undefined
  /** How long a connection outlives a cut or a crash of its peer, ms; default 10,000, as WebRTC. */
  readonly silenceTimeout?: number | undefined
  /** How long a dial into silence takes to fail, ms; default 5,000. */
  readonly dialTimeout?: number | undefined
  /** How many of the latest events {@link MemoryNet.history} keeps; default 10,000. */
  readonly historySize?: number | undefined
}

/**
 * The network. Everything happens in microtasks and on the clock, so the same seed and the same calls give the same
 * {@link MemoryNet.history}. Faults hit whole writes of `Channel.send`, the first in each direction of a channel left
 * out, and whole hops of gossip; they are named by the places of peers, which are their ids unless the caller chose others.
 *
 * @example
 * ```ts
 * import { createAgent } from 'agent-flow-protocol'
 * import { inMemory, memoryNet } from 'agent-flow-protocol/testing'
 *
 * const net = memoryNet({ seed: 1, faults: { delay: [1, 20] } })
 * const ada = await createAgent({ name: 'ada', mesh: 'test', carrier: inMemory(net) })
 * const bob = await createAgent({ name: 'bob', mesh: 'test', carrier: inMemory(net), peers: ada.addresses })
 * await ada.waitFor('bob')
 * net.partition([ada.id], [bob.id])
 * console.log([net.history.some(({ type }) => type === 'connect')]) // [ true ]
 *
 * await ada.close()
 * await bob.close()
 * ```
 */
export class MemoryNet {
  readonly #carriers = new Map<string, MemoryCarrier>()
  readonly #crashed = new Set<string>()
  readonly #wires = new Set<Wire>()
  /** Places that a place cannot reach. */
  readonly #cuts = new Map<string, Set<string>>()
  readonly #silenceTimeout: number
  readonly #historySize: number
  readonly #surroundings: Surroundings
  readonly #clock: Clock
  #faults: MemoryFaults
  #history: MemoryEvent[] = []
  #connectionCount = 0

  constructor(options: MemoryNetOptions) {
    const { clock, random, faults, dialTimeout = 5_000 } = options
    this.#clock = clock
    this.#faults = checked({ ...NO_FAULTS, ...faults })
    this.#silenceTimeout = options.silenceTimeout ?? 10_000
    this.#historySize = options.historySize ?? 10_000
    const current = (): MemoryFaults => this.#faults
    this.#surroundings = {
      clock,
      random,
      dialTimeout,
      get faults() {
        return current()
      },
      passes: path => this.#passes(path),
      record: (type, from, to, on, bytes = 0) => this.#record({ at: clock.monotonic(), type, from, to, on, bytes }),
      at: place => (this.#crashed.has(place) ? 'silence' : (this.#carriers.get(place) ?? 'nobody')),
      connect: (hosts, path, over) => this.#connect(hosts, path, over),
      entered: carrier => this.#entered(carrier),
      left: carrier => this.#left(carrier),
    }
  }

  /** What goes wrong now. */
  get faults(): MemoryFaults {
    return this.#faults
  }

  /** The latest events, oldest first. */
  get history(): readonly MemoryEvent[] {
    return this.#history.slice(-this.#historySize)
  }

  /** A peer of this network; it takes part once it is started. */
  carrier(id: string, options: MemoryCarrierOptions = {}): MemoryCarrier {
    return new MemoryCarrier(this.#surroundings, id, options)
  }

  /** Changes what goes wrong from now on; what is not named stays. What is under way already is not touched. */
  setFaults(faults: Partial<MemoryFaults>): void {
    this.#faults = checked({ ...this.#faults, ...faults })
  }

  /**
   * Cuts the ways between groups of places, in both directions. What is sent over a connection waits for
   * {@link MemoryNet.heal}, until the silence ends the connection; gossip is lost.
   */
  partition(...groups: readonly (readonly string[])[]): void {
    for (const group of groups) {
      for (const other of groups) {
        if (group === other) continue
        for (const from of group) for (const to of other) this.#cut(from, to)
      }
    }
    this.#waysChanged()
  }

  /** Cuts one way only: what `from` sends does not reach `to`. */
  cut(from: string, to: string): void {
    this.#cut(from, to)
    this.#waysChanged()
  }

  /** Heals every cut, or those between two places. */
  heal(a?: string, b?: string): void {
    if (a === undefined || b === undefined) this.#cuts.clear()
    else {
      this.#cuts.get(a)?.delete(b)
      this.#cuts.get(b)?.delete(a)
    }
    this.#record({ at: this.#clock.monotonic(), type: 'healed', from: a ?? '', to: b ?? '', on: '', bytes: 0 })
    this.#waysChanged()
  }

  /** Drops every connection between two places at once, for both; returns how many there were. */
  kill(a: string, b: string): number {
    const killed = [...this.#wires].filter(({ path }) => {
      const ends = [path[0], path.at(-1)]
      return ends.includes(a) && ends.includes(b)
    })
    this.#record({ at: this.#clock.monotonic(), type: 'killed', from: a, to: b, on: '', bytes: 0 })
    for (const wire of killed) wire.die(new AfpError('NETWORK_FAILED', 'the connection was killed'))
    return killed.length
  }

  /** Ends the peer at a place without a goodbye: others find out from its silence. Its place can be taken again. */
  crash(place: string): void {
    const carrier = this.#carriers.get(place)
    if (carrier === undefined) throw new AfpError('INVALID_OPTION', `nobody is at ${place}`)
    this.#record({ at: this.#clock.monotonic(), type: 'crash', from: place, to: place, on: '', bytes: 0 })
    this.#crashed.add(place)
    this.#carriers.delete(place)
    carrier.crash()
    this.#waysChanged()
  }

  #left(carrier: MemoryCarrier): void {
    this.#carriers.delete(carrier.place)
    for (const wire of [...this.#wires]) wire.left(carrier)
  }

  #entered(carrier: MemoryCarrier): void {
    const { place } = carrier
    if (this.#carriers.has(place)) throw new AfpError('INVALID_OPTION', `somebody is at ${place} already`)
    this.#carriers.set(place, carrier)
    // A machine that is back answers what it does not know with a refusal: connections of its last life end.
    if (!this.#crashed.delete(place)) return
    for (const wire of [...this.#wires]) {
      if (wire.path.includes(place)) wire.die(new AfpError('NETWORK_FAILED', `${place} has restarted`))
    }
  }

  #connect(
    hosts: readonly [MemoryCarrier, MemoryCarrier],
    path: readonly string[],
    over: readonly Wire[],
  ): MemoryConnection {
    const id = `c${this.#connectionCount++}`
    const wire = new Wire(this.#surroundings, id, hosts, path, over, ended => this.#ended(ended))
    this.#wires.add(wire)
    const [dialler, dialled] = wire.ends
    this.#record({
      at: this.#clock.monotonic(),
      type: 'connect',
      from: hosts[0].place,
      to: hosts[1].place,
      on: id,
      bytes: 0,
    })
    hosts[1].opened(dialled)
    if (dialler.isOpen) hosts[0].opened(dialler)
    return dialler
  }

  #ended(wire: Wire): void {
    if (!wire.alive) this.#wires.delete(wire)
    for (const other of [...this.#wires]) {
      if (other.over.includes(wire)) other.die(new AfpError('NETWORK_FAILED', 'the connection to the relay closed'))
    }
  }

  #passes(path: readonly string[]): boolean {
    for (let i = 0; i < path.length; i++) {
      if (this.#crashed.has(path[i] as string)) return false
      if (i > 0 && this.#cuts.get(path[i - 1] as string)?.has(path[i] as string)) return false
    }
    return true
  }

  #cut(from: string, to: string): void {
    const cuts = this.#cuts.get(from) ?? new Set()
    cuts.add(to)
    this.#cuts.set(from, cuts)
    this.#record({ at: this.#clock.monotonic(), type: 'cut', from, to, on: '', bytes: 0 })
  }

  #waysChanged(): void {
    for (const wire of [...this.#wires]) wire.wayChanged(this.#silenceTimeout)
  }

  #record(event: MemoryEvent): void {
    if (this.#historySize === 0) return
    this.#history.push(event)
    if (this.#history.length >= 2 * this.#historySize) this.#history = this.#history.slice(-this.#historySize)
  }
}

/** @throws AfpError INVALID_OPTION for what is no probability or no time */
function checked(faults: MemoryFaults): MemoryFaults {
  const { delay, loss, duplication, reordering, reorderWindow } = faults
  for (const [name, value] of Object.entries({ loss, duplication, reordering })) {
    if (!(value >= 0 && value <= 1)) throw new AfpError('INVALID_OPTION', `${name} is a probability, not ${value}`)
  }
  if (!(delay[0] >= 0 && delay[1] >= delay[0] && delay[1] < Number.POSITIVE_INFINITY && reorderWindow >= 0)) {
    throw new AfpError('INVALID_OPTION', 'delays are milliseconds, the smaller first')
  }
  return faults
}
