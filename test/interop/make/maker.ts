/** Collects the cases of one file of golden frames. */

import { primitives } from '#crypto'
import { createIdentity, type Identity } from '../../../src/identity/keys.ts'
import { encode } from '../../../src/message/codec.ts'
import { prekeyId } from '../../../src/security/prekeys.ts'
import { bytesOf, type Case, hexOf, type Kind, type Knows, type PrekeyKeys, type Value, type World } from '../cases.ts'
import { remake } from '../remake.ts'

/** Every clock of the cases stands here: the first moment of 2026. */
export const NOW = 1_767_225_600_000
export const DAY = 86_400_000
export const MESH = 'demo'

/** What a case is called, what reads it, and what its reader knows. */
export interface About extends Knows {
  readonly name: string
  readonly kind: Kind
  readonly entropy?: readonly string[]
}

/** 32 bytes that stand for a secret, or others for what is random. */
export const fixed = (byte: number, length = 32): string => byte.toString(16).padStart(2, '0').repeat(length)

export const agents: Readonly<Record<'ada' | 'bob' | 'cleo', Identity>> = {
  ada: await createIdentity(bytesOf(fixed(0xa1))),
  bob: await createIdentity(bytesOf(fixed(0xb2))),
  cleo: await createIdentity(bytesOf(fixed(0xc3))),
}

/** Ids of agents of which nothing more is known. */
export const strangers: readonly string[] = await Promise.all(
  Array.from({ length: 62 }, async (_, i) => (await createIdentity(bytesOf(fixed(i)))).id),
)

async function prekey(secret: number): Promise<PrekeyKeys> {
  const privateKey = bytesOf(fixed(secret))
  const publicKey = await primitives.x25519PublicKey(privateKey)
  const id = await prekeyId(publicKey)
  return {
    privateKey: hexOf(privateKey),
    publicKey: hexOf(publicKey),
    id: hexOf(id),
    notAfter: NOW + 21 * DAY,
  }
}

/** Bob's two prekeys, and one whose private half he has lost. */
export const prekeys = { bob: await prekey(0x51), newer: await prekey(0x52), lost: await prekey(0x53) }

export const world: World = {
  protocol: 'AFP/1',
  mesh: MESH,
  now: NOW,
  agents: Object.fromEntries(
    Object.entries(agents).map(([name, { seed, publicKey, id }]) => [
      name,
      { seed: hexOf(seed), publicKey: hexOf(publicKey), id },
    ]),
  ),
  prekeys: { bob: prekeys.bob, newer: prekeys.newer },
}

/** See the head of this file. */
export class Maker {
  readonly cases: Case[] = []

  /** A frame as this package writes it. */
  async good(about: About, value: Value): Promise<Uint8Array> {
    const bytes = await remake({ ...about, value }, world, this.cases)
    this.#add({ ...about, bytes: hexOf(bytes), value })
    return bytes
  }

  /** A frame that this package reads, and writes otherwise. */
  foreign(about: About, bytes: Uint8Array, value: Value): void {
    this.#add({ ...about, foreign: true, bytes: hexOf(bytes), value })
  }

  /** A frame that has to be refused. */
  bad(about: About, refused: string, bytes: Uint8Array, zeros?: number): void {
    this.#add({ ...about, bytes: hexOf(bytes), ...(zeros === undefined ? {} : { zeros }), refused })
  }

  #add(given: Case): void {
    if (this.cases.some(({ name }) => name === given.name)) throw new Error(`two cases are called ${given.name}`)
    this.cases.push(given)
  }
}

/** The bytes with one bit the other way round. */
export function flip(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  const flipped = Uint8Array.from(bytes)
  flipped[at] = (flipped[at] as number) ^ (1 << bit)
  return flipped
}

/** An array with an item in another's place. */
export const put = (items: readonly unknown[], at: number, item: unknown): unknown[] => items.with(at, item)

/** The deterministic CBOR of an array, under a label signed by somebody. */
export async function signed(by: Identity, label: string, items: readonly unknown[]): Promise<Uint8Array> {
  const body = encode(items)
  return encode([body, await by.sign(label, body)])
}

/** Bytes from text in hex, with other bytes between. */
export const joined = (...parts: readonly (string | Uint8Array)[]): Uint8Array =>
  Uint8Array.from(parts.flatMap(part => [...(typeof part === 'string' ? bytesOf(part) : part)]))
