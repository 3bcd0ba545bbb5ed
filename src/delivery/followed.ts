/** A sent message that is followed: how it stands, and promises for those who wait. */

import { AfpDeliveryError, type AfpError } from '../common/errors.ts'
import {
  type DeliveryStatus,
  failureCode,
  hasFailed,
  type MessageReceipt,
  overallStatus,
  type RecipientReceipt,
} from './receipts.ts'

/** A message that is followed. */
export interface Tracking {
  readonly id: string
  /** How it stands now. */
  readonly receipt: MessageReceipt
  readonly status: DeliveryStatus
  /**
   * Resolves once every recipient has it; for `at-most-once`, once it was handed to a connection for each. Rejects with
   * AfpDeliveryError as soon as one will not get it. Nobody has to listen: never an unhandled rejection. Who asks for it
   * first later on is told how it stands by then.
   */
  readonly delivered: Promise<ReadonlyMap<string, RecipientReceipt>>
  /**
   * Resolves once every recipient's handler is done with it; rejects as {@link delivered} does, when a recipient refused
   * it, and for `at-most-once`, whose recipients say nothing.
   */
  readonly processed: Promise<ReadonlyMap<string, RecipientReceipt>>
}

type Recipients = ReadonlyMap<string, RecipientReceipt>

/** A change that is neither committed nor abandoned. */
export interface Open {
  readonly recipient: string
  readonly after: RecipientReceipt
}

/** A promise that somebody has asked for. */
interface Goal {
  readonly promise: Promise<Recipients>
  readonly resolve: (recipients: Recipients) => void
  readonly reject: (error: AfpError) => void
}

type GoalName = 'delivered' | 'processed'

/** Most messages wait, and nothing changes of them meanwhile: they share it. */
const NONE: readonly Open[] = []

/** What is followed of a message. Its promises are made for those who ask for them: most do not, or for one. */
export class Followed implements Tracking {
  readonly id: string
  receipt: MessageReceipt
  /** With the changes that are not committed yet. */
  latest: MessageReceipt
  /** In their order. */
  open: readonly Open[] = NONE
  /** By recipient, while there may be older ones: number of the change that is published. */
  #versions: Map<string, number> | undefined
  settledAt = 0
  #delivered: Goal | undefined
  #processed: Goal | undefined
  /** Why it is not followed any more. */
  #given: AfpError | undefined

  constructor(receipt: MessageReceipt) {
    this.id = receipt.id
    this.receipt = receipt
    this.latest = receipt
  }

  get status(): DeliveryStatus {
    return overallStatus(this.receipt)
  }

  get delivered(): Promise<Recipients> {
    this.#delivered ??= this.#goal('delivered')
    return this.#delivered.promise
  }

  get processed(): Promise<Recipients> {
    this.#processed ??= this.#goal('processed')
    return this.#processed.promise
  }

  begin(change: Open): void {
    this.open = [...this.open, change]
  }

  /** A change is committed or abandoned; false where it was already. */
  end(change: Open): boolean {
    if (!this.open.includes(change)) return false
    this.open = this.open.length === 1 ? NONE : this.open.filter(other => other !== change)
    return true
  }

  /** Whether a change that has ended is the newest one of its recipient. */
  publishes(recipient: string, version: number): boolean {
    const newest = (this.#versions?.get(recipient) ?? 0) <= version
    // Older ones that are not published yet are among the open ones.
    if (this.open.length === 0) this.#versions = undefined
    else if (newest) {
      this.#versions ??= new Map()
      this.#versions.set(recipient, version)
    }
    return newest
  }

  /** The promises of its first life are broken; whoever asks from now on gets those of the next. */
  renew(): void {
    this.#delivered = undefined
    this.#processed = undefined
  }

  /** Keeps and breaks promises, as far as it stands. */
  settle(): void {
    if (this.#delivered !== undefined) this.#reach('delivered', this.#delivered)
    if (this.#processed !== undefined) this.#reach('processed', this.#processed)
  }

  /** Nobody will hear more of it. */
  giveUp(error: AfpError): void {
    this.#given ??= error
    this.#delivered?.reject(error)
    this.#processed?.reject(error)
  }

  #goal(name: GoalName): Goal {
    const goal = Promise.withResolvers<Recipients>()
    goal.promise.catch(() => {})
    const { id: messageId, guarantee } = this.receipt
    if (name === 'processed' && guarantee === 'at-most-once') {
      const why = 'recipients of at-most-once messages do not say what they did'
      goal.reject(new AfpDeliveryError('GUARANTEE_UNSUPPORTED', why, { messageId, guarantee }))
    }
    this.#reach(name, goal)
    if (this.#given !== undefined) goal.reject(this.#given)
    return goal
  }

  #reach(name: GoalName, { resolve, reject }: Goal): void {
    const { receipt } = this
    const once = receipt.guarantee === 'at-most-once'
    let all = true
    for (const [recipient, state] of receipt.recipients) {
      const reached = name === 'processed' ? state.state === 'processed' : once ? state.left : state.arrived
      if (!reached && hasFailed(state)) reject(failedError(receipt, recipient, state))
      all &&= reached
    }
    if (all) resolve(receipt.recipients)
  }
}

function failedError(receipt: MessageReceipt, recipient: string, failed: RecipientReceipt): AfpDeliveryError {
  const { state, reason = state, inDoubt, retries, error } = failed
  const doubt = inDoubt ? '; it may have arrived all the same' : ''
  return new AfpDeliveryError(failureCode(failed), `message ${receipt.id} to ${recipient}: ${reason}${doubt}`, {
    messageId: receipt.id,
    guarantee: receipt.guarantee,
    retries,
    details: { recipient, reason, inDoubt, error },
  })
}
