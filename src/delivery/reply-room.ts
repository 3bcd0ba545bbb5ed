/**
 * Replies that wait for room in the outbox, all in one place: nobody is woken for nothing, however many there are, and while
 * nothing changes little is done. Those to each recipient by themselves: one that has its share there holds up no other.
 */

import type { Clock } from '../common/clock.ts'
import { AfpDeliveryError, AfpMessageError, AfpRoutingError, AfpSecurityError } from '../common/errors.ts'
import type { Message } from '../message/message.ts'

/** How long until one tries without having been woken, ms: one that was woken may not have come. */
const LOOK = 30_000

/** One that waits. */
interface Waiter {
  readonly bytes: number
  readonly wake: () => void
}

/** Whether one that waits has room now. */
export type Fits = (bytes: number) => boolean

/** There is no room for a reply; its request stays where it was. */
export class RepliesFull extends AfpRoutingError {
  /** Calls back once there may be room. Returns what ends the wait. */
  readonly #wait: (wake: () => void) => () => void

  constructor(what: string, wait: (wake: () => void) => () => void) {
    super('QUEUE_FULL', `${what} wait; this one was not taken, and what it answers stays where it was`)
    this.#wait = wait
  }

  /** Resolves when there may be room; at the latest at `until`, ms since 1970, after a while, or when `signal` fires. */
  async room({ clock, until, signal }: { clock: Clock; until: number; signal: AbortSignal }): Promise<void> {
    if (signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const end = (): void => resolve()
    const leave = this.#wait(end)
    const timer = clock.after(Math.max(0, Math.min(LOOK, until - clock.now() + 1)), end)
    signal.addEventListener('abort', end, { once: true })
    await promise
    leave()
    timer.cancel()
    signal.removeEventListener('abort', end)
  }
}

/** See the head of this file. */
export class ReplyRoom {
  /** In the order in which they came, by what says whether they fit, one for each recipient. */
  readonly #waiting = new Map<Fits, Set<Waiter>>()

  /** Wakes one of so many bytes once it fits; others may be quicker. Returns what ends the wait. */
  wait(fits: Fits, waiter: Waiter): () => void {
    const waiters = this.#waiting.get(fits) ?? new Set()
    this.#waiting.set(fits, waiters.add(waiter))
    return () => this.#leave(fits, waiter)
  }

  /** Some room is free, or was left by one that has taken its part. Wakes one: when that has taken its own, this is called again. */
  changed(): void {
    for (const [fits, waiters] of this.#waiting) {
      const [first] = waiters
      if (first === undefined || !fits(first.bytes)) continue
      this.#leave(fits, first)
      // Whoever got room is the last to be asked next time.
      if (this.#waiting.delete(fits)) this.#waiting.set(fits, waiters)
      return first.wake()
    }
  }

  #leave(fits: Fits, waiter: Waiter): void {
    const waiters = this.#waiting.get(fits)
    waiters?.delete(waiter)
    if (waiters?.size === 0) this.#waiting.delete(fits)
  }
}

/** Whether a reply cannot be sealed, and never will be: nothing was written, and no store is to blame. */
export const isUnsealable = (error: unknown): boolean =>
  error instanceof AfpSecurityError || error instanceof AfpMessageError

/** A reply that nobody waits for any more, since it was not kept in time, or that can never go. */
export const dropped = ({ id, parentId, recipients }: Message, unsealable?: unknown): AfpDeliveryError => {
  const [code, why] =
    unsealable === undefined
      ? (['MESSAGE_EXPIRED', 'could not be kept until its time was over'] as const)
      : (['DELIVERY_FAILED', 'cannot be sealed'] as const)
  const what = `the reply to ${parentId} ${why}, and is dropped; its request is handled`
  return new AfpDeliveryError(code, what, { messageId: id, cause: unsealable, details: { recipients } })
}
