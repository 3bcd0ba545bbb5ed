/** Tries the message of a dead letter again: sends it under a new number, or hands it to its handler once more. */

import { abortable } from '../common/abort.ts'
import type { Clock } from '../common/clock.ts'
import { AfpDeliveryError, isConflict } from '../common/errors.ts'
import { decodeMessage, encodeMessage, type MessageKind } from '../message/envelope.ts'
import { Message } from '../message/message.ts'
import { KEPT_LIMITS, type Limits } from '../message/validate.ts'
import type { Store, Write } from '../store/store.ts'
import type { DeadLetter } from './dead-letter.ts'
import type { RetryOutcome } from './dead-letter-retries.ts'
import { isAwaited } from './drafts.ts'
import type { LetterTurns } from './letter-turns.ts'
import type { Outgoing } from './outgoing.ts'
import type { ProcessingParts } from './processing.ts'
import { loadReceipt } from './receipt-rows.ts'
import { duplicate, hasFailed, isUnderWay, newReceipt } from './receipts.ts'
import { NEVER_TRIED } from './retry.ts'
import type { Tracker } from './tracker.ts'
import { BufferedTransaction } from './transaction.ts'

/** How often a handler runs anew, before that counts as its failure. */
const MAX_CONFLICTS = 16

/** What trying again needs. */
export interface LetterRetryParts extends Pick<ProcessingParts, 'take' | 'reply'> {
  readonly store: Store
  readonly clock: Clock
  readonly limits: Limits
  readonly tracker: Tracker
  readonly outgoingTo: (recipient: string) => Outgoing
  /** Those that are being sent again, by the ids of their messages. */
  readonly sending: LetterTurns
  /** Fires when delivery closes: what a handler is at work on then is not waited for, and nothing of it is kept. */
  readonly closing: AbortSignal
}

/**
 * @param settled what marks the letter as dealt with: it goes into the batch that makes the new try
 * @param automatic nobody asked for it: then no handler starts on what has expired
 */
export function retryLetter(
  parts: LetterRetryParts,
  letter: DeadLetter,
  settled: readonly Write[],
  automatic: boolean,
): Promise<RetryOutcome> {
  return letter.side === 'sender'
    ? sendAgain(parts, letter, settled, automatic)
    : handleAgain(parts, letter, settled, automatic)
}

async function sendAgain(
  parts: LetterRetryParts,
  letter: DeadLetter,
  settled: readonly Write[],
  automatic: boolean,
): Promise<RetryOutcome> {
  const { sender, security, message: bytes } = letter
  const { message, kind } = decodeMessage(bytes, { sender, security, limits: KEPT_LIMITS })
  // Whoever asked has long been told that no reply came.
  if (automatic && kind === 'request') return 'expired'
  // There may be several letters of one message: what comes of the first of them, the next one has to know.
  return parts.sending.alone(message.id, () => sendNow(parts, letter, message, kind, settled, automatic))
}

async function sendNow(
  { store, clock, limits, tracker, outgoingTo }: LetterRetryParts,
  { peer, inDoubt, strategy, retry }: DeadLetter,
  before: Message,
  kind: MessageKind,
  settled: readonly Write[],
  automatic: boolean,
): Promise<RetryOutcome> {
  const stored = await loadReceipt(store, before.id)
  const known = tracker.tracking(before.id)?.receipt ?? stored
  // Somebody sends another one under its id just now, which is not on the disk yet, and may never be.
  const keeps = (recipient: string): boolean => outgoingTo(recipient).keeps(before.id)
  if (stored === undefined && known !== undefined && isUnderWay(known) && ![...known.recipients.keys()].some(keeps))
    throw duplicate(before.id)
  const standing = known?.recipients.get(peer)
  // Without a receipt nobody knows any more what became of it.
  if (standing === undefined ? inDoubt : standing.inDoubt) return 'waiting'
  // Also where its handler failed: then it is a dead letter of the recipient's, and a second one would be a second effect.
  if (standing?.arrived) {
    await store.commit({ writes: settled })
    return 'delivered'
  }
  // It is on its way again already: a second one would be a second effect.
  if (standing !== undefined && !hasFailed(standing)) {
    await store.commit({ writes: settled })
    return 'retried'
  }
  // Its time begins anew; it keeps its id, by which its recipient knows it.
  const message = new Message({ ...before, timestamp: Math.floor(clock.now()) })
  const { id, guarantee, priority, expiresAt } = message
  const payload = encodeMessage(message, kind, limits)
  const awaited = isAwaited(kind)
  // A request too goes in the next run as in this one: whoever retries it knows that nobody waits for its reply.
  const draft = { messageId: id, guarantee, priority, expiresAt, strategy, payload }
  // Where it ends as before, its next letter goes on with the policy; whoever retries it by hand has that begin anew.
  const lettered = automatic ? retry?.attempts : undefined
  if (tracker.tracking(id) === undefined)
    tracker.track(known ?? newReceipt({ id, guarantee, createdAt: clock.now(), expiresAt, awaited }, [peer]))
  tracker.extend(id, expiresAt)
  try {
    await outgoingTo(peer).send({ ...draft, lettered, also: () => ({ writes: settled }) })
  } catch (error) {
    if (known === undefined) tracker.forget(id, error)
    throw error
  }
  return 'retried'
}

/** Runs anew where somebody else changed meanwhile what the handler had read, as with a message that comes. */
async function handleAgain(
  parts: LetterRetryParts,
  letter: DeadLetter,
  settled: readonly Write[],
  automatic: boolean,
): Promise<RetryOutcome> {
  for (let conflicts = 0; ; conflicts++) {
    const transaction = new BufferedTransaction(parts.store)
    try {
      const also = await handleOnce(parts, letter, transaction, automatic)
      if (also === undefined) return 'expired'
      await also(settled)
      return 'retried'
    } catch (error) {
      const stale = error instanceof Stale || transaction.conflict !== undefined
      if (stale && conflicts < MAX_CONFLICTS) continue
      throw error instanceof Stale ? error.cause : error
    } finally {
      // A handler that took too long may still be at work.
      transaction.abandon()
    }
  }
}

/** What a handler had read does not hold any more. */
class Stale extends Error {}

/**
 * Runs the handler; what comes of it is written by what this resolves with. Undefined: the message has expired, and
 * whoever retries it by hand is the only one to want it handled all the same.
 * @throws what the handler throws
 */
async function handleOnce(
  { store, clock, take, reply, closing }: LetterRetryParts,
  { peer, sender, security, message: bytes, messageId, attempts }: DeadLetter,
  transaction: BufferedTransaction,
  automatic: boolean,
): Promise<((settled: readonly Write[]) => Promise<void>) | undefined> {
  const { message, kind } = decodeMessage(bytes, { sender, security, limits: KEPT_LIMITS })
  if (automatic && message.isExpired(clock.now())) return undefined
  const { priority } = message
  const row = { kind, prev: 0, priority, receivedAt: clock.now(), retry: { ...NEVER_TRIED, attempts }, message: bytes }
  const arrived = {
    author: peer,
    epoch: '',
    number: 0,
    message,
    kind,
    row,
    late: true,
    redelivered: true,
    askedFor: !automatic,
  }
  closing.throwIfAborted()
  const taken = await abortable(Promise.resolve(take(arrived, transaction)), closing)
  if (taken === 'waiting' || taken === 'full' || taken === 'unread') {
    if (automatic && message.isExpired(clock.now())) return undefined
    throw new AfpDeliveryError('NO_HANDLER', 'nobody takes this message: no handler, no subscription', { messageId })
  }
  const { checks, writes } = transaction.end()
  return async settled => {
    const also = { checks, writes: [...writes, ...settled] }
    try {
      if (taken === undefined) await store.commit(also)
      else await reply(taken, () => also)
    } catch (cause) {
      // Here, and not where a handler fails at a conflict of its own.
      throw isConflict(cause) ? new Stale('', { cause }) : cause
    }
  }
}
