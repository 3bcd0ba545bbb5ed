/** What handlers and checks come to: replies, failures that travel, reasons that are counted. */

import { AfpMessageError } from '../common/errors.ts'
import { type Failure, toFailure } from '../message/failure.ts'
import type { Content } from '../message/message.ts'
import type { RefusalReason } from '../network/network.ts'
import { Reply } from './handlers.ts'

/** What a handler returned, as a reply. */
export const replyOf = (result: unknown): Reply =>
  result instanceof Reply ? result : new Reply((result ?? null) as Content, {})

/** A message that is not addressed to this agent. */
export class NotForUs extends Error {}

/** What a handler threw. That there was no handler is not for a handler to say: its own requests may end so. */
export function failureOf(error: unknown): Failure {
  const failure = toFailure(error)
  return failure.code === 'NO_HANDLER' ? { ...failure, code: 'HANDLER_FAILED' } : failure
}

/** Why a message was refused, for metrics and events. */
export function reasonOf(error: unknown): RefusalReason {
  if (error instanceof NotForUs) return 'not-for-us'
  // Nothing that comes from outside may end the process: what nobody thought of drops the message, and is not the sender's
  // fault. Everything that is throws this one class.
  if (!(error instanceof AfpMessageError)) return 'internal'
  if (error.code === 'MESSAGE_EXPIRED') return 'expired'
  if (error.code === 'HOOK_REFUSED') return 'hook'
  const { reason } = error.details
  return reason === 'too-deep' || reason === 'too-large' || reason === 'clock-skew' ? reason : 'malformed'
}
