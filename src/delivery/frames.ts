/**
 * The frames of delivery, behind the type byte that the network reads. All are deterministic CBOR; docs/protocol.md has
 * their CDDL.
 *
 * ```
 * 16 envelope        [header: bstr, sealed: bstr, ? shared: bstr]
 *    header          [1, mesh, destination: bstr 32, epoch: bstr 16, number, prev, priority, expires at, numbered,
 *                     shared: bool]
 * 17 opening         the packet of security/opening.ts
 * 18 acks            [credit, [* [epoch, delivered: ranges, processed: ranges, [* [number, reason]], skipped: ranges]]]
 * 19 states          [* [epoch, base, last, skips: ranges]]
 * 20 unknown epochs  [* epoch]
 * 21 lost key        [[* epoch], signature]
 * ```
 */

import { concat, fromHex, toHex } from '../common/bytes.ts'
import { AfpMessageError } from '../common/errors.ts'
import { ackBytes, type FeedAck, type FeedState, MAX_WORDS_BYTES } from '../feed/index.ts'
import { BOUNDS } from '../message/bounds.ts'
import { decode, encode } from '../message/codec.ts'

/** The type byte of each frame. */
export const FrameType = { envelope: 16, opening: 17, acks: 18, states: 19, unknownEpochs: 20, lostKey: 21 } as const

/** Version of the envelope's header. */
const VERSION = 1
/** Epochs that one frame may speak of. */
export const MAX_EPOCHS = 128
/** Numbers of a feed fit a nonce and a double. */
const MAX_NUMBER = 2 ** 48 - 1

/** What an envelope says in the clear; all of it is authenticated by the seal. */
export interface EnvelopeHeader {
  readonly mesh: string
  /** Public key of the recipient, 32 bytes. */
  readonly destination: Uint8Array
  /** Id of the epoch, hex. */
  readonly epoch: string
  /** Position in the epoch; of an unnumbered message, the count that gives its nonce. */
  readonly number: number
  /** The position before it in its priority class; 0: the first. */
  readonly prev: number
  /** 0 to 9. */
  readonly priority: number
  /** When the message ends, ms since 1970. */
  readonly expiresAt: number
  /** Whether it holds a position; at-most-once messages do not. */
  readonly numbered: boolean
  /** Whether its content is sealed apart, in the same bytes for several recipients. */
  readonly shared: boolean
}

/** An envelope as it came. */
export interface Envelope {
  readonly header: EnvelopeHeader
  /** The header's bytes: what the seal authenticates beside the content. */
  readonly headerBytes: Uint8Array
  readonly sealed: Uint8Array
  /** Content for several recipients, which `sealed` has the key of. */
  readonly shared: Uint8Array | undefined
}

/** A frame: the type and what follows it. */
export const frameOf = (type: number, body: Uint8Array): Uint8Array<ArrayBuffer> => concat([Uint8Array.of(type), body])

/** The bytes of a header. */
export const encodeHeader = (header: EnvelopeHeader): Uint8Array<ArrayBuffer> =>
  encode([
    VERSION,
    header.mesh,
    header.destination,
    fromHex(header.epoch),
    header.number,
    header.prev,
    header.priority,
    header.expiresAt,
    header.numbered,
    header.shared,
  ])

/** An envelope as a frame. */
export const envelopeFrame = (
  header: Uint8Array,
  sealed: Uint8Array,
  shared?: Uint8Array | undefined,
): Uint8Array<ArrayBuffer> =>
  frameOf(FrameType.envelope, encode(shared === undefined ? [header, sealed] : [header, sealed, shared]))

/**
 * Reads the body of an envelope frame. Nothing in it is proved before the seal is opened.
 * @throws AfpMessageError MALFORMED
 */
export function readEnvelope(body: Uint8Array): Envelope {
  // Its length was checked as that of a frame, whose limit is the agent's own.
  const parts = listOf(decode(body, { bytes: body.length }), 3)
  if (parts.length < 2 || !parts.every(part => part instanceof Uint8Array)) throw malformed('an envelope')
  const [headerBytes, sealed, content] = parts as [Uint8Array, Uint8Array, Uint8Array?]
  const fields = arrayOf(decode(headerBytes, { depth: 2 }), 10)
  const [version, mesh, destination, epoch, number, prev, priority, expiresAt, numbered, shared] = fields
  if (version !== VERSION) throw malformed(`an envelope of version ${String(version).slice(0, 20)}`, 'wrong-version')
  const header = { mesh, destination, epoch: epochOf(epoch), number, prev, priority, expiresAt, numbered, shared }
  if (
    typeof mesh !== 'string' ||
    mesh.length > 64 ||
    !(destination instanceof Uint8Array) ||
    destination.length !== 32 ||
    !isNumber(number) ||
    number === 0 ||
    !isNumber(prev) ||
    prev >= number ||
    !isNumber(priority) ||
    priority > 9 ||
    !Number.isSafeInteger(expiresAt) ||
    (expiresAt as number) < 0 ||
    typeof numbered !== 'boolean' ||
    // The header is authenticated, so nobody on the way can add content or take it away.
    shared !== (content !== undefined)
  ) {
    throw malformed('the header of an envelope')
  }
  return { header: header as EnvelopeHeader, headerBytes, sealed, shared: content }
}

/** Epoch ids as a frame of theirs: {@link FrameType.unknownEpochs}. */
export const unknownEpochsFrame = (epochs: readonly string[]): Uint8Array<ArrayBuffer> =>
  frameOf(FrameType.unknownEpochs, encode(epochs.map(fromHex)))

/** @throws AfpMessageError MALFORMED */
export const readEpochs = (value: unknown): string[] => eachOnce(listOf(value, MAX_EPOCHS).map(epochOf), id => id)

/** A word says what there is to say of an epoch at once: each is work. @throws AfpMessageError MALFORMED */
function eachOnce<T>(words: T[], epochOf: (word: T) => string): T[] {
  if (new Set(words.map(epochOf)).size < words.length) throw malformed('a word on an epoch that is named twice')
  return words
}

/** @throws AfpMessageError MALFORMED */
export function listOf(value: unknown, max: number): unknown[] {
  if (!Array.isArray(value) || value.length > max) throw malformed(`not a list of at most ${max}`)
  return value
}

/** @throws AfpMessageError MALFORMED */
export function arrayOf(value: unknown, length: number): unknown[] {
  if (!Array.isArray(value) || value.length !== length) throw malformed(`not an array of ${length}`)
  return value
}

/** @throws AfpMessageError MALFORMED */
export function epochOf(value: unknown): string {
  if (!(value instanceof Uint8Array) || value.length !== 16) throw malformed('an epoch id that has not 16 bytes')
  return toHex(value)
}

/** Whether a value is a position of a feed, or 0. */
export const isNumber = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_NUMBER

/** An error for what a stranger sent. */
export const malformed = (what: string, reason = 'malformed'): AfpMessageError =>
  new AfpMessageError('MALFORMED', `refused: ${what}`, { details: { reason } })

/** An acknowledgement as it came; the feed room reads what is inside the ranges. */
export interface AckFrame {
  /** How many more messages the recipient takes. */
  readonly credit: number
  readonly acks: readonly FeedAck[]
}

/** Acknowledgements, and how many more messages are welcome. */
export const acksFrame = (credit: number, acks: AckFrame['acks']): Uint8Array<ArrayBuffer> =>
  frameOf(
    FrameType.acks,
    encode([
      credit,
      acks.map(({ epoch, delivered, processed, refused, skipped }) => [
        fromHex(epoch),
        delivered,
        processed,
        refused,
        skipped,
      ]),
    ]),
  )

/**
 * Acknowledgements of any number of epochs as frames that every agent takes: each of an epoch says all by itself, and
 * of those that are not in a frame it says nothing.
 */
export function* acksFrames(credit: number, acks: AckFrame['acks']): Generator<Uint8Array<ArrayBuffer>> {
  let some: FeedAck[] = []
  let bytes = 0
  for (const ack of acks) {
    const more = ackBytes(ack)
    if (some.length === MAX_EPOCHS || (some.length > 0 && bytes + more > MAX_WORDS_BYTES)) {
      yield acksFrame(credit, some)
      some = []
      bytes = 0
    }
    some.push(ack)
    bytes += more
  }
  if (some.length > 0) yield acksFrame(credit, some)
}

/** @throws AfpMessageError MALFORMED */
export function readAcks(body: Uint8Array): AckFrame {
  const [credit, list] = arrayOf(decode(body, BOUNDS.words), 2)
  if (!isNumber(credit)) throw malformed('the credit of an acknowledgement')
  const acks = listOf(list, MAX_EPOCHS).map(item => {
    const [epoch, delivered, processed, refused, skipped] = arrayOf(item, 5)
    return { epoch: epochOf(epoch), delivered, processed, refused, skipped } as FeedAck
  })
  return { credit, acks: eachOnce(acks, ({ epoch }) => epoch) }
}

/** The states of every epoch that has anything unsettled, at most {@link MAX_EPOCHS}. */
export const statesFrame = (states: readonly FeedState[]): Uint8Array<ArrayBuffer> =>
  frameOf(FrameType.states, encode(states.map(({ epoch, base, last, skips }) => [fromHex(epoch), base, last, skips])))

/** @throws AfpMessageError MALFORMED */
export function readStates(body: Uint8Array): FeedState[] {
  const states = listOf(decode(body, BOUNDS.words), MAX_EPOCHS).map(item => {
    const [epoch, base, last, skips] = arrayOf(item, 4)
    if (!isNumber(base) || !isNumber(last) || base > last) throw malformed('a state')
    return { epoch: epochOf(epoch), base, last, skips } as FeedState
  })
  return eachOnce(states, ({ epoch }) => epoch)
}

/** Label of the signature under a `lost-key`. */
export const LOST_KEY_LABEL = 'afp/1/lost-key'

/** What is signed of a `lost-key`: for one author in one mesh, so that nobody can play it to another. */
export const lostKeyBody = (mesh: string, author: string, epochs: readonly string[]): Uint8Array<ArrayBuffer> =>
  encode([mesh, author, epochs.map(fromHex)])

/** Epochs that their recipient can never open, with its signature over {@link lostKeyBody}. */
export const lostKeyFrame = (epochs: readonly string[], signature: Uint8Array): Uint8Array<ArrayBuffer> =>
  frameOf(FrameType.lostKey, encode([epochs.map(fromHex), signature]))

/** @throws AfpMessageError MALFORMED */
export function readLostKey(body: Uint8Array): { epochs: string[]; signature: Uint8Array } {
  const [epochs, signature] = arrayOf(decode(body), 2)
  if (!(signature instanceof Uint8Array) || signature.length !== 64) throw malformed('the signature of a lost key')
  return { epochs: readEpochs(epochs), signature }
}
