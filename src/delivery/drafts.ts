/** From a message to what is sealed of it. */

import type { Random } from '../common/random.ts'
import type { Identity } from '../identity/keys.ts'
import { encodeMessage, type MessageKind } from '../message/envelope.ts'
import type { Message } from '../message/message.ts'
import type { Limits } from '../message/validate.ts'
import { type SharedContent, sealShared } from '../security/shared-content.ts'
import type { Draft } from './outgoing-parts.ts'
import type { RetryStrategy } from './retry.ts'

/** Whose message it is. */
export interface DraftParts {
  readonly identity: Identity
  readonly mesh: string
  readonly random: Random
  readonly limits: Limits
}

/** Whether somebody waits for it who has spoken. */
export const isAwaited = (kind: MessageKind): boolean => kind === 'reply' || kind === 'failure'

/**
 * A message that is ready to be sealed, for each of its recipients. For several of them it is sealed once, when the
 * first of them can be sealed to.
 * @throws AfpMessageError MESSAGE_TOO_LARGE
 */
export function draftOf(
  message: Message,
  kind: MessageKind,
  strategy: RetryStrategy | undefined,
  { identity, mesh, random, limits }: DraftParts,
): Draft {
  const { id, recipients, guarantee, priority, expiresAt } = message
  const payload = encodeMessage(message, kind, limits)
  const awaited = isAwaited(kind)
  const draft = { messageId: id, guarantee, priority, expiresAt, strategy, asks: kind === 'request', payload, awaited }
  if (recipients.length < 2) return draft
  let content: Promise<SharedContent> | undefined
  const seal = (): Promise<SharedContent> => {
    content ??= sealShared(identity, { id, mesh, recipients }, payload, random)
    return content
  }
  return { ...draft, shared: { recipients, content: seal } }
}
