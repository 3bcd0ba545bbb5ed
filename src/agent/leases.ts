/**
 * Kept messages that subscriptions took. Each waits until the last of them has handed it out or let go of it: it is done
 * when one has handed it out, and nobody has it when none has.
 */

import type { Untaken } from '../delivery/processing.ts'
import type { Message } from '../message/message.ts'

interface Lease {
  left: number
  /** How many of those that it is for had no room. */
  full: number
  /** One of them has handed it out. */
  read: boolean
  readonly done: (outcome?: Untaken) => void
}

/** See the head of this file. */
export class Leases {
  readonly #all = new Map<Message, Lease>()
  readonly #onDropped: (message: Message) => void

  /** @param onDropped a subscription had no room for a message that others took */
  constructor(onDropped: (message: Message) => void) {
    this.#onDropped = onDropped
  }

  /**
   * Hands a message to subscriptions with `deliver`, which tells how many took it; resolves when each has handed it out or
   * let go of it: with `unread` where none has handed it out. Where none took it, it says at once why.
   */
  take(message: Message, deliver: () => number): Promise<Untaken | undefined> | Untaken {
    const { promise, resolve } = Promise.withResolvers<Untaken | undefined>()
    const done = (outcome?: Untaken): void => {
      this.#all.delete(message)
      if (outcome === undefined) for (; lease.full > 0; lease.full--) this.#onDropped(message)
      resolve(outcome)
    }
    const lease: Lease = { left: 0, full: 0, read: false, done }
    // What takes it may be done with it within `deliver`.
    this.#all.set(message, lease)
    const taken = deliver()
    lease.left += taken
    const untaken = taken > 0 ? undefined : lease.full > 0 ? 'full' : 'waiting'
    if (lease.left === 0) done(untaken ?? outcomeOf(lease))
    return untaken ?? promise
  }

  /** A subscription has no room for a message; false when it is not here, and so not kept. */
  noRoom(message: Message): boolean {
    const lease = this.#all.get(message)
    if (lease !== undefined) lease.full++
    return lease !== undefined
  }

  /** A subscription has handed a message out. */
  handedOut(message: Message): void {
    const lease = this.#all.get(message)
    if (lease !== undefined) lease.read = true
    this.letGo(message)
  }

  /** A subscription is done with a message: unread, unless it has handed it out. */
  letGo(message: Message): void {
    const lease = this.#all.get(message)
    if (lease !== undefined && --lease.left === 0) lease.done(outcomeOf(lease))
  }

  /** No subscription wants it after all: it waits. False when it is not here. */
  unclaimed(message: Message): boolean {
    const lease = this.#all.get(message)
    lease?.done(lease.full > 0 ? 'full' : 'waiting')
    return lease !== undefined
  }
}

const outcomeOf = ({ read }: Lease): Untaken | undefined => (read ? undefined : 'unread')
