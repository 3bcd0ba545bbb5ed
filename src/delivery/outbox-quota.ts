/**
 * How much waits for all recipients together, and how much may. What an agent sends is bounded by that alone. How many
 * replies it owes is for others to say: one recipient has no more room for them than is left for everybody else.
 */

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

const NOTHING: OutboxLimits = { messages: 0, bytes: 0 }

/** See the head of this file. */
export class OutboxQuota {
  readonly #most: OutboxLimits
  #messages = 0
  #bytes = 0
  #closed = false

  constructor(most: Given<OutboxLimits> = {}) {
    this.#most = given(DEFAULT_OUTBOX, most)
  }

  /** What one recipient has of it. */
  share(): Quota {
    const used = { messages: 0, bytes: 0 }
    const count = (messages: number, bytes: number): void => {
      used.messages += messages
      used.bytes += bytes
      this.#messages += messages
      this.#bytes += bytes
    }
    return {
      take: (bytes, awaited) => {
        this.#check(bytes, awaited === true ? used : NOTHING)
        count(1, bytes)
      },
      keep: bytes => count(1, bytes),
      give: bytes => count(-1, -bytes),
    }
  }

  /** @param used by the recipient of a reply */
  #check(bytes: number, used: OutboxLimits): void {
    if (this.#closed) throw new AfpRoutingError('CLOSED', 'this agent has closed')
    const [messages, held] = [this.#messages, this.#bytes]
    const free = { messages: this.#most.messages - messages, bytes: this.#most.bytes - held }
    if (free.messages < 1 || free.bytes < bytes) {
      throw new AfpRoutingError('QUEUE_FULL', `${messages} messages of ${held} bytes wait; this one was not taken`)
    }
    if (used.messages > free.messages || used.bytes > free.bytes) {
      const mine = `${used.messages} messages of ${used.bytes} bytes`
      throw new AfpRoutingError('QUEUE_FULL', `${mine} wait for this recipient alone; this reply was not taken`)
    }
  }

  /** Nothing is taken any more. */
  close(): void {
    this.#closed = true
  }
}
