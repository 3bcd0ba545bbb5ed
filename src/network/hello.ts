/** The first frame each way: version, mesh and card of whoever sends it. Nothing else of a stranger is parsed. */

import { AfpError } from '../common/errors.ts'
import { type Card, openCard } from '../identity/card.ts'
import { encode } from '../message/codec.ts'
import { LEAST_FRAME_BYTES } from '../message/validate.ts'
import { FrameType, frameOf } from './frames.ts'
import { Refusal, readArray } from './refusal.ts'

/** The version of the wire that this code speaks. */
export const WIRE_VERSION = 1

/** The largest hello, bytes: a card and little else. */
export const MAX_HELLO_BYTES = 20_480

/** The largest frame that an agent takes whose hello names none, bytes. */
export const DEFAULT_FRAME_BYTES = 2 ** 20

/** What a hello says. */
export interface Hello {
  /** The card, not yet checked. */
  readonly card: Uint8Array
  /** The largest frame of upper floors that its sender takes, bytes. */
  readonly frameBytes: number
}

/** The hello of a member with this card that takes frames of so many bytes, as a frame. */
export const encodeHello = (mesh: string, card: Card, frameBytes = DEFAULT_FRAME_BYTES): Uint8Array =>
  frameOf(
    FrameType.hello,
    encode([WIRE_VERSION, mesh, card.bytes, frameBytes === DEFAULT_FRAME_BYTES ? null : frameBytes]),
  )

/**
 * What a first frame says.
 * @throws Refusal for what is no hello of this mesh and version
 */
export function decodeHello(type: number, body: Uint8Array, mesh: string): Hello {
  if (type !== FrameType.hello) throw new Refusal('no-hello', `a frame of type ${type}`)
  const hello = readArray(body, 'the hello')
  if (hello.length < 2) throw new Refusal('malformed', 'the hello')
  const [version, claimed, card, frameBytes] = hello
  if (version !== WIRE_VERSION) throw new Refusal('wrong-version', `version ${String(version).slice(0, 20)}`)
  if (claimed !== mesh) throw new Refusal('wrong-mesh', 'for another mesh')
  if (hello.length !== 4 || !(card instanceof Uint8Array)) throw new Refusal('malformed', 'the hello')
  const named = typeof frameBytes === 'number' && Number.isSafeInteger(frameBytes) && frameBytes > 0
  // Who names less is sent what everybody has to take: without it nothing could be delivered.
  return { card, frameBytes: named ? Math.max(frameBytes, LEAST_FRAME_BYTES) : DEFAULT_FRAME_BYTES }
}

/**
 * A card from a hello, checked: the connection proves who `peer` is.
 * @throws Refusal for one that is forged, of another agent or of another mesh
 */
export async function checkHelloCard(bytes: Uint8Array, peer: string, mesh: string): Promise<Card> {
  const card = await openCard(bytes).catch(error => {
    const forged = error instanceof AfpError && error.details.reason === 'bad-signature'
    throw new Refusal(forged ? 'bad-signature' : 'bad-card', (error as Error).message)
  })
  if (card.id !== peer) throw new Refusal('bad-card', 'the card of another agent')
  if (card.mesh !== mesh) throw new Refusal('wrong-mesh', 'for another mesh')
  return card
}
