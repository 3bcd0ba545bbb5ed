/**
 * Who is known: the newest card of each agent, and the id that each name is pinned to. A name is pinned when it is used
 * for the first time; from then on another claimant changes nothing. In an open mesh first use is trust.
 *
 * Cards are what strangers can make any number of: of those, presence decides who keeps a place, and this directory
 * follows. Pins are made by the application alone, by hand or by using a name, and outlive the card of the agent: no
 * number of strangers costs one.
 */

import { AfpDataStoreError, AfpRoutingError } from '../common/errors.ts'
import { decode, encode } from '../message/codec.ts'
import type { Row, Store, Write } from '../store/store.ts'
import { wholeRow } from '../store/whole-row.ts'
import type { Card } from './card.ts'
import { isAgentId } from './keys.ts'

/** How many names are pinned by hand at the most, and as many again by use. */
const MAX_PINS = 4_096

/** How often it is noted in the store that a name is still in use, ms: a day. */
const NOTE_USE = 24 * 3_600_000

/** What the application made of an agent: nothing, it used a name of its, or it pinned one by hand. */
export type Trust = 'stranger' | 'used' | 'pinned'

/** What the directory needs. */
export interface KnownAgentsOptions {
  store: Store
  /** The most cards kept at a time. */
  limit: number
  /** Wall time, ms since 1970. */
  now: () => number
  /** Whether an agent keeps its place when there is no other for a newcomer: presence still knows it. */
  keeps: (id: string) => boolean
  /** Somebody claims a name that is pinned to another id. */
  onConflict: (conflict: { name: string; pinned: string; claimant: string }) => void
}

interface Pin {
  id: string
  byHand: boolean
  /** When it was made or, as far as the store knows, last used, ms since 1970. */
  noted: number
}

/** See the head of this file. */
export class KnownAgents {
  readonly #options: KnownAgentsOptions
  readonly #cards = new Map<string, Card>()
  /** By name; the one that was not used for longest is first. */
  readonly #pins = new Map<string, Pin>()
  #pinnedByHand = 0
  /** What the pins say of ids; undefined after they changed. */
  #trust: Map<string, Trust> | undefined
  #saving: Promise<void> = Promise.resolve()

  constructor(options: KnownAgentsOptions) {
    this.#options = options
  }

  /**
   * Reads the pinned names of earlier runs.
   * @throws AfpDataStoreError STORE_FAILED when a row is damaged: without its pin a name would be anybody's
   */
  async load(): Promise<void> {
    const rows = await this.#options.store.range('agents', { prefix: ['pin'] })
    const pins = rows.map(row => wholeRow('agents', row.key, () => readPin(row)))
    for (const [name, pin] of pins.sort(([, one], [, other]) => one.noted - other.noted)) this.#set(name, pin)
  }

  /** Takes a checked card; false when a newer one of the same agent is known or there is no room. */
  learn(card: Card): boolean {
    const known = this.#cards.get(card.id)
    if (known !== undefined && card.seq <= known.seq) return card.seq === known.seq
    if (known === undefined && this.#cards.size >= this.#options.limit && !this.#makeRoom()) return false
    this.#cards.set(card.id, card)
    const pinned = this.pinned(card.name)
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
    const pin = this.#pins.get(nameOrId)
    if (pin !== undefined) return this.#used(nameOrId, pin)
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
    return this.#used(nameOrId, { id: only.id, byHand: false, noted: Number.NEGATIVE_INFINITY })
  }

  /** The id a name is pinned to. */
  pinned(name: string): string | undefined {
    return this.#pins.get(name)?.id
  }

  /** What the application made of an agent so far. */
  trust(id: string): Trust {
    this.#trust ??= new Map(
      // By hand last: it counts for more than use.
      [...this.#pins.values()]
        .sort((one, other) => Number(one.byHand) - Number(other.byHand))
        .map(pin => [pin.id, pin.byHand ? 'pinned' : 'used']),
    )
    return this.#trust.get(id) ?? 'stranger'
  }

  /**
   * Pins a name to an id by hand, whatever it was pinned to before. Such a pin stays until it is taken away.
   * @throws AfpDataStoreError STORE_FULL when 4,096 names are pinned by hand
   */
  pin(name: string, id: string): void {
    if (this.#pinnedByHand >= MAX_PINS && this.#pins.get(name)?.byHand !== true) {
      throw new AfpDataStoreError('STORE_FULL', `${MAX_PINS} names are pinned by hand: unpin one`)
    }
    const pin = { id, byHand: true, noted: this.#options.now() }
    this.#set(name, pin)
    this.#save([put(name, pin)])
  }

  /** Frees a name: whoever is next to be sent something under it gets it. */
  unpin(name: string): boolean {
    if (!this.#drop(name)) return false
    this.#save([remove(name)])
    return true
  }

  /** Resolves when every pin made so far is stored. */
  saved(): Promise<void> {
    return this.#saving
  }

  /** A name stands for this id once more; the first time it is pinned by that. */
  #used(name: string, pin: Pin): string {
    const now = this.#options.now()
    const writes: Write[] = []
    // Not at each use: the order that a restart finds may be a day old.
    if (now - pin.noted >= NOTE_USE) {
      pin.noted = now
      writes.push(put(name, pin))
    }
    this.#set(name, pin)
    if (!pin.byHand && this.#pins.size - this.#pinnedByHand > MAX_PINS) {
      // The application has used as many other names since.
      for (const [longest, { byHand }] of this.#pins) {
        if (byHand) continue
        this.#drop(longest)
        writes.push(remove(longest))
        break
      }
    }
    if (writes.length > 0) this.#save(writes)
    return pin.id
  }

  #set(name: string, pin: Pin): void {
    if (this.#pins.get(name) !== pin) this.#trust = undefined
    const { byHand } = this.#pins.get(name) ?? {}
    this.#pinnedByHand += Number(pin.byHand) - Number(byHand === true)
    this.#pins.delete(name)
    this.#pins.set(name, pin)
  }

  #drop(name: string): boolean {
    const pin = this.#pins.get(name)
    if (pin === undefined) return false
    this.#trust = undefined
    this.#pinnedByHand -= Number(pin.byHand)
    return this.#pins.delete(name)
  }

  #save(writes: readonly Write[]): void {
    // A pin that could not be stored holds in memory; the next run pins at its own first use.
    this.#saving = this.#saving.then(() => this.#options.store.commit({ writes })).catch(() => {})
  }

  #makeRoom(): boolean {
    for (const id of this.#cards.keys()) if (!this.#options.keeps(id)) return this.#cards.delete(id)
    return false
  }
}

const put = (name: string, { id, byHand, noted }: Pin): Write => ({
  op: 'put',
  table: 'agents',
  key: ['pin', name],
  value: encode([id, byHand, noted]),
})

const remove = (name: string): Write => ({ op: 'delete', table: 'agents', key: ['pin', name] })

/** A pin as it was stored. @throws TypeError for what is none */
function readPin({ key: [, name], value }: Row): [name: string, pin: Pin] {
  const stored = decode(value)
  // As it was stored at first: the id alone, and nobody knows who made it or when.
  const [id, byHand, noted] = Array.isArray(stored) ? stored : isAgentId(stored) ? [stored, false, 0] : []
  if (typeof name !== 'string' || typeof id !== 'string' || typeof byHand !== 'boolean' || !Number.isFinite(noted)) {
    throw new TypeError('not a pin')
  }
  return [name, { id, byHand, noted }]
}
