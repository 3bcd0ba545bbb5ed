/** Identities: an Ed25519 key whose public half is the agent's id. */

import { base58btc } from 'multiformats/bases/base58'
import { keyPair, type Signer, verify } from '#ed25519'
import { concat, utf8 } from '../common/bytes.ts'
import { checkOption, type OptionCheck } from '../common/check-options.ts'
import { AfpSecurityError } from '../common/errors.ts'
import { type Random, systemRandom } from '../common/random.ts'
import { mayBePoint } from './small-order.ts'

/**
 * What stands in front of an Ed25519 public key in a libp2p peer id: an identity multihash (code 0, 36 bytes) of a
 * protobuf with key type 1 and 32 bytes of data (libp2p specification, peer-ids).
 */
const PEER_ID_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)

/** The length that every such id has, in characters. */
const PEER_ID_LENGTH = 52

/** The agent id of an Ed25519 public key (32 bytes): a libp2p peer id in its base58 form, `12D3KooW...`. */
export function agentIdOf(publicKey: Uint8Array): string {
  return base58btc.baseEncode(concat([PEER_ID_PREFIX, publicKey]))
}

/** The keys of ids that were looked at: every message names some, and base58 is slow. */
const known = new Map<string, Uint8Array>()
const MOST_KNOWN = 1_024

/** The public key inside an agent id, or undefined for a string that is not one. Nobody may change its bytes. */
export function publicKeyOf(agentId: string): Uint8Array | undefined {
  if (agentId.length !== PEER_ID_LENGTH) return undefined
  const before = known.get(agentId)
  if (before !== undefined) return before
  const key = decodeId(agentId)
  if (key !== undefined) {
    if (known.size >= MOST_KNOWN) known.clear()
    known.set(agentId, key)
  }
  return key
}

function decodeId(agentId: string): Uint8Array | undefined {
  try {
    const bytes = base58btc.baseDecode(agentId)
    const key = bytes.subarray(PEER_ID_PREFIX.length)
    const wellFormed = key.length === 32 && PEER_ID_PREFIX.every((byte, i) => bytes[i] === byte)
    return wellFormed ? key : undefined
  } catch {
    return undefined
  }
}

/** Whether a value is an agent id. */
export const isAgentId = (value: unknown): boolean => typeof value === 'string' && publicKeyOf(value) !== undefined

/** Who an agent is. Make one with {@link createIdentity}. */
export interface Identity {
  /** The agent id. */
  readonly id: string
  /** Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** The secret everything stands on, 32 bytes: keep it as you would a password. */
  readonly seed: Uint8Array
  /** Signs data under a label that says what for, so that no signature can be used for something else. */
  sign(label: string, data: Uint8Array): Promise<Uint8Array>
}

// Not what can be made into bytes: the digits of a text, or numbers that were cut, would be the seed of somebody else. By
// its name: bytes may come from another realm.
const SEED: OptionCheck = [
  'a Uint8Array',
  value => ArrayBuffer.isView(value) && (value as Uint8Array)[Symbol.toStringTag] === 'Uint8Array',
]

/**
 * An identity from a 32-byte seed, or a new one.
 * @throws AfpSecurityError INVALID_IDENTITY for a seed of another length; AfpError INVALID_OPTION for what is no bytes
 */
export async function createIdentity(seed?: Uint8Array, random: Random = systemRandom): Promise<Identity> {
  if (seed !== undefined) checkOption('the seed of createIdentity()', seed, SEED)
  // Before it is copied: one whose buffer is gone has none.
  if (seed !== undefined && seed.length !== 32) {
    throw new AfpSecurityError('INVALID_IDENTITY', `an Ed25519 seed has 32 bytes, this one ${seed.length}`)
  }
  const secret = seed === undefined ? random.bytes(32) : Uint8Array.from(seed)
  const { publicKey, sign } = await keyPair(secret)
  const signer: Signer = sign
  return {
    id: agentIdOf(publicKey),
    publicKey,
    seed: secret,
    sign: (label, data) => signer(labelled(label, data)),
  }
}

/** Whether `signature` is the agent's over `data` under `label`. */
export async function verifySignature(
  agentId: string,
  label: string,
  data: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const publicKey = publicKeyOf(agentId)
  if (publicKey === undefined || signature.length !== 64) return false
  // On every platform alike, before it is asked.
  if (!mayBePoint(publicKey) || !mayBePoint(signature.subarray(0, 32))) return false
  return verify(publicKey, signature, labelled(label, data))
}

/** The bytes that are signed: the label, a zero byte that no label contains, the data. */
const labelled = (label: string, data: Uint8Array): Uint8Array => concat([utf8(label), Uint8Array.of(0), data])
