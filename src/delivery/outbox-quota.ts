/** How much waits for all recipients together, and how much may. */

import { AfpRoutingError } from '../common/errors.ts'
import { type Given, given } from '../common/given.ts'
import type { Quota } from './ledger.ts'

/** The most messages, and bytes of them, that may wait for recipients. */
export interface OutboxLimits {
  readonly messages: number
  readonly bytes: number
}

/** Unless the agent has others. */
const DEFAULT_OUTBOX: OutboxLimits = { messages: 10_000, bytes: 2 ** 26 }

/** See the head of this file. */
export class OutboxQuota implements Quota {
  readonly #most: OutboxLimits
  #messages = 0
  #bytes = 0
  #closed = false

  constructor(most: Given<OutboxLimits> = {}) {
    this.#most = given(DEFAULT_OUTBOX, most)
  }

  take(bytes: number): void {
    if (this.#closed) throw new AfpRoutingError('CLOSED', 'this agent has closed')
    const [messages, held] = [this.#messages, this.#bytes]
    if (messages >= this.#most.messages || held + bytes > this.#most.bytes) {
      throw new AfpRoutingError('QUEUE_FULL', `${messages} messages of ${held} bytes wait; this one was not taken`)
    }
    this.keep(bytes)
  }

  /** Counts what was taken before, in this run or an earlier one. */
  keep(bytes: number): void {
    this.#messages++
    this.#bytes += bytes
  }

  give(bytes: number): void {
    this.#messages--
    this.#bytes -= bytes
  }

  /** Nothing is taken any more. */
  close(): void {
    this.#closed = true
  }
}
