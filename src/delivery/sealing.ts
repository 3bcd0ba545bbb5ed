/**
 * From a message to an envelope's frame, and back: feed keys are symmetric, so authors can read their own. Content for
 * several recipients is sealed once; the envelope of each seals the key of it:
 *
 * ```
 * [id: bstr 16, [1*64 recipient], wrapped: bstr 96]        see security/shared-content.ts
 * ```
 */

import { agentIdOf } from '../identity/keys.ts'
import { decode, encode } from '../message/codec.ts'
import { bytesToUuid, uuidToBytes } from '../message/ids.ts'
import type { AeadKey } from '../security/aead.ts'
import { openDirect, sealDirect } from '../security/seal.ts'
import { openShared, type SharedContent } from '../security/shared-content.ts'
import { arrayOf, type Envelope, encodeHeader, envelopeFrame, malformed, readEnvelope } from './frames.ts'
import type { OutEpoch } from './out-epoch.ts'
import type { Draft } from './outgoing-parts.ts'

/** Where an envelope goes. */
export interface Destination {
  readonly mesh: string
  /** Public key of the recipient, 32 bytes. */
  readonly destination: Uint8Array
}

/** Which place it takes in its epoch. */
export interface Place {
  readonly number: number
  readonly prev: number
  readonly numbered: boolean
}

/** What the author says of content that several recipients get, beside what is in the message. */
export interface SharedAbout {
  /** Id of the message. */
  readonly id: string
  readonly recipients: readonly string[]
}

/** Whether a message is what was signed, for those to whom it was. */
export const isAbout = ({ id, recipients }: SharedAbout, about: SharedAbout): boolean =>
  id === about.id &&
  recipients.length === about.recipients.length &&
  recipients.every((to, i) => to === about.recipients[i])

/** What was sealed. */
export interface Opened {
  readonly payload: Uint8Array
  /** Has to be what the message says. */
  readonly about?: SharedAbout | undefined
}

/** A sealed message as a frame; a promise where the platform's cipher is asynchronous, or content is shared. */
export function sealFrame(
  epoch: OutEpoch,
  draft: Draft,
  place: Place,
  to: Destination,
): Uint8Array | Promise<Uint8Array> {
  const { id, key } = epoch
  const { priority, expiresAt, payload, shared } = draft
  const header = encodeHeader({ ...to, ...place, epoch: id, priority, expiresAt, shared: shared !== undefined })
  if (shared !== undefined) return sealWrapped(key, place, header, draft.messageId, shared)
  const sealed = sealDirect(key, place, header, payload)
  if (sealed instanceof Uint8Array) return envelopeFrame(header, sealed)
  return sealed.then(bytes => envelopeFrame(header, bytes))
}

async function sealWrapped(
  key: AeadKey,
  place: Place,
  header: Uint8Array,
  id: string,
  { recipients, content }: NonNullable<Draft['shared']>,
): Promise<Uint8Array> {
  const { sealed, wrapped }: SharedContent = await content()
  const inner = encode([uuidToBytes(id), recipients, wrapped])
  return envelopeFrame(header, await sealDirect(key, place, header, inner), sealed)
}

/**
 * Opens an envelope of an author to this agent.
 * @throws AfpSecurityError UNDECRYPTABLE unless the author sealed exactly this; AfpMessageError MALFORMED
 */
export function openEnvelope(
  key: AeadKey,
  { header, headerBytes, sealed, shared }: Envelope,
  between: { readonly author: string; readonly self: string },
): Opened | Promise<Opened> {
  const opened = openDirect(key, header, headerBytes, sealed)
  if (shared !== undefined) return openWrapped(opened, header.mesh, shared, between)
  return opened instanceof Uint8Array ? { payload: opened } : opened.then(payload => ({ payload }))
}

async function openWrapped(
  opened: Uint8Array | Promise<Uint8Array>,
  mesh: string,
  sealed: Uint8Array,
  { author, self }: { readonly author: string; readonly self: string },
): Promise<Opened> {
  const [id, recipients, wrapped] = arrayOf(decode(await opened), 3)
  if (
    !(id instanceof Uint8Array) ||
    id.length !== 16 ||
    !Array.isArray(recipients) ||
    !recipients.every(recipient => typeof recipient === 'string') ||
    !(wrapped instanceof Uint8Array)
  ) {
    throw malformed('the key of shared content')
  }
  const about = { id: bytesToUuid(id), recipients }
  return { payload: await openShared(self, { ...about, mesh, author }, { sealed, wrapped }), about }
}

/** What an author sealed in an envelope of its own. */
export async function openPayload(frame: Uint8Array, key: AeadKey, author: string): Promise<Uint8Array> {
  const envelope = readEnvelope(frame.subarray(1))
  const { payload } = await openEnvelope(key, envelope, { author, self: agentIdOf(envelope.header.destination) })
  return payload
}
