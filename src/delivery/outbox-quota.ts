/**
 * How much waits for all recipients together, and how much may. There are two rooms of the same size. What an agent sends
 * of its own is bounded by one of them, and takes nothing from what it owes: replies, and word of failures. How many of
 * those there are is for others to say: of their room one recipient has no more than is left for everybody else.
 */

import { AfpRoutingError } from '../common/errors.ts'
import { type Given, given } from '../common/given.ts'
import type { Quota } from './ledger.ts'
import { type Fits, RepliesFull, ReplyRoom } from './reply-room.ts'

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
  readonly #waiting = new ReplyRoom()
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
    const fits: Fits = bytes => {
      const free = this.#free(this.#awaited, bytes)
      return free !== undefined && mine.messages <= free.messages && mine.bytes <= free.bytes
    }
    return {
      take: (bytes, awaited = false) => {
        if (this.#closed) throw new AfpRoutingError('CLOSED', 'this agent has closed')
        if (awaited && !fits(bytes)) throw this.#repliesFull(mine, bytes, fits)
        if (!awaited && this.#free(this.#own, bytes) === undefined) throw this.#full()
        count(1, bytes, awaited)
        // One that was woken has come.
        if (awaited) this.#waiting.changed()
      },
      keep: (bytes, awaited = false) => count(1, bytes, awaited),
      give: (bytes, awaited = false) => {
        count(-1, -bytes, awaited)
        if (awaited) this.#waiting.changed()
      },
    }
  }

  /** What is left in a room; undefined where that is too little for another `bytes`. */
  #free({ messages, bytes: held }: Used, bytes: number): OutboxLimits | undefined {
    const free = { messages: this.#most.messages - messages, bytes: this.#most.bytes - held }
    return free.messages >= 1 && free.bytes >= bytes ? free : undefined
  }

  #full(): AfpRoutingError {
    const { messages, bytes } = this.#own
    return new AfpRoutingError('QUEUE_FULL', `${messages} messages of ${bytes} bytes wait; this one was not taken`)
  }

  #repliesFull(mine: Used, bytes: number, fits: Fits): RepliesFull {
    const all = this.#free(this.#awaited, bytes) === undefined
    const { messages, bytes: held } = all ? this.#awaited : mine
    const what = `${messages} replies of ${held} bytes${all ? '' : ' to this recipient alone'}`
    return new RepliesFull(what, wake => this.#waiting.wait(fits, { bytes, wake }))
  }

  /** Nothing is taken any more. */
  close(): void {
    this.#closed = true
  }
}
