/** Messages that are not kept: handed to the connections with their recipients, or said to be lost. */

import { within } from '../common/abort.ts'
import type { Clock } from '../common/clock.ts'
import { AfpDeliveryError, AfpRoutingError, type AfpTimeoutError } from '../common/errors.ts'
import type { CircuitBreakers } from '../delivery/breakers.ts'
import type { Delivery } from '../delivery/delivery.ts'
import type { Draft } from '../delivery/outgoing-parts.ts'
import type { Message } from '../message/message.ts'
import type { Network } from '../network/network.ts'
import type { Addressed, Addressing } from './addressing.ts'
import type { Receipt, RecipientStatus } from './options.ts'
import { expired, nobodyReached, notTaken } from './outbound-errors.ts'

/** How long a message may take, and who calls it off. */
export interface Patience {
  /** What the caller said, ms. */
  readonly timeout: number
  /** What was left of it before the hook saw the message, ms. */
  readonly left: number
  readonly signal: AbortSignal | undefined
}

/** Names that stand for nobody, and why. */
export type Lost = Addressed['lost']

/** What handing them over needs. */
export interface OnceParts {
  self: string
  clock: Clock
  network: Network
  addressing: Addressing
  delivery: Delivery
  breakers: CircuitBreakers
  onSent: (message: Message, bytes: number) => void
  onDropped: (message: Message, peer: string, error: unknown) => void
}

type Route = [recipient: string, status: RecipientStatus]

const SENT: RecipientStatus = Object.freeze({ status: 'sent', state: 'sent' })

/** See the head of this file. */
export class Once {
  readonly #parts: OnceParts

  constructor(parts: OnceParts) {
    this.#parts = parts
  }

  /**
   * Resolves when it was handed over for at least one recipient; what the others came to is in the receipt.
   * @throws where it was for none
   */
  send(message: Message, draft: Draft, patience: Patience, lost: Lost): Promise<Receipt> {
    const { recipients } = message
    // To one who is linked: there is no timer to pay for.
    if (recipients.length === 1 && lost.size === 0 && patience.signal === undefined) {
      const sent = this.#sendNow(message, recipients[0] as string, draft, patience)
      if (sent !== undefined) return sent
    }
    return this.#sendAll(message, draft, patience, lost)
  }

  #sendNow(
    message: Message,
    recipient: string,
    draft: Draft,
    { left, timeout }: Patience,
  ): Promise<Receipt> | undefined {
    const { delivery, clock, onSent, onDropped } = this.#parts
    if (left <= 0 || message.isExpired(clock.now())) return undefined
    const deadline = { at: clock.monotonic() + left, reason: () => notTaken(message, recipient, timeout) }
    return delivery.sendNow(draft, recipient, deadline)?.then(
      () => {
        onSent(message, draft.payload.length)
        return new OnceReceipt(message, new Map([[recipient, SENT]]))
      },
      error => {
        onDropped(message, recipient, error)
        throw error
      },
    )
  }

  async #sendAll(message: Message, draft: Draft, patience: Patience, lost: Lost): Promise<Receipt> {
    const { clock, onDropped } = this.#parts
    const deadline = clock.monotonic() + patience.left
    const routes = message.recipients.map(id => this.#route(message, id, draft, deadline, patience))
    for (const [name, error] of lost) onDropped(message, name, error)
    const failed = [...lost].map(
      ([name, error]): Route => [name, { status: 'failed', state: 'dead', reason: 'no-route', error }],
    )
    const receipt = new OnceReceipt(message, new Map([...(await Promise.all(routes)), ...failed]))
    if (receipt.failed.length < receipt.recipients.size) return receipt
    patience.signal?.throwIfAborted()
    const causes = receipt.causes
    throw causes.length === 1 ? causes[0] : nobodyReached(message, causes)
  }

  async #route(
    message: Message,
    recipient: string,
    draft: Draft,
    deadline: number,
    { timeout, signal }: Patience,
  ): Promise<Route> {
    const { self, network, delivery, breakers, onSent, onDropped, clock } = this.#parts
    try {
      const open = recipient === self || network.link(recipient) !== undefined
      const refusal = open || draft.awaited ? undefined : breakers.refusal(recipient)
      if (refusal !== undefined) throw refusal
      if (!open) await this.#connect(recipient, deadline, timeout, signal)
      if (message.isExpired(clock.now())) throw expired(message)
      const late = (): AfpTimeoutError => notTaken(message, recipient, timeout)
      await within(clock, Math.max(0, deadline - clock.monotonic()), late, signal, given =>
        delivery.sendOnce(draft, recipient, given),
      )
      onSent(message, draft.payload.length)
      return [recipient, SENT]
    } catch (error) {
      const reason = signal?.aborted ? signal.reason : error
      if (!signal?.aborted) onDropped(message, recipient, error)
      return [recipient, { status: 'failed', state: signal?.aborted ? 'cancelled' : 'dead', error: reason as Error }]
    }
  }

  /** Waits until the recipient is there, then until there is a link to it, as long as the caller has time. */
  async #connect(recipient: string, deadline: number, timeout: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, addressing, network } = this.#parts
    const left = (): number => Math.max(0, deadline - clock.monotonic())
    await addressing.online(recipient, left(), signal)
    const late = (): AfpRoutingError =>
      new AfpRoutingError('NO_ROUTE', `no way to ${recipient} within ${timeout / 1000} s`, { recipients: [recipient] })
    await within(clock, left(), late, signal, given => network.open(recipient, { signal: given }))
  }
}

/** What became of one as it was handed over. Promises and errors are made for those who look at them: most do not. */
class OnceReceipt implements Receipt {
  readonly id: string
  readonly recipients: ReadonlyMap<string, RecipientStatus>
  readonly #message: Message
  #delivered: Receipt['delivered'] | undefined
  #processed: Receipt['processed'] | undefined

  constructor(message: Message, recipients: ReadonlyMap<string, RecipientStatus>) {
    this.id = message.id
    this.recipients = recipients
    this.#message = message
  }

  /** Those that were not reached. */
  get failed(): string[] {
    return [...this.recipients].flatMap(([id, { status }]) => (status === 'failed' ? id : []))
  }

  get causes(): Error[] {
    return this.failed.map(id => this.recipients.get(id)?.error as Error)
  }

  get status(): Receipt['status'] {
    return this.failed.length > 0 ? 'failed' : 'sent'
  }

  get delivered(): Receipt['delivered'] {
    this.#delivered ??= this.failed.length === 0 ? Promise.resolve(this.recipients) : unheard(this.#unreached())
    return this.#delivered
  }

  get processed(): Receipt['processed'] {
    const why = 'with at-most-once nobody tells whether it was processed'
    this.#processed ??= unheard(new AfpDeliveryError('DELIVERY_FAILED', why, { guarantee: 'at-most-once' }))
    return this.#processed
  }

  #unreached(): AfpDeliveryError {
    const { failed, causes, recipients } = this
    const { id: messageId, guarantee } = this.#message
    return new AfpDeliveryError(
      'DELIVERY_FAILED',
      `${failed.length} of ${recipients.size} recipients were not reached`,
      {
        messageId,
        guarantee,
        cause: new AggregateError(causes),
        details: { failed },
      },
    )
  }
}

/** A rejection that nobody has to look at: what failed is in the map and was an event. */
function unheard(error: Error): Promise<never> {
  const rejected = Promise.reject(error)
  rejected.catch(() => {})
  return rejected
}
