/**
 * Prekeys: X25519 keys of this agent, apart from its identity, whose public half stands on its card. Others open epochs to
 * the newest; once a private half is deleted nobody can open these epochs anew: what was sealed in them can be read with
 * their own keys alone, as long as one of both sides needs those. Hence a new one each week, and none older than 35 days.
 */

import { primitives } from '#crypto'
import { equal, toHex } from '../common/bytes.ts'
import type { Random } from '../common/random.ts'
import { decode, encode } from '../message/codec.ts'
import type { Key, Row, Store, Write } from '../store/store.ts'
import { type AgreementKey, generateKey } from './hpke.ts'
import { KEY_BYTES } from './primitives.ts'

const DAY = 86_400_000

/** How long a prekey is the one that the card shows, ms. */
export const PREKEY_CURRENT = 7 * DAY
/** How long after it was made epochs may be opened to it and appended to, ms. */
export const PREKEY_USABLE = 21 * DAY
/** When its private half is deleted, ms after it was made: what was sealed in its last hour has two weeks to arrive. */
export const PREKEY_KEPT = 35 * DAY

/** Length of a prekey's id. */
export const PREKEY_ID_BYTES = 8

/** How far the clock may be set back before a key made "in the future" is replaced, ms. */
const CLOCK_TOLERANCE = 120_000

/** A prekey as others see it. */
export interface Prekey {
  /** The first 8 bytes of SHA-256 of the public key. */
  readonly id: Uint8Array
  /** X25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** When it ends: nothing is sealed to it afterwards. Ms since 1970. */
  readonly notAfter: number
}

/** A prekey of this agent's own. */
export interface OwnPrekey extends Prekey, AgreementKey {
  /** When it was made, ms since 1970. */
  readonly madeAt: number
}

/** What the ring needs. */
export interface PrekeyRingOptions {
  readonly store: Store
  readonly random: Random
}

/** The id of a public key. */
export async function prekeyId(publicKey: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return (await primitives.sha256(publicKey)).slice(0, PREKEY_ID_BYTES)
}

/**
 * This agent's prekeys, in its store. Call {@link load} once, then {@link rotate} at the start and at least once a day.
 * Errors of the store come through; what was asked for has not happened then.
 */
export class PrekeyRing {
  readonly #store: Store
  readonly #random: Random
  /** By id, in hex; the oldest first. */
  #keys = new Map<string, OwnPrekey>()
  /** Rows that are no prekeys. */
  #damaged: Key[] = []
  #rotating: Promise<unknown> = Promise.resolve()

  constructor({ store, random }: PrekeyRingOptions) {
    this.#store = store
    this.#random = random
  }

  /**
   * Reads the prekeys of earlier runs. A row that is no prekey counts as a lost one, and goes with the next {@link rotate}:
   * there may be a private half in it, and how old that is nobody knows.
   */
  async load(): Promise<void> {
    const keys: OwnPrekey[] = []
    this.#damaged = []
    for (const row of await this.#store.range('prekeys')) {
      const key = await readRow(row)
      if (key === undefined) this.#damaged.push(row.key)
      else keys.push(key)
    }
    this.#set(keys)
  }

  /** The prekey for the card: the newest. Undefined before the first {@link rotate}. */
  current(): OwnPrekey | undefined {
    return [...this.#keys.values()].at(-1)
  }

  /** The prekey with this id, as long as its private half exists. */
  find(id: Uint8Array): OwnPrekey | undefined {
    return this.#keys.get(toHex(id))
  }

  /**
   * Deletes what is over its time or damaged, and makes a new prekey if it is due; true when {@link current} is another than before.
   * A new key is on the disk before it can be seen.
   */
  rotate(now: number): Promise<boolean> {
    const rotated = this.#rotating.then(() => this.#rotate(now))
    this.#rotating = rotated.catch(() => {})
    return rotated
  }

  async #rotate(now: number): Promise<boolean> {
    const writes = this.#damaged.map((key): Write => ({ op: 'delete', table: 'prekeys', key }))
    const kept: OwnPrekey[] = []
    const gone: OwnPrekey[] = []
    for (const key of this.#keys.values()) {
      if (now - key.madeAt >= PREKEY_KEPT) {
        gone.push(key)
        writes.push({ op: 'delete', table: 'prekeys', key: [key.id] })
      } else if (key.madeAt - now > CLOCK_TOLERANCE) {
        // The clock was ahead. How old the key is nobody knows: it is replaced now, and gone at the latest in four weeks.
        const dated = { ...key, madeAt: now - PREKEY_CURRENT }
        kept.push(dated)
        writes.push(putRow(dated))
      } else {
        kept.push(key)
      }
    }
    const newest = kept.reduce((latest, { madeAt }) => Math.max(latest, madeAt), Number.NEGATIVE_INFINITY)
    const due = now - newest >= PREKEY_CURRENT
    if (due) {
      const made = await this.#make(now)
      kept.push(made)
      writes.push(putRow(made))
    }
    if (writes.length > 0) await this.#store.commit({ writes })
    this.#damaged = []
    this.#set(kept)
    for (const { privateKey } of gone) privateKey.fill(0)
    return due
  }

  async #make(now: number): Promise<OwnPrekey> {
    const { publicKey, privateKey } = await generateKey(this.#random)
    const madeAt = Math.floor(now)
    return { id: await prekeyId(publicKey), publicKey, privateKey, notAfter: madeAt + PREKEY_USABLE, madeAt }
  }

  #set(keys: readonly OwnPrekey[]): void {
    const sorted = [...keys].sort((a, b) => a.madeAt - b.madeAt)
    this.#keys = new Map(sorted.map(key => [toHex(key.id), key]))
  }
}

const putRow = ({ id, privateKey, publicKey, madeAt, notAfter }: OwnPrekey): Write => ({
  op: 'put',
  table: 'prekeys',
  key: [id],
  value: encode([privateKey, publicKey, madeAt, notAfter]),
})

/** The prekey in a row; undefined where the row is damaged. */
async function readRow({ key: [name], value }: Row): Promise<OwnPrekey | undefined> {
  const [privateKey, publicKey, madeAt, notAfter] = fieldsOf(value)
  if (!isKey(privateKey) || !isKey(publicKey) || !isTime(madeAt) || !isTime(notAfter)) return
  // What ended before it began others would be shown, and seal nothing to.
  if (notAfter <= madeAt) return
  // What fails here is the platform, and the row whole.
  const [own, id] = [await primitives.x25519PublicKey(privateKey), await prekeyId(publicKey)]
  // A public key that is not the private one's would make every opening fail without a word; a row under another id than
  // its own would not be found when it is to be deleted.
  if (!equal(publicKey, own) || !(name instanceof Uint8Array && equal(name, id))) return
  return { id, privateKey: privateKey.slice(), publicKey, madeAt, notAfter }
}

function fieldsOf(value: Uint8Array): unknown[] {
  try {
    const fields = decode(value)
    return Array.isArray(fields) ? fields : []
  } catch {
    return []
  }
}

const isKey = (value: unknown): value is Uint8Array<ArrayBuffer> =>
  value instanceof Uint8Array && value.length === KEY_BYTES

const isTime = (value: unknown): value is number => Number.isSafeInteger(value)
