/** The receipt of a message that is kept: what the tracker knows, in the words of the public face. */

import { AfpDeliveryError, type AfpError, AfpRoutingError } from '../common/errors.ts'
import {
  failureCode,
  type MessageReceipt,
  overallStatus,
  type RecipientReceipt,
  statusOf,
} from '../delivery/receipts.ts'
import type { Tracking } from '../delivery/tracker.ts'
import type { Receipt, RecipientStatus } from './options.ts'

/** A live view: `status` and `recipients` are as they are when they are asked for. */
export function keptReceipt(tracking: Tracking): Receipt {
  const { id } = tracking
  const told = (known: ReadonlyMap<string, RecipientReceipt>): Receipt['recipients'] =>
    recipientsOf(tracking.receipt, known)
  const delivered = tracking.delivered.then(told)
  const processed = tracking.processed.then(told)
  // Nobody has to listen: it is in the receipt, and was an event.
  for (const promise of [delivered, processed]) promise.catch(() => {})
  return {
    id,
    get status() {
      return tracking.status
    },
    get recipients() {
      return told(tracking.receipt.recipients)
    },
    delivered,
    processed,
  }
}

/** What is known of a message from an earlier run. */
export const statusOfMessage = (receipt: MessageReceipt): Pick<Receipt, 'id' | 'status' | 'recipients'> => ({
  id: receipt.id,
  status: overallStatus(receipt),
  recipients: recipientsOf(receipt, receipt.recipients),
})

function recipientsOf(
  { id, guarantee }: MessageReceipt,
  recipients: ReadonlyMap<string, RecipientReceipt>,
): ReadonlyMap<string, RecipientStatus> {
  return new Map(
    [...recipients].map(([recipient, receipt]) => {
      const { state, reason, retries, inDoubt, at } = receipt
      const cause = ['failed', 'expired'].includes(statusOf(receipt)) ? causeOf(recipient, receipt) : undefined
      return [recipient, { status: statusOf(receipt), state, reason, retries, inDoubt, at, error: cause }]
    }),
  )

  function causeOf(recipient: string, receipt: RecipientReceipt): AfpError {
    const { state, reason, error, retries } = receipt
    // A name that stood for nobody, see `addressing.ts`.
    const unnamed = NOBODY.find(code => reason === 'no-route' && code === error?.code)
    if (unnamed !== undefined)
      return new AfpRoutingError(unnamed, error?.message ?? recipient, { recipients: [recipient], messageId: id })
    const why = error?.message ?? reason ?? state
    return new AfpDeliveryError(failureCode(receipt), `${recipient}: ${why}`, { messageId: id, guarantee, retries })
  }
}

const NOBODY = ['UNKNOWN_RECIPIENT', 'AMBIGUOUS_NAME'] as const
