/** This agent's own card: signed anew whenever what it says changes, with a number that only grows, over restarts too. */

import { toHex } from '../common/bytes.ts'
import type { Clock } from '../common/clock.ts'
import type { Random } from '../common/random.ts'
import { type Card, type CardFields, MAX_CARD_LIFE, signCard } from '../identity/card.ts'
import type { Identity } from '../identity/keys.ts'
import { decode, encode } from '../message/codec.ts'
import type { Store } from '../store/store.ts'

const SEQ_KEY = ['card-seq']

/** What a card says beside what the keeper adds. */
export type OwnFields = Pick<CardFields, 'mesh' | 'name' | 'description' | 'capabilities'>

/** See the head of this file. */
export class CardKeeper {
  readonly #identity: Identity
  readonly #fields: OwnFields
  readonly #instance: string
  readonly #clock: Clock
  readonly #store: Store
  #card: Card
  #signing: Promise<void> = Promise.resolve()

  private constructor(parts: { identity: Identity; fields: OwnFields; clock: Clock; store: Store }, first: Card) {
    this.#identity = parts.identity
    this.#fields = parts.fields
    this.#clock = parts.clock
    this.#store = parts.store
    this.#card = first
    this.#instance = first.instance
  }

  /** Signs the first card of this run. */
  static async open(parts: {
    identity: Identity
    fields: OwnFields
    clock: Clock
    random: Random
    store: Store
  }): Promise<CardKeeper> {
    const { identity, fields, clock, store } = parts
    const stored = await store.get('meta', SEQ_KEY)
    const last = stored === undefined ? 0 : Number(decode(stored))
    const instance = toHex(parts.random.bytes(8))
    const first = await sign(identity, { ...fields, addresses: [], instance }, last, clock.now())
    const keeper = new CardKeeper({ identity, fields, clock, store }, first)
    // Not waited for: the next card is, and a start need not wait for the disk.
    keeper.#signing = keeper.#keep(first)
    return keeper
  }

  /** The card as it is now. */
  get card(): Card {
    return this.#card
  }

  /** Signs a card with these addresses; resolves when it is the current one. */
  renew(addresses: readonly string[]): Promise<void> {
    // One that failed, as where a signer is away, is not in the way of the next.
    this.#signing = this.#signing
      .catch(() => {})
      .then(async () => {
        const fields = { ...this.#fields, addresses: addresses.slice(0, 32), instance: this.#instance }
        const card = await sign(this.#identity, fields, this.#card.seq, this.#clock.now())
        this.#card = card
        await this.#keep(card)
      })
    return this.#signing
  }

  /** Signs the card anew when half of its life is over. */
  refresh(): Promise<void> {
    const half = this.#card.expiresAt - MAX_CARD_LIFE / 2
    return this.#clock.now() < half ? Promise.resolve() : this.renew(this.#card.addresses)
  }

  async #keep(card: Card): Promise<void> {
    const writes = [{ op: 'put', table: 'meta', key: SEQ_KEY, value: encode(card.seq) }] as const
    // The time of signing is a second floor: a number that could not be stored is exceeded all the same.
    await this.#store.commit({ writes }).catch(() => {})
  }
}

const sign = (
  identity: Identity,
  fields: OwnFields & Pick<CardFields, 'addresses' | 'instance'>,
  last: number,
  now: number,
): Promise<Card> => {
  const seq = Math.max(last + 1, Math.floor(now))
  return signCard(identity, { ...fields, seq, expiresAt: Math.floor(now) + MAX_CARD_LIFE })
}
