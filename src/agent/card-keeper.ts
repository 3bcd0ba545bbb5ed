/** This agent's own card: signed anew whenever what it says changes, with a number that only grows, over restarts too. */

import { toHex } from '../common/bytes.ts'
import type { Clock } from '../common/clock.ts'
import type { Random } from '../common/random.ts'
import {
  type Card,
  type CardFields,
  type CardPrekey,
  fittingAddresses,
  MAX_CARD_LIFE,
  signCard,
} from '../identity/card.ts'
import type { Identity } from '../identity/keys.ts'
import { decode, encode } from '../message/codec.ts'
import type { Store } from '../store/store.ts'
import { wholeRow } from '../store/whole-row.ts'

const SEQ_KEY = ['card-seq']

/** What a card says beside what the keeper adds. */
export type OwnFields = Pick<CardFields, 'mesh' | 'name' | 'description' | 'capabilities'>

interface KeeperParts {
  readonly identity: Identity
  readonly fields: OwnFields
  readonly clock: Clock
  readonly random: Random
  readonly store: Store
  /** What the card shows for others to seal to. */
  readonly prekey: () => CardPrekey | undefined
}

/** See the head of this file. */
export class CardKeeper {
  readonly #parts: KeeperParts
  #card: Card
  #signing: Promise<void>

  private constructor(parts: KeeperParts, first: Card) {
    this.#parts = parts
    this.#card = first
    // Not waited for: the next card is, and a start need not wait for the disk.
    this.#signing = this.#keep(first)
  }

  /** Signs the first card of this run. @throws AfpDataStoreError STORE_FAILED when the last one's number is damaged */
  static async open(parts: KeeperParts): Promise<CardKeeper> {
    const { identity, fields, clock, store, random } = parts
    const value = await store.get('meta', SEQ_KEY)
    const last = value === undefined ? 0 : wholeRow('meta', SEQ_KEY, () => readSeq(value))
    const own = { ...fields, addresses: [], instance: toHex(random.bytes(8)), prekey: parts.prekey() }
    return new CardKeeper(parts, await sign(identity, own, last, clock.now()))
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
        const { identity, fields, clock, prekey } = this.#parts
        const { instance, seq } = this.#card
        const own = { ...fields, addresses, instance, prekey: prekey() }
        this.#card = await sign(identity, own, seq, clock.now())
        await this.#keep(this.#card)
      })
    return this.#signing
  }

  /** Signs the card anew when half of its life is over, or what it shows is not the newest prekey. */
  refresh(): Promise<void> {
    const half = this.#card.expiresAt - MAX_CARD_LIFE / 2
    const fresh = this.#card.prekey === this.#parts.prekey()
    return fresh && this.#parts.clock.now() < half ? Promise.resolve() : this.renew(this.#card.addresses)
  }

  async #keep(card: Card): Promise<void> {
    const writes = [{ op: 'put', table: 'meta', key: SEQ_KEY, value: encode(card.seq) }] as const
    // The time of signing is a second floor: a number that could not be stored is exceeded all the same.
    await this.#parts.store.commit({ writes }).catch(() => {})
  }
}

function readSeq(value: Uint8Array): number {
  const seq = decode(value)
  if (Number.isSafeInteger(seq)) return seq as number
  throw new TypeError('not the number of a card')
}

const sign = (
  identity: Identity,
  fields: OwnFields & Pick<CardFields, 'addresses' | 'instance' | 'prekey'>,
  last: number,
  now: number,
): Promise<Card> => {
  const seq = Math.max(last + 1, Math.floor(now))
  const card = { ...fields, seq, expiresAt: Math.floor(now) + MAX_CARD_LIFE }
  return signCard(identity, { ...card, addresses: fittingAddresses(identity.id, card) })
}
