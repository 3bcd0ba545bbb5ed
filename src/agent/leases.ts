/** Kept messages that subscriptions took: each is done when the last of them has handed it out. */

import type { Message } from '../message/message.ts'

interface Lease {
  left: number
  readonly done: (outcome?: 'waiting') => void
}

/** See the head of this file. */
export class Leases {
  readonly #all = new Map<Message, Lease>()

  /**
   * Hands a message to subscriptions with `deliver`, which tells how many took it; resolves when each has handed it out.
   * Undefined when none took it.
   */
  take(message: Message, deliver: () => number): Promise<'waiting' | undefined> | undefined {
    const { promise, resolve } = Promise.withResolvers<'waiting' | undefined>()
    const done = (outcome?: 'waiting'): void => {
      this.#all.delete(message)
      resolve(outcome)
    }
    const lease = { left: 0, done }
    // What takes it may hand it out within `deliver`.
    this.#all.set(message, lease)
    const taken = deliver()
    lease.left += taken
    if (lease.left === 0) done()
    return taken === 0 ? undefined : promise
  }

  /** A subscription has handed a message out, or let go of it. */
  handedOut(message: Message): void {
    const lease = this.#all.get(message)
    if (lease !== undefined && --lease.left === 0) lease.done()
  }

  /** No subscription wants it after all: it waits. False when it is not here. */
  unclaimed(message: Message): boolean {
    const lease = this.#all.get(message)
    lease?.done('waiting')
    return lease !== undefined
  }
}
