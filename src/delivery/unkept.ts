/**
 * What an earlier run ended in the middle of: a message is kept for each of its recipients by itself, and its receipt
 * comes with the first row. Where power failed before another one, nobody will ever say anything of that recipient.
 */

import { type NextTask, SLICE_ITEMS, Slices } from '../common/slices.ts'
import type { Fate } from './ledger.ts'
import type { OutgoingRemains } from './loading.ts'
import { hasFailed } from './receipts.ts'
import type { Recorder } from './recorder.ts'
import type { Tracker } from './tracker.ts'

/** What looking for them needs. */
export interface UnkeptParts {
  readonly tracker: Tracker
  readonly recorder: Recorder
  readonly nextTask?: NextTask | undefined
}

const ERROR = { code: 'STORE_FAILED', message: 'it was not kept for this recipient: the agent ended before' }

/** Fails, in the receipts, what is on its way to somebody for whom there is no row. */
export async function failUnkept(
  { tracker, recorder, nextTask }: UnkeptParts,
  remains: ReadonlyMap<string, OutgoingRemains>,
): Promise<void> {
  const slices = new Slices(nextTask)
  const kept = new Map<string, Set<string>>()
  for (const [recipient, left] of remains) {
    kept.set(recipient, new Set(messagesOf(left)))
    if (slices.did(0, 1 + (kept.get(recipient)?.size ?? 0))) await slices.pause()
  }
  const fates: Fate[] = []
  // Not awaited: where there is no room for it now, it is so all the same.
  const flush = (): void => void recorder.persist(fates.splice(0), () => [])
  for (const { id: messageId, guarantee, recipients } of tracker.receipts()) {
    for (const [recipient, standing] of recipients) {
      // What has arrived, or was given up, may have no row any more; what is not kept never has one.
      if (standing.final || standing.arrived || hasFailed(standing) || guarantee === 'at-most-once') continue
      if (kept.get(recipient)?.has(messageId)) continue
      const position = { messageId, recipient, epoch: '', number: 0 }
      const doubt = { inDoubt: standing.left, final: !standing.left }
      fates.push({ ...position, ...doubt, status: 'dead', reason: 'not-kept', error: ERROR })
    }
    if (fates.length >= SLICE_ITEMS) flush()
    if (slices.did()) await slices.pause()
  }
  if (fates.length > 0) flush()
}

/** Messages that have a row, whatever it is there for. */
function* messagesOf({ epochs, waiting, owed, unreadable }: OutgoingRemains): Iterable<string> {
  for (const { messages } of epochs) for (const { messageId } of messages.values()) yield messageId
  for (const { row } of waiting) yield row.messageId
  for (const { row } of [...owed, ...unreadable]) yield row.messageId
}
