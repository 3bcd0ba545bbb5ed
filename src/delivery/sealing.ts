/** From a message to an envelope's frame, and back: feed keys are symmetric, so authors can read their own. */

import { openDirect, sealDirect } from '../security/seal.ts'
import { encodeHeader, envelopeFrame, readEnvelope } from './frames.ts'
import type { Entry, OutEpoch } from './out-epoch.ts'
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

/** A sealed message as a frame; a promise where the platform's cipher is asynchronous. */
export function sealFrame(
  { id, key }: OutEpoch,
  { priority, expiresAt, payload }: Draft,
  place: Place,
  to: Destination,
): Uint8Array | Promise<Uint8Array> {
  const header = encodeHeader({ ...to, ...place, epoch: id, priority, expiresAt })
  const sealed = sealDirect(key, place, header, payload)
  if (sealed instanceof Uint8Array) return envelopeFrame(header, sealed)
  return sealed.then(bytes => envelopeFrame(header, bytes))
}

/** What was sealed. */
export async function openPayload({ row, epoch, number }: Entry): Promise<Uint8Array> {
  const { headerBytes, sealed } = readEnvelope(row.frame.subarray(1))
  return openDirect(epoch.key, { number, numbered: true }, headerBytes, sealed)
}
