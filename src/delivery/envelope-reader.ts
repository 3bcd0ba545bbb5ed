/** From an envelope of one author to the message in it. */

import { AfpMessageError, AfpSecurityError } from '../common/errors.ts'
import { decodeMessage, type MessageKind } from '../message/envelope.ts'
import type { Message } from '../message/message.ts'
import type { Limits } from '../message/validate.ts'
import type { AeadKey } from '../security/aead.ts'
import { type EnvelopeRefusal, type IncomingParts, SEALED } from './arrived.ts'
import type { Envelope, EnvelopeHeader } from './frames.ts'
import { isAbout, type Opened, openEnvelope, type SharedAbout } from './sealing.ts'

/** Between whom. */
export interface EnvelopeReaderParts extends Pick<IncomingParts, 'judge' | 'identity' | 'mesh' | 'clock'> {
  readonly author: string
  readonly self: string
  readonly limits: Limits
}

/** Why a message is refused for now: it may be on time by another clock. */
export const untimely = (error: Error): EnvelopeRefusal | undefined => {
  if (!(error instanceof AfpMessageError)) return undefined
  if (error.code === 'MESSAGE_EXPIRED') return 'expired'
  return error.details.reason === 'clock-skew' ? 'clock-skew' : undefined
}

/** What its author is told of a message that is none, or that is not wanted. */
export const rejectionOf = (error: Error): 'too-large' | 'rejected' =>
  error instanceof AfpMessageError && error.details.reason === 'too-large' ? 'too-large' : 'rejected'

/** Why an envelope was not taken; undefined where that is not its fault. */
export function refusalOf(error: unknown): EnvelopeRefusal | undefined {
  if (error instanceof AfpSecurityError) return 'undecryptable'
  if (!(error instanceof AfpMessageError)) return undefined
  const { reason } = error.details
  return untimely(error) ?? (reason === 'wrong-version' ? reason : 'malformed')
}

/** What a payload comes to. */
export type Judged = { readonly message: Message; readonly kind: MessageKind } | Error

const asError = (error: unknown): Error => error as Error

/** See the head of this file. */
export class EnvelopeReader {
  readonly #parts: EnvelopeReaderParts

  constructor(parts: EnvelopeReaderParts) {
    this.#parts = parts
  }

  /** Why it is none that could be taken here and now. */
  problemOf({ mesh, destination, expiresAt }: EnvelopeHeader): EnvelopeRefusal | undefined {
    const { identity, clock } = this.#parts
    if (mesh !== this.#parts.mesh) return 'wrong-mesh'
    if (!destination.every((byte, i) => byte === identity.publicKey[i])) return 'wrong-recipient'
    // Its author fences it and says so; until then nothing is settled here.
    return expiresAt < clock.now() ? 'expired' : undefined
  }

  /** What was sealed. @throws AfpSecurityError UNDECRYPTABLE, AfpMessageError MALFORMED: then it was not received */
  open(key: AeadKey, envelope: Envelope): Opened | Promise<Opened> {
    return openEnvelope(key, envelope, this.#parts)
  }

  /**
   * The message in a payload, or why it is refused; a promise where the application's hook is one. `about` is what is said
   * of it where it has an envelope of its own.
   */
  judge(
    payload: Uint8Array,
    header: EnvelopeHeader,
    about: SharedAbout | 'bundle' | undefined,
  ): Judged | Promise<Judged> {
    const { author, limits, judge } = this.#parts
    try {
      const { message, kind } = decodeMessage(payload, { sender: author, security: SEALED, limits })
      const { priority, expiresAt } = header
      const inTime = about === 'bundle' ? message.expiresAt <= expiresAt : message.expiresAt === expiresAt
      // What routes and stores went by has to be what the message says.
      if (message.priority !== priority || !inTime) {
        return new AfpMessageError('MALFORMED', 'its header says something else')
      }
      if (typeof about === 'object' && !isAbout(message, about)) {
        return new AfpMessageError('MALFORMED', 'it was signed as another message, or for others')
      }
      const judging = judge(message, kind)
      const judged = { message, kind }
      return judging === undefined ? judged : judging.then(() => judged, asError)
    } catch (error) {
      return error as Error
    }
  }
}
