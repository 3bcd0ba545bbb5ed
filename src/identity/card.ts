/** The agent card: what an agent says of itself, signed. */

import { AfpSecurityError } from '../common/errors.ts'
import { decode, encode } from '../message/codec.ts'
import { type Identity, isAgentId, verifySignature } from './keys.ts'
import { nameProblem } from './names.ts'

/** What keeps a card's signature from being used for anything else. */
const LABEL = 'afp/1/card'
/** The version of the card's layout. */
const VERSION = 1

/** The largest card, in bytes. */
export const MAX_CARD_BYTES = 16_384
const MAX_ADDRESSES = 32
const MAX_ADDRESS_LENGTH = 512
const MAX_CAPABILITIES = 64
const MAX_CAPABILITY_LENGTH = 128
const MAX_DESCRIPTION_LENGTH = 256

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
  /** Grows with each card; a higher one replaces a lower one. At least the time of signing, ms since 1970. */
  readonly seq: number
  /** When it ends, ms since 1970. */
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
  const body = encode([
    VERSION,
    identity.id,
    fields.mesh,
    fields.name,
    fields.description,
    [...fields.capabilities],
    [...fields.addresses],
    fields.instance,
    fields.seq,
    fields.expiresAt,
  ])
  const signature = await identity.sign(LABEL, body)
  return { ...fields, id: identity.id, bytes: encode([body, signature]) }
}

/**
 * Reads a card that came from outside: bounds, then form, then signature.
 * @throws AfpSecurityError INVALID_CARD, its `details.reason` telling a bad signature from a bad form
 */
export async function openCard(bytes: Uint8Array): Promise<Card> {
  if (bytes.length > MAX_CARD_BYTES) throw invalid(`it has ${bytes.length} bytes, more than ${MAX_CARD_BYTES}`)
  const [body, signature] = parts(bytes, 2)
  if (!(body instanceof Uint8Array) || !(signature instanceof Uint8Array)) throw invalid('it is not two byte strings')
  const [version, id, mesh, name, description, capabilities, addresses, instance, seq, expiresAt] = parts(body, 10)
  if (version !== VERSION) throw invalid(`its version is ${String(version)}`)
  if (!isText(id, 64) || !isAgentId(id)) throw invalid('its id is not an agent id')
  if (!isText(mesh, 64)) throw invalid('its mesh is not a name')
  if (!isText(name, 64) || nameProblem(name) !== undefined) throw invalid(`its name: ${nameProblem(name)}`)
  if (!isText(description, MAX_DESCRIPTION_LENGTH)) throw invalid('its description is not a short text')
  if (!isTexts(capabilities, MAX_CAPABILITIES, MAX_CAPABILITY_LENGTH))
    throw invalid('its capabilities are too many or long')
  if (!isTexts(addresses, MAX_ADDRESSES, MAX_ADDRESS_LENGTH)) throw invalid('its addresses are too many or long')
  if (!isText(instance, 32)) throw invalid('its instance is not a short text')
  if (!isTime(seq) || !isTime(expiresAt)) throw invalid('its seq or expiry is not a number of milliseconds')
  if (!(await verifySignature(id, LABEL, body, signature)))
    throw invalid('its signature is not by its id', 'bad-signature')
  return { id, mesh, name, description, capabilities, addresses, instance, seq, expiresAt, bytes: bytes.slice() }
}

/** @throws AfpSecurityError INVALID_CARD for an own card that others would refuse */
export function validateCardFields(fields: Pick<CardFields, 'description' | 'capabilities' | 'mesh'>): void {
  if (!isText(fields.mesh, 64) || fields.mesh.length === 0 || nameProblem(fields.mesh) !== undefined) {
    throw invalid(`the mesh is named by 1 to 64 characters: ${nameProblem(fields.mesh) ?? 'it is too long'}`)
  }
  if (!isText(fields.description, MAX_DESCRIPTION_LENGTH)) {
    throw invalid(`a description has at most ${MAX_DESCRIPTION_LENGTH} characters`)
  }
  if (!isTexts(fields.capabilities, MAX_CAPABILITIES, MAX_CAPABILITY_LENGTH) || fields.capabilities.includes('')) {
    throw invalid(`there are at most ${MAX_CAPABILITIES} capabilities of 1 to ${MAX_CAPABILITY_LENGTH} characters`)
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

const isText = (value: unknown, max: number): value is string => typeof value === 'string' && value.length <= max
const isTexts = (value: unknown, count: number, max: number): value is string[] =>
  Array.isArray(value) && value.length <= count && value.every(item => isText(item, max))
const isTime = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const invalid = (why: string, reason = 'malformed', cause?: unknown): AfpSecurityError =>
  new AfpSecurityError('INVALID_CARD', `card refused: ${why}`, { details: { reason }, cause })
