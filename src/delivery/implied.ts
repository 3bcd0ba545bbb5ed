/** Receipts of messages that wait for their one recipient: of these there is nothing on the disk but the messages, see `isImplied`. */

import { type NextTask, Slices } from '../common/slices.ts'
import type { OutgoingRemains } from './loading.ts'
import { newReceipt } from './receipts.ts'
import type { OutboxHead } from './rows.ts'
import type { Tracker } from './tracker.ts'

/** What following them needs. */
export interface ImpliedParts {
  readonly tracker: Tracker
  /** Whether there is a receipt of a message that is not followed, since all is said of it. Default: none. */
  readonly isClosed?: ((messageId: string) => boolean) | undefined
  readonly nextTask?: NextTask | undefined
}

/** Follows what an earlier run left waiting and has no receipt of its own. */
export async function trackImplied(
  { tracker, isClosed = () => false, nextTask }: ImpliedParts,
  remains: ReadonlyMap<string, OutgoingRemains>,
): Promise<void> {
  const slices = new Slices(nextTask)
  for (const [recipient, left] of remains) {
    for (const { messageId: id, guarantee, createdAt, expiresAt, awaited } of waitingIn(left)) {
      if (tracker.tracking(id) === undefined && !isClosed(id))
        tracker.track(newReceipt({ id, guarantee, createdAt, expiresAt, awaited }, [recipient]))
      if (slices.did()) await slices.pause()
    }
  }
}

/** What has no end on the disk: neither given up nor arrived, unless only its dead letter is owed. */
function* waitingIn({ epochs, waiting, owed, unreadable }: OutgoingRemains): Iterable<OutboxHead> {
  for (const { entries } of epochs) for (const { row } of entries.values()) yield row
  for (const { row } of waiting) yield row
  for (const { row } of [...owed, ...unreadable]) if (row.fence === undefined) yield row
}
