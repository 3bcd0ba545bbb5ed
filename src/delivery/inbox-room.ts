/** How much may wait for handlers, and how much does. */

import type { Clock, Timer } from '../common/clock.ts'

/** The bounds. */
export interface InboxLimits {
  /** Messages of one author. */
  readonly messages: number
  /** Bytes of one author's messages. */
  readonly bytes: number
  /** Bytes of all authors' messages; each has at most as many as are still free. Beyond it there may be one of each. */
  readonly totalBytes: number
}

/** The bounds of inboxes, unless their agent has others: 10,000 messages and 64 MiB of each author, 256 MiB of all. */
export const DEFAULT_INBOX: InboxLimits = { messages: 10_000, bytes: 2 ** 26, totalBytes: 2 ** 28 }

/** An author who was told that there is no room. */
export interface RoomWaiter {
  /** How many more of its messages there is room for by now. */
  readonly room: number
  /** Lets it know. */
  readonly tell: () => void
}

/** How long after room has become free it is told, ms: of many messages that are handled, once. */
const TELL_PAUSE = 100
/** Free bytes for which one author is told: if all of them came at once, most would come in vain. */
const TELL_BYTES = 2 ** 16

/**
 * What all authors' messages take together. What one of them makes room for by what is handled of its own it hears with
 * that; of room that others make nothing would tell it.
 */
export class InboxRoom {
  readonly limits: InboxLimits
  readonly #clock: Clock
  /** The one that was told longest ago first. */
  readonly #waiting = new Set<RoomWaiter>()
  #used = 0
  #timer: Timer | undefined
  #closed = false

  constructor(limits: InboxLimits, clock: Clock) {
    this.limits = limits
    this.#clock = clock
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used
  }

  /** So many more are, or less. */
  count(bytes: number): void {
    this.#used += bytes
    if (bytes < 0) this.#arm()
  }

  /** One was told that there is no room for it, or that there is. */
  told(waiter: RoomWaiter, room: boolean): void {
    if (room) this.#waiting.delete(waiter)
    else this.#waiting.add(waiter)
  }

  /** Tells nobody any more. */
  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #arm(): void {
    if (this.#closed || this.#waiting.size === 0) return
    this.#timer ??= this.#clock.after(TELL_PAUSE, () => {
      this.#timer = undefined
      this.#tell()
    })
  }

  /** As many as what is free allows, and one where that is little; the others after another pause, if it still is then. */
  #tell(): void {
    let free = this.limits.totalBytes - this.#used
    for (const waiter of this.#waiting) {
      if (waiter.room === 0) continue
      if (free <= 0) return this.#arm()
      free -= TELL_BYTES
      this.#waiting.delete(waiter)
      waiter.tell()
    }
  }
}
