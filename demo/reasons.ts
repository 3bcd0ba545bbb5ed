/** Errors and the ends of messages in words for people. */

import { AfpError, type AfpErrorCode, type DeadLetter, type DeadReason } from 'agent-flow-protocol'
import { CannotAnswer } from './behaviours/behaviour.ts'

const reasons: Partial<Record<AfpErrorCode, string>> = {
  TIMEOUT: 'no answer in time',
  NO_ROUTE: 'no way to reach it now',
  UNKNOWN_RECIPIENT: 'nobody of that name is here',
  AMBIGUOUS_NAME: 'several agents go by that name',
  NO_CAPABLE_AGENT: 'nobody here can do that',
  NO_HANDLER: 'it takes no such messages',
  MESSAGE_TOO_LARGE: 'too large',
  MESSAGE_EXPIRED: 'too late',
  CLOSED: 'the agent has closed',
  INVALID_NAME: 'that name cannot be used',
  INVALID_TOPIC: 'that topic cannot be used',
  STORE_FULL: 'this browser has no room left',
  QUEUE_FULL: 'too much waits already',
  CIRCUIT_OPEN: 'what goes to it is held back',
}

const deaths: Partial<Record<DeadReason, string>> = {
  expired: 'its time was up',
  'attempts-exhausted': 'tried too often',
  rejected: 'the other side refused it',
  'no-key': 'the key to seal it is unknown',
  undecryptable: 'it could not be opened',
  'schema-invalid': 'not of the form agreed on',
  'too-large': 'too large',
  quota: 'no room for it',
  'handler-error': 'its handler failed',
  'not-kept': 'it could not be stored',
}

/** Why a message died, in words. */
export const whyDead = (reason: DeadReason): string => deaths[reason] ?? reason

/** Why a dead letter is one, in words. */
export function whyLetter({ side, reason, inDoubt }: Pick<DeadLetter, 'side' | 'reason' | 'inDoubt'>): string {
  const why = side === 'recipient' && reason === 'handler-error' ? 'your handler failed' : whyDead(reason)
  return inDoubt ? `${why}; it may have come all the same` : why
}

/** Why something failed, in words; errors that another agent told keep theirs. */
export function reasonOf(error: unknown): string {
  if (error instanceof CannotAnswer) return error.message
  // What the other side said stands behind its id, which means nothing to people.
  if (error instanceof AfpError && error.code === 'HANDLER_FAILED')
    return error.message.replace(/^the handler at \S+ failed: /, '')
  if (error instanceof AfpError) return reasons[error.code] ?? error.message
  return error instanceof Error ? error.message : 'it failed'
}
