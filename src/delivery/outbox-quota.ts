/**
 * How much waits for all recipients together, and how much may. There are two rooms of the same size. What an agent sends
 * of its own is bounded by one of them, and takes nothing from what it owes: replies, and word of failures. How many of
 * those there are is for others to say: of their room one recipient has no more than is left for everybody else.
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

/** What is in use. */
interface Used {
  messages: number
  bytes: number
}

const nothing = (): Used => ({ messages: 0, bytes: 0 })

/** See the head of this file. */
export class OutboxQuota {
  readonly #most: OutboxLimits
  readonly #own = nothing()
  /** Of what others wait for. */
  readonly #awaited = nothing()
  #closed = false

  constructor(most: Given<OutboxLimits> = {}) {
    this.#most = given(DEFAULT_OUTBOX, most)
  }

  /** What one recipient has of it. */
  share(): Quota {
    const mine = nothing()
    const count = (messages: number, bytes: number, awaited: boolean): void => {
      for (const used of awaited ? [this.#awaited, mine] : [this.#own]) {
        used.messages += messages
        used.bytes += bytes
      }
    }
    return {
      take: (bytes, awaited = false) => {
        if (this.#closed) throw new AfpRoutingError('CLOSED', 'this agent has closed')
        const free = this.#free(bytes, awaited)
        if (awaited && (mine.messages > free.messages || mine.bytes > free.bytes)) {
          const owed = `${mine.messages} replies of ${mine.bytes} bytes`
          throw new AfpRoutingError('QUEUE_FULL', `${owed} wait for this recipient alone; this one was not taken`)
        }
        count(1, bytes, awaited)
      },
      keep: (bytes, awaited = false) => count(1, bytes, awaited),
      give: (bytes, awaited = false) => count(-1, -bytes, awaited),
    }
  }

  /** What is left in a room. @throws AfpRoutingError QUEUE_FULL where that is too little for another `bytes` */
  #free(bytes: number, awaited: boolean): OutboxLimits {
    const { messages, bytes: held } = awaited ? this.#awaited : this.#own
    const free = { messages: this.#most.messages - messages, bytes: this.#most.bytes - held }
    if (free.messages >= 1 && free.bytes >= bytes) return free
    const what = awaited ? 'replies' : 'messages'
    throw new AfpRoutingError('QUEUE_FULL', `${messages} ${what} of ${held} bytes wait; this one was not taken`)
  }

  /** Nothing is taken any more. */
  close(): void {
    this.#closed = true
  }
}
