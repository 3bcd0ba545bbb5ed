/**
 * Openings: how an epoch of a direct feed begins. The author agrees with a prekey of the recipient on a feed key (HPKE,
 * RFC 9180) and signs what was agreed, with whom and for how long. The packet's hash names the epoch, so nobody can take
 * the name of another's.
 *
 * ```
 * packet = [body: bstr, signature: bstr 64]
 * body   = ["afp/1/opening", version, suite, mesh, author, recipient, prekey id, random: bstr 16, not after, enc: bstr 32,
 *           [* epoch: bstr 16]]
 * info of HPKE = the body's fields without enc
 * epoch id     = first 16 bytes of SHA-256(packet)
 * feed key     = exported from HPKE for "afp/1/feed-key"
 * ```
 * Author and recipient are Ed25519 public keys. The signature is over the body, under the label.
 */

import { primitives } from '#crypto'
import { fromHex, toHex, utf8 } from '../common/bytes.ts'
import { AfpSecurityError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import { agentIdOf, type Identity, publicKeyOf, verifySignature } from '../identity/keys.ts'
import { decode, encode } from '../message/codec.ts'
import { type ExportContext, setupReceiver, setupSender } from './hpke.ts'
import { type OwnPrekey, PREKEY_ID_BYTES, PREKEY_KEPT, PREKEY_USABLE, type Prekey } from './prekeys.ts'
import { KEY_BYTES } from './primitives.ts'

const LABEL = 'afp/1/opening'
const VERSION = 1
/** The suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; Ed25519 for the signature. */
const SUITE = 1
const EXPORT_CONTEXT = utf8('afp/1/feed-key')

const RANDOM_BYTES = 16
const SIGNATURE_BYTES = 64
const EPOCH_BYTES = 16
const MAX_MESH_LENGTH = 64

/** The most earlier epochs that an opening names. */
export const MAX_EARLIER = 64
/** The largest packet, in bytes. */
export const MAX_OPENING_BYTES = 2_048
/** How long after an epoch's end its opening is still taken, ms: as long as a prekey outlives its use. */
export const OPENING_GRACE = PREKEY_KEPT - PREKEY_USABLE

/** What {@link makeOpening} needs. */
export interface MakeOpeningOptions {
  readonly author: Identity
  readonly mesh: string
  /** Agent id of the recipient. */
  readonly recipient: string
  /** The prekey on the recipient's card. */
  readonly prekey: Prekey
  /** Ids of the author's unsettled epochs to this recipient, hex; at most 64. Order waits for them. */
  readonly earlier: readonly string[]
  /** When nothing is appended any more, ms since 1970; not after the prekey's end. */
  readonly notAfter: number
  readonly random: Random
}

/** An epoch as its author has it. */
export interface Opening {
  /** Id of the epoch: 16 bytes, hex. */
  readonly epoch: string
  /** What travels. */
  readonly packet: Uint8Array<ArrayBuffer>
  /** The feed key, 32 bytes. */
  readonly key: Uint8Array<ArrayBuffer>
  readonly notAfter: number
}

/** An epoch as its recipient has it. */
export interface ReadOpening {
  readonly epoch: string
  /** Agent id of the author, who signed. */
  readonly author: string
  /** The feed key, 32 bytes; undefined for an epoch that is known. */
  readonly key: Uint8Array<ArrayBuffer> | undefined
  /** When the epoch ends, ms since 1970: at the latest with the prekey. */
  readonly notAfter: number
  /** Ids of the author's epochs that were unsettled before this one. */
  readonly earlier: readonly string[]
}

/** What {@link readOpening} needs. */
export interface ReadOpeningOptions {
  /** This agent's id. */
  readonly self: string
  readonly mesh: string
  /** This agent's prekeys: a {@link PrekeyRing}. */
  readonly prekeys: { find(id: Uint8Array): OwnPrekey | undefined }
  /** Wall time, ms since 1970. */
  readonly now: number
  /** How far clocks may be apart, ms. */
  readonly skew: number
  /** Whether this very packet was read before, by the id of its epoch: its signature held then. Default: none was. */
  readonly isKnown?: ((epoch: string) => boolean) | undefined
}

/**
 * Why an opening is refused, in `details.reason`. The last two are said only once its author's signature held: then
 * `agentId` is the author and `details.epoch` the epoch, and only then an answer to the author makes sense.
 * - `malformed`: not an opening (also where HPKE takes no such `enc`, whoever signed it)
 * - `wrong-recipient`, `wrong-mesh`: for somebody else
 * - `bad-signature`: not by its author
 * - `expired`: its epoch ended two weeks ago or more
 * - `lost-key`: sealed to a prekey whose private half is not here
 */
export type OpeningRefusal = 'malformed' | 'wrong-recipient' | 'wrong-mesh' | 'bad-signature' | 'expired' | 'lost-key'

/**
 * Opens an epoch to a recipient. Two calls never give the same one.
 * @throws AfpSecurityError INVALID_OPENING (`details.reason` is `malformed`) for arguments that the recipient would
 * refuse; INVALID_KEY for a prekey that agrees on nothing
 */
export async function makeOpening(options: MakeOpeningOptions): Promise<Opening> {
  const { author, mesh, prekey, earlier, notAfter, random } = options
  const recipient = publicKeyOf(options.recipient)
  if (recipient === undefined) throw refused('malformed', 'the recipient is not an agent id')
  if (earlier.length > MAX_EARLIER) throw refused('malformed', `there are more than ${MAX_EARLIER} earlier epochs`)
  const head = [
    LABEL,
    VERSION,
    SUITE,
    mesh,
    author.publicKey,
    recipient,
    prekey.id,
    random.bytes(RANDOM_BYTES),
    notAfter,
  ]
  const tail = earlier.map(epochBytes)
  const hpke = await setupSender(prekey.publicKey, encode([...head, tail]), random)
  const body = encode([...head, hpke.enc, tail])
  // What the recipient would refuse is an error here, not a feed that nobody can open.
  if (!isWellFormed(read(body))) throw refused('malformed', 'its mesh, prekey or end is not one')
  const packet = encode([body, await author.sign(LABEL, body)])
  return { epoch: await epochOf(packet), packet, key: await hpke.exportSecret(EXPORT_CONTEXT, KEY_BYTES), notAfter }
}

/**
 * Reads an opening that came from outside: bounds, form and address, then the signature, and only then its time, the
 * prekey and HPKE. Of one that is known neither the signature nor HPKE is done again.
 * @throws AfpSecurityError INVALID_OPENING, see {@link OpeningRefusal}
 */
export async function readOpening(packet: Uint8Array, options: ReadOpeningOptions): Promise<ReadOpening> {
  const { self, mesh, prekeys, now, skew, isKnown = () => false } = options
  const [body, signature, ...more] = list(read(packet))
  if (!isBytes(body) || !isBytes(signature, SIGNATURE_BYTES) || more.length > 0) {
    throw refused('malformed', 'it is not a body and a signature')
  }
  const fields = read(body)
  if (!isWellFormed(fields)) throw refused('malformed', 'a field is not what it should be')
  const [, , , toMesh, authorKey, recipient, prekeyId, , signedEnd, enc, earlier] = fields
  if (toMesh !== mesh) throw refused('wrong-mesh', 'it is for another mesh')
  if (agentIdOf(recipient) !== self) throw refused('wrong-recipient', 'it is for another agent')
  const author = agentIdOf(authorKey)
  const epoch = await epochOf(packet)
  const known = isKnown(epoch)
  if (!known && !(await verifySignature(author, LABEL, body, signature)))
    throw refused('bad-signature', 'its author did not sign')
  const signed = { agentId: author, epoch }
  if (now > signedEnd + OPENING_GRACE + skew) throw refused('expired', 'its epoch is long over', signed)
  const prekey = prekeys.find(prekeyId)
  if (prekey === undefined) throw refused('lost-key', 'the private half of its prekey is not here', signed)
  const agreed = { epoch, author, notAfter: Math.min(signedEnd, prekey.notAfter), earlier: earlier.map(toHex) }
  if (known) return { ...agreed, key: undefined }
  let hpke: ExportContext
  try {
    hpke = await setupReceiver(enc, prekey, encode([...fields.slice(0, 9), earlier]))
  } catch (cause) {
    throw refused('malformed', 'its encapsulated key agrees on nothing', { ...signed, cause })
  }
  return { ...agreed, key: await hpke.exportSecret(EXPORT_CONTEXT, KEY_BYTES) }
}

/** The epochs that an opening of one's own names, as it was stored; none where that is damaged. */
export function earlierIn(packet: Uint8Array): string[] {
  try {
    const fields = read(list(read(packet))[0] as Uint8Array)
    return isWellFormed(fields) ? fields[10].map(toHex) : []
  } catch {
    return []
  }
}

/** The fields of a body that {@link isWellFormed}. */
type Fields = [
  label: string,
  version: number,
  suite: number,
  mesh: string,
  author: Uint8Array,
  recipient: Uint8Array,
  prekeyId: Uint8Array,
  random: Uint8Array,
  notAfter: number,
  enc: Uint8Array,
  earlier: Uint8Array[],
]

function isWellFormed(value: unknown): value is Fields {
  const [label, version, suite, mesh, author, recipient, prekeyId, random, notAfter, enc, earlier, ...more] =
    list(value)
  return (
    more.length === 0 &&
    label === LABEL &&
    version === VERSION &&
    suite === SUITE &&
    typeof mesh === 'string' &&
    mesh.length > 0 &&
    mesh.length <= MAX_MESH_LENGTH &&
    isBytes(author, KEY_BYTES) &&
    isBytes(recipient, KEY_BYTES) &&
    isBytes(prekeyId, PREKEY_ID_BYTES) &&
    isBytes(random, RANDOM_BYTES) &&
    Number.isSafeInteger(notAfter) &&
    (notAfter as number) >= 0 &&
    isBytes(enc, KEY_BYTES) &&
    Array.isArray(earlier) &&
    earlier.length <= MAX_EARLIER &&
    earlier.every(epoch => isBytes(epoch, EPOCH_BYTES)) &&
    new Set(earlier.map(toHex)).size === earlier.length
  )
}

const isBytes = (value: unknown, length?: number): value is Uint8Array =>
  value instanceof Uint8Array && (length === undefined || value.length === length)

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

function read(bytes: Uint8Array): unknown {
  try {
    return decode(bytes, { depth: 2, bytes: MAX_OPENING_BYTES })
  } catch (cause) {
    throw refused('malformed', 'it is too long, or not deterministic CBOR', { cause })
  }
}

async function epochOf(packet: Uint8Array): Promise<string> {
  return toHex((await primitives.sha256(packet)).subarray(0, EPOCH_BYTES))
}

/** The bytes of an epoch id. */
function epochBytes(epoch: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/.test(epoch)) throw refused('malformed', 'an earlier epoch is not the id of one')
  return fromHex(epoch)
}

function refused(
  reason: OpeningRefusal,
  why: string,
  { agentId, epoch, cause }: { agentId?: string; epoch?: string; cause?: unknown } = {},
): AfpSecurityError {
  const details = epoch === undefined ? { reason } : { reason, epoch }
  return new AfpSecurityError('INVALID_OPENING', `opening refused: ${why}`, { agentId, cause, details })
}
