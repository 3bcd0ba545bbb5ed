/**
 * Content for several recipients, sealed once. Each recipient's own envelope carries the key of it and a signature: feed
 * keys are known to two, so without a signature one recipient could pass content on to another in the author's name.
 *
 * The signature covers the key together with the ciphertext: AES-GCM alone lets a dishonest author make one ciphertext
 * that two keys open to two different contents.
 *
 * ```
 * about      = ["afp/1/shared", id, mesh, author, [1*64 recipient]]     the associated data of the content's seal
 * signature  over [about, SHA-256(content key || sealed content)], under the label
 * wrapped    = content key (32 bytes) || signature (64 bytes)
 * ```
 */

import { primitives } from '#crypto'
import { concat } from '../common/bytes.ts'
import { AfpSecurityError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import { type Identity, verifySignature } from '../identity/keys.ts'
import { encode } from '../message/codec.ts'
import { MAX_RECIPIENTS } from '../message/validate.ts'
import { pad, unpad } from './padding.ts'
import { type Bytes, KEY_BYTES, NONCE_BYTES, undecryptable } from './primitives.ts'

const LABEL = 'afp/1/shared'
const SIGNATURE_BYTES = 64

/** A key seals one content and no other, so its nonce is a constant. */
const NONCE = new Uint8Array(NONCE_BYTES)

/** What content is said to be, by the author and to every recipient alike. */
export interface SharedContentAbout {
  /** Id of the message. */
  readonly id: string
  readonly mesh: string
  /** Agent id of the author. Who reads takes it from the feed, never from the message. */
  readonly author: string
  /** Agent ids of all recipients, in the message's order. */
  readonly recipients: readonly string[]
}

/** Content that was sealed. */
export interface SharedContent {
  /** The sealed content: the same bytes for everybody. */
  readonly sealed: Bytes
  /** Its key and the author's signature, 96 bytes: for the sealed part of each recipient's envelope, never in the clear. */
  readonly wrapped: Bytes
}

/**
 * Seals content for several recipients.
 * @throws AfpSecurityError INVALID_OPTION for more than 64 recipients, or none
 */
export async function sealShared(
  author: Identity,
  about: Omit<SharedContentAbout, 'author'>,
  content: Uint8Array,
  random: Random,
): Promise<SharedContent> {
  if (about.recipients.length === 0 || about.recipients.length > MAX_RECIPIENTS) {
    throw new AfpSecurityError('INVALID_OPTION', `content is shared by 1 to ${MAX_RECIPIENTS} recipients`)
  }
  const head = encodeAbout({ ...about, author: author.id })
  const key = random.bytes(KEY_BYTES)
  const sealed = await (await primitives.importKey(key)).seal(NONCE, head, pad(content))
  const signature = await author.sign(LABEL, await signedPart(head, key, sealed))
  return { sealed, wrapped: concat([key, signature]) }
}

/**
 * Opens content that came with `wrapped`. Who has another's `wrapped` cannot make it fit another message, mesh, author,
 * list of recipients or content.
 * @throws AfpSecurityError UNDECRYPTABLE unless the author signed this content for these recipients, `self` among them;
 * `details.reason` tells `malformed`, `wrong-recipient`, `bad-signature`
 */
export async function openShared(
  self: string,
  about: SharedContentAbout,
  { sealed, wrapped }: { readonly sealed: Uint8Array; readonly wrapped: Uint8Array },
): Promise<Bytes> {
  if (wrapped.length !== KEY_BYTES + SIGNATURE_BYTES || about.recipients.length > MAX_RECIPIENTS) {
    throw refused('malformed', about.author)
  }
  if (!about.recipients.includes(self)) throw refused('wrong-recipient', about.author)
  const head = encodeAbout(about)
  const key = wrapped.subarray(0, KEY_BYTES)
  const signed = await signedPart(head, key, sealed)
  if (!(await verifySignature(about.author, LABEL, signed, wrapped.subarray(KEY_BYTES)))) {
    throw refused('bad-signature', about.author)
  }
  return unpad(await (await primitives.importKey(key)).open(NONCE, head, sealed))
}

const encodeAbout = ({ id, mesh, author, recipients }: SharedContentAbout): Uint8Array =>
  encode([LABEL, id, mesh, author, [...recipients]])

async function signedPart(head: Uint8Array, key: Uint8Array, sealed: Uint8Array): Promise<Uint8Array> {
  return encode([head, await primitives.sha256(concat([key, sealed]))])
}

const refused = (reason: string, agentId: string): AfpSecurityError =>
  new AfpSecurityError('UNDECRYPTABLE', undecryptable().message, { agentId, details: { reason } })
