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

/** A live view: `status` and `recipients` are as they are when they are asked for, and so are promises, once. */
export const keptReceipt = (tracking: Tracking): Receipt => new KeptReceipt(tracking)

class KeptReceipt implements Receipt {
  readonly id: string
  readonly #tracking: Tracking
  #delivered: Receipt['delivered'] | undefined
  #processed: Receipt['processed'] | undefined

  constructor(tracking: Tracking) {
    this.id = tracking.id
    this.#tracking = tracking
  }

  get status(): Receipt['status'] {
    return this.#tracking.status
  }

  get recipients(): Receipt['recipients'] {
    return this.#told(this.#tracking.receipt.recipients)
  }

  get delivered(): Receipt['delivered'] {
    this.#delivered ??= this.#heard(this.#tracking.delivered)
    return this.#delivered
  }

  get processed(): Receipt['processed'] {
    this.#processed ??= this.#heard(this.#tracking.processed)
    return this.#processed
  }

  #heard(promise: Promise<ReadonlyMap<string, RecipientReceipt>>): Receipt['delivered'] {
    const heard = promise.then(known => this.#told(known))
    // Nobody has to listen: it is in the receipt, and was an event.
    heard.catch(() => {})
    return heard
  }

  #told(known: ReadonlyMap<string, RecipientReceipt>): Receipt['recipients'] {
    return recipientsOf(this.#tracking.receipt, known)
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
