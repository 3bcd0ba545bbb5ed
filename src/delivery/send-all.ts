/** Sends one message to each of its recipients, and keeps the books on those who will not get it. */

import type { Clock } from '../common/clock.ts'
import { AfpError } from '../common/errors.ts'
import { toFailure } from '../message/failure.ts'
import { eventOf } from './books.ts'
import type { DeadReason } from './dead-letter.ts'
import type { Fate } from './ledger.ts'
import { type Draft, headOf } from './outgoing-parts.ts'
import { newReceipt } from './receipts.ts'
import type { Recorder } from './recorder.ts'
import type { Tracker, Tracking } from './tracker.ts'

/** What sending needs. */
export interface SendParts {
  readonly clock: Clock
  readonly tracker: Tracker
  readonly recorder: Recorder
  /** Resolves when it is on the disk for this recipient. */
  readonly send: (draft: Draft, recipient: string) => Promise<void>
  /** Something could not be written; it is tried again. */
  readonly onError: (error: unknown) => void
}

/**
 * Resolves when the message is on the disk for its recipients. Where that is so for some of them only, the receipt says
 * who will not get it and why, and there is a dead letter for each of these, unless only the agent's end came between. Of
 * `lost`, names that stand for nobody, the receipt tells too; a letter to nobody could not be retried.
 * @throws when it is on the disk for none
 */
export async function sendToAll(
  parts: SendParts,
  draft: Draft,
  recipients: readonly string[],
  lost: ReadonlyMap<string, unknown> = new Map(),
): Promise<Tracking> {
  const { clock, tracker, send } = parts
  const { messageId: id, guarantee, expiresAt, payload, awaited } = draft
  const all = [...recipients, ...lost.keys()]
  const tracking = tracker.track(newReceipt({ id, guarantee, createdAt: clock.now(), expiresAt, awaited }, all))
  // Before any row: each of them has the receipt in its batch, and with that the end of these. Nobody will have a word on it.
  const ends = [...lost].flatMap(([name, error]) => [
    tracker.apply(id, name, { type: 'dead', reason: 'no-route', error: toFailure(error) }),
    tracker.apply(id, name, { type: 'skipped' }),
  ])
  const [only] = recipients
  // Most have one recipient: where it is not on the disk for that one, it is for none.
  if (recipients.length === 1 && ends.length === 0) {
    try {
      await send(draft, only as string)
      return tracking
    } catch (error) {
      tracker.forget(id, error)
      throw error
    }
  }
  const failed = new Map<string, unknown>()
  const sending = recipients.map(recipient =>
    send(draft, recipient).catch(error => {
      failed.set(recipient, error)
    }),
  )
  await Promise.all(sending)
  if (failed.size === recipients.length) {
    const [error] = failed.values()
    for (const end of ends) end?.abandoned()
    tracker.forget(id, error)
    throw error
  }
  for (const end of ends) end?.committed()
  const ended = { row: headOf(draft, clock.now()), payload }
  const fates = [...failed].map(([recipient, error]): Fate => {
    const position = { messageId: id, recipient, epoch: '', number: 0 }
    const fate = { ...position, error: toFailure(error), inDoubt: false, final: true }
    const reason = reasonFor(error)
    return reason === undefined ? { ...fate, status: 'cancelled' } : { ...fate, status: 'dead', reason, ended }
  })
  if (fates.length > 0) await giveUp(parts, fates)
  return tracking
}

/** Why it is dead; undefined where nothing was wrong with it. */
function reasonFor(error: unknown): DeadReason | undefined {
  switch (error instanceof AfpError ? error.code : undefined) {
    case 'CLOSED':
      return undefined
    case 'QUEUE_FULL':
    case 'STORE_FULL':
      return 'quota'
    case 'NO_ROUTE':
      return 'no-key'
    default:
      return 'not-kept'
  }
}

async function giveUp({ tracker, recorder, onError }: SendParts, fates: readonly Fate[]): Promise<void> {
  try {
    await recorder.record(fates, [])
  } catch (error) {
    onError(error)
    // It is so, whenever there is room to write it: each by itself, since there may be room for one letter only.
    for (const fate of fates) tracker.apply(fate.messageId, fate.recipient, eventOf(fate))?.committed()
    for (const fate of fates) void recorder.persist([fate], () => [])
  }
}
