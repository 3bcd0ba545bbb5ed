/** The agent card: what an agent says of itself, signed. */

import { utf8Length } from '../common/bytes.ts'
import { AfpSecurityError } from '../common/errors.ts'
import { decode, encode, headLength } from '../message/codec.ts'
import { type Identity, isAgentId, verifySignature } from './keys.ts'
import { nameProblem } from './names.ts'
import { agreesOnNothing } from './small-order.ts'

/** What keeps a card's signature from being used for anything else. */
const LABEL = 'afp/1/card'
/** The version of the card's layout. */
const VERSION = 1

/** The largest card, in bytes. */
export const MAX_CARD_BYTES = 16_384
const MAX_ADDRESSES = 32
const MAX_ADDRESS_LENGTH = 512
const MAX_CAPABILITIES = 64
export const MAX_CAPABILITY_LENGTH = 128
const MAX_DESCRIPTION_LENGTH = 256
/**
 * Bytes of UTF-8 that description and capabilities may have together: what else is on a card, and ten of the longest
 * addresses, still fit. Within ASCII the bounds above are the smaller ones.
 */
const MAX_TEXT_BYTES = 10_240
/** Bytes of a card around its body, and of the head of its addresses beyond that of none, at most. */
const AROUND_BYTES = 72

/** The longest that a card is believed without a newer one, ms: a day. What it says of a later end does not count. */
export const MAX_CARD_LIFE = 24 * 3_600_000

/** An X25519 key to seal to, apart from the identity; see `security/prekeys.ts`. */
export interface CardPrekey {
  /** The first 8 bytes of SHA-256 of the public key. */
  readonly id: Uint8Array
  /** X25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** When it ends: nothing is sealed to it afterwards. Ms since 1970. */
  readonly notAfter: number
}

/** What a card says. */
export interface CardFields {
  /** The group of agents that the card is for. */
  readonly mesh: string
  readonly name: string
  readonly description: string
  /** What the agent can do for others. */
  readonly capabilities: readonly string[]
  /** Multiaddrs under which it can be dialled. */
  readonly addresses: readonly string[]
  /** Random bytes of this run of the agent, in hex: two live ones under one id are a conflict. */
  readonly instance: string
  /**
   * Grows with each card; a higher one replaces a lower one. At least the time of signing, ms since 1970, and no time
   * itself: after a clock that was once ahead it goes on from there.
   */
  readonly seq: number
  /** What others seal to; undefined where nobody can. */
  readonly prekey?: CardPrekey | undefined
  /** When it ends, ms since 1970; for the card of another agent no later than this one believes it. */
  readonly expiresAt: number
}

/** A card whose signature was checked, or that was made here. */
export interface Card extends CardFields {
  /** The agent's id. */
  readonly id: string
  /** The bytes that travel: what was signed and the signature. */
  readonly bytes: Uint8Array
}

/** Signs a card. */
export async function signCard(identity: Identity, fields: CardFields): Promise<Card> {
  const body = encodeBody(identity.id, fields)
  const signature = await identity.sign(LABEL, body)
  return { ...fields, id: identity.id, bytes: encode([body, signature]) }
}

function encodeBody(id: string, fields: CardFields): Uint8Array {
  const { prekey } = fields
  return encode([
    VERSION,
    id,
    fields.mesh,
    fields.name,
    fields.description,
    [...fields.capabilities],
    [...fields.addresses],
    fields.instance,
    fields.seq,
    fields.expiresAt,
    prekey === undefined ? null : [prekey.id, prekey.publicKey, prekey.notAfter],
  ])
}

/**
 * Those of some addresses that a card of these fields has room for, in their order: others refuse a card that is too
 * large, or has an address that is too long, as a whole.
 */
export function fittingAddresses(id: string, fields: CardFields): string[] {
  let left = MAX_CARD_BYTES - AROUND_BYTES - encodeBody(id, { ...fields, addresses: [] }).length
  const fitting: string[] = []
  for (const address of fields.addresses) {
    const bytes = utf8Length(address)
    if (fitting.length === MAX_ADDRESSES) break
    if (address.length > MAX_ADDRESS_LENGTH || bytes + headLength(bytes) > left) continue
    fitting.push(address)
    left -= bytes + headLength(bytes)
  }
  return fitting
}

/**
 * Reads a card that came from outside: bounds, then form, then signature.
 * @throws AfpSecurityError INVALID_CARD, its `details.reason` telling a bad signature from a bad form
 */
export async function openCard(bytes: Uint8Array): Promise<Card> {
  if (bytes.length > MAX_CARD_BYTES) throw invalid(`it has ${bytes.length} bytes, more than ${MAX_CARD_BYTES}`)
  const [body, signature] = parts(bytes, 2)
  if (!(body instanceof Uint8Array) || !(signature instanceof Uint8Array)) throw badField('envelope')
  const [version, id, mesh, name, description, capabilities, addresses, instance, seq, expiresAt, key] = parts(body, 11)
  if (version !== VERSION) throw invalid(`its version is ${String(version)}`)
  if (!isText(id, 64) || !isAgentId(id)) throw badField('id')
  if (!isText(mesh, 64)) throw badField('mesh')
  if (!isText(name, 64) || nameProblem(name) !== undefined) throw badField('name')
  if (!isText(description, MAX_DESCRIPTION_LENGTH)) throw badField('description')
  if (!isTexts(capabilities, MAX_CAPABILITIES, MAX_CAPABILITY_LENGTH)) throw badField('capabilities')
  if (!isTexts(addresses, MAX_ADDRESSES, MAX_ADDRESS_LENGTH)) throw badField('addresses')
  if (!isText(instance, 32)) throw badField('instance')
  if (!isCount(seq)) throw badField('seq')
  if (!isCount(expiresAt)) throw badField('expiry')
  const prekey = key === null ? undefined : readPrekey(key)
  if (!(await verifySignature(id, LABEL, body, signature)))
    throw invalid('its signature is not by its id', 'bad-signature')
  return {
    id,
    mesh,
    name,
    description,
    capabilities,
    addresses,
    instance,
    seq,
    expiresAt,
    prekey,
    bytes: bytes.slice(),
  }
}

function readPrekey(value: unknown): CardPrekey {
  const [id, publicKey, notAfter] = Array.isArray(value) && value.length === 3 ? value : []
  if (!isBytes(id, 8) || !isBytes(publicKey, 32) || !isCount(notAfter)) throw badField('prekey')
  // Nobody could seal anything to it: whatever waits for its agent would fail, each time it is tried.
  if (agreesOnNothing(publicKey)) throw badField('prekey')
  return { id: id.slice(), publicKey: publicKey.slice(), notAfter }
}

/** @throws AfpSecurityError INVALID_CARD for an own card that others would refuse */
export function validateCardFields(fields: Pick<CardFields, 'description' | 'capabilities' | 'mesh'>): void {
  const problem = nameProblem(fields.mesh)
  if (problem !== undefined) throw invalid(`its mesh: ${problem}`)
  if (!isText(fields.description, MAX_DESCRIPTION_LENGTH)) {
    throw invalid(`its description has more than ${MAX_DESCRIPTION_LENGTH} characters`)
  }
  if (!isTexts(fields.capabilities, MAX_CAPABILITIES, MAX_CAPABILITY_LENGTH) || fields.capabilities.includes('')) {
    throw invalid(`it has at most ${MAX_CAPABILITIES} capabilities of 1 to ${MAX_CAPABILITY_LENGTH} characters`)
  }
  const bytes = [fields.description, ...fields.capabilities].reduce((sum, text) => sum + utf8Length(text), 0)
  if (bytes > MAX_TEXT_BYTES) {
    throw invalid(`its description and capabilities have ${bytes} bytes of UTF-8, more than ${MAX_TEXT_BYTES}`)
  }
}

function parts(bytes: Uint8Array, length: number): unknown[] {
  let value: unknown
  try {
    value = decode(bytes)
  } catch (cause) {
    throw invalid('it is not deterministic CBOR', 'malformed', cause)
  }
  if (!Array.isArray(value) || value.length !== length) throw invalid(`it is not an array of ${length}`)
  return value
}

/** Whether a value is text of at most `max` characters. */
export const isText = (value: unknown, max: number): value is string => typeof value === 'string' && value.length <= max
const isTexts = (value: unknown, count: number, max: number): value is string[] =>
  Array.isArray(value) && value.length <= count && value.every(item => isText(item, max))
const isBytes = (value: unknown, length: number): value is Uint8Array =>
  value instanceof Uint8Array && value.length === length
/** Whether a value is a whole number from 0 up. */
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const invalid = (why: string, reason = 'malformed', cause?: unknown): AfpSecurityError =>
  new AfpSecurityError('INVALID_CARD', `card refused: ${why}`, { details: { reason }, cause })

const badField = (field: string): AfpSecurityError => invalid(`its ${field} is malformed`)
