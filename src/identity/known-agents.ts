/**
 * Who is known: the newest card of each agent, and the id that each name is pinned to. A name is pinned when it is used
 * for the first time; from then on another claimant changes nothing. In an open mesh first use is trust.
 */

import { AfpRoutingError } from '../common/errors.ts'
import { decode, encode } from '../message/codec.ts'
import type { Store, Write } from '../store/store.ts'
import type { Card } from './card.ts'
import { isAgentId } from './keys.ts'

/** How many pinned names are kept; the oldest give way first. */
const MAX_PINS = 4_096

/** What the directory needs. */
export interface KnownAgentsOptions {
  store: Store
  /** The most cards kept at a time. */
  limit: number
  /** Wall time, ms since 1970. */
  now: () => number
  /** Somebody claims a name that is pinned to another id. */
  onConflict: (conflict: { name: string; pinned: string; claimant: string }) => void
}

/** See the head of this file. */
export class KnownAgents {
  readonly #options: KnownAgentsOptions
  readonly #cards = new Map<string, Card>()
  /** name -> id, the oldest first. */
  readonly #pins = new Map<string, string>()
  #saving: Promise<void> = Promise.resolve()

  constructor(options: KnownAgentsOptions) {
    this.#options = options
  }

  /** Reads the pinned names of earlier runs. */
  async load(): Promise<void> {
    for (const { key, value } of await this.#options.store.range('agents', { prefix: ['pin'] })) {
      const id = decode(value)
      if (typeof key[1] === 'string' && typeof id === 'string') this.#pins.set(key[1], id)
    }
  }

  /** Takes a checked card; false when a newer one of the same agent is known or there is no room. */
  learn(card: Card): boolean {
    const known = this.#cards.get(card.id)
    if (known !== undefined && card.seq <= known.seq) return card.seq === known.seq
    if (known === undefined && this.#cards.size >= this.#options.limit && !this.#dropExpired()) return false
    this.#cards.set(card.id, card)
    const pinned = this.#pins.get(card.name)
    if (pinned !== undefined && pinned !== card.id && known?.name !== card.name) {
      this.#options.onConflict({ name: card.name, pinned, claimant: card.id })
    }
    return true
  }

  /** The newest card of an agent. */
  get(id: string): Card | undefined {
    return this.#cards.get(id)
  }

  /**
   * The id that a name or an id stands for, and from now on this name stands for it; undefined while nobody has it.
   * @throws AfpRoutingError AMBIGUOUS_NAME when several agents use a name that is not pinned
   */
  resolve(nameOrId: string): string | undefined {
    if (isAgentId(nameOrId)) return nameOrId
    const pinned = this.#pins.get(nameOrId)
    if (pinned !== undefined) return pinned
    const now = this.#options.now()
    const claimants = [...this.#cards.values()].filter(card => card.name === nameOrId && card.expiresAt > now)
    const [only, ...others] = claimants
    if (only === undefined) return undefined
    if (others.length > 0) {
      throw new AfpRoutingError(
        'AMBIGUOUS_NAME',
        `${claimants.length} agents are called ${JSON.stringify(nameOrId)}: send to an id, or pin the name to one`,
        { recipients: claimants.map(card => card.id) },
      )
    }
    this.pin(nameOrId, only.id)
    return only.id
  }

  /** The id a name is pinned to. */
  pinned(name: string): string | undefined {
    return this.#pins.get(name)
  }

  /** Pins a name to an id, whatever it was pinned to before. */
  pin(name: string, id: string): void {
    const writes: Write[] = [{ op: 'put', table: 'agents', key: ['pin', name], value: encode(id) }]
    this.#pins.delete(name)
    const [oldest] = this.#pins.keys()
    if (this.#pins.size >= MAX_PINS && oldest !== undefined) {
      this.#pins.delete(oldest)
      writes.push({ op: 'delete', table: 'agents', key: ['pin', oldest] })
    }
    this.#pins.set(name, id)
    this.#save(writes)
  }

  /** Frees a name: whoever is next to be sent something under it gets it. */
  unpin(name: string): boolean {
    if (!this.#pins.delete(name)) return false
    this.#save([{ op: 'delete', table: 'agents', key: ['pin', name] }])
    return true
  }

  /** Resolves when every pin made so far is stored. */
  saved(): Promise<void> {
    return this.#saving
  }

  #save(writes: readonly Write[]): void {
    // A pin that could not be stored holds in memory; the next run pins at its own first use.
    this.#saving = this.#saving.then(() => this.#options.store.commit({ writes })).catch(() => {})
  }

  #dropExpired(): boolean {
    const now = this.#options.now()
    for (const card of this.#cards.values()) {
      if (card.expiresAt < now) return this.#cards.delete(card.id)
    }
    return false
  }
}
