/**
 * Messages at most once that leave together, sealed as one: most of what sealing and opening cost is the same for one
 * message and for many. What is sealed tells the two apart, since a message begins with its version and no byte string:
 *
 * ```
 * bundle = [2*256 bstr .cbor message]
 * ```
 */

import { decodeByteStrings, encode, headLength } from '../message/codec.ts'
import { malformed } from './frames.ts'
import type { Draft } from './outgoing-parts.ts'

/** Bytes of a bundle: beyond them sealing costs what the bytes cost, and with its padding it fits every frame. */
export const BUNDLE_BYTES = 2 ** 15
/** Messages of a bundle. */
const MAX_MESSAGES = 256

/** Major types of CBOR. */
const BYTES = 2
const ARRAY = 4

const sizeOf = ({ payload }: Draft): number => headLength(payload.length) + payload.length

/** Whether a message may be one of several. */
export const isBundled = (draft: Draft): boolean => draft.shared === undefined && sizeOf(draft) <= BUNDLE_BYTES / 2

/** How many of `drafts` go together, from `start` on. What stands outside of the seal is true of each. */
export function runOf(drafts: readonly Draft[], start: number): number {
  const { priority } = drafts[start] as Draft
  let bytes = 0
  let count = 0
  for (let draft = drafts[start]; draft?.priority === priority && count < MAX_MESSAGES; draft = drafts[start + count]) {
    bytes += sizeOf(draft)
    if (bytes > BUNDLE_BYTES) break
    count++
  }
  return count
}

/** One message in place of several, in their order; the last of them to expire says when it does. */
export function bundled(drafts: readonly Draft[]): Draft {
  const first = drafts[0] as Draft
  if (drafts.length === 1) return first
  const expiresAt = drafts.reduce((latest, draft) => Math.max(latest, draft.expiresAt), 0)
  return { ...first, expiresAt, payload: encode(drafts.map(({ payload }) => payload)) }
}

/**
 * The messages of a bundle; undefined for a payload that is none.
 * @throws AfpMessageError MALFORMED
 */
export function unbundled(payload: Uint8Array): Uint8Array[] | undefined {
  const [initial = 0] = payload
  const head = initial < 0x98 ? 1 : 1 + 2 ** (initial - 0x98)
  if (initial >> 5 !== ARRAY || (payload[head] ?? 0) >> 5 !== BYTES) return undefined
  const messages = decodeByteStrings(payload, { items: MAX_MESSAGES + 1 })
  if (messages === undefined || messages.length < 2) throw malformed('a bundle')
  return messages
}
