/**
 * Kept messages that subscriptions took. Each waits until the last of them has handed it out or let go of it: it is done
 * when one has handed it out, and nobody has it when none has.
 * One that its time finds in their queues is taken out of these.
 */

import type { Clock } from '../common/clock.ts'
import { Held } from '../delivery/held.ts'
import type { Untaken } from '../delivery/processing.ts'
import type { Message } from '../message/message.ts'
import type { Subscription } from '../topics/subscriptions.ts'

interface Lease {
  readonly message: Message
  /** It ends with its time. */
  readonly mortal: boolean
  /** Those that took it. */
  readonly takers: Subscription[]
  left: number
  /** Somebody has had it. */
  read: boolean
  /** How many of those that it is for had no room. */
  full: number
  readonly done: (outcome?: Untaken) => void
}

/** See the head of this file. */
export class Leases {
  readonly #all = new Map<Message, Lease>()
  readonly #onDropped: (message: Message) => void
  /** Those that end with their time unless somebody has begun with them. */
  readonly #waiting: Held<Lease>
  #closed = false

  /**
   * @param onDropped a subscription had no room for a message that others took
   * @param options its signal fires when the agent closes: from then on none of them ends with its time
   */
  constructor(onDropped: (message: Message) => void, { clock, signal }: { clock: Clock; signal: AbortSignal }) {
    this.#onDropped = onDropped
    this.#waiting = new Held({ clock, onExpired: lease => this.#expire(lease) })
    signal.addEventListener('abort', () => this.#waiting.close(), { once: true })
  }

  /**
   * Hands a message to subscriptions with `deliver`, which tells how many took it; resolves when each has handed it out or
   * let go of it: with `unread` where none has handed it out. Where none took it, it says at once why.
   * @param mortal whether it ends with its time; what somebody retries by hand does not
   */
  take(
    message: Message,
    deliver: (takers: Subscription[]) => number,
    mortal: boolean,
  ): Promise<Untaken | undefined> | Untaken {
    if (this.#closed) return 'waiting'
    const { promise, resolve } = Promise.withResolvers<Untaken | undefined>()
    const done = (outcome?: Untaken): void => {
      this.#all.delete(message)
      this.#waiting.delete(lease)
      if (outcome === undefined) for (; lease.full > 0; lease.full--) this.#onDropped(message)
      resolve(outcome)
    }
    const lease: Lease = { message, mortal, takers: [], left: 0, read: false, full: 0, done }
    // What takes it may be done with it within `deliver`.
    this.#all.set(message, lease)
    const taken = deliver(lease.takers)
    lease.left += taken
    const untaken = taken > 0 ? undefined : lease.full > 0 ? 'full' : 'waiting'
    if (lease.left === 0) done(untaken ?? outcomeOf(lease))
    else if (mortal) this.#waiting.add(lease)
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

  /** Whether its time to live does not matter to a message. */
  outlives(message: Message): boolean {
    return this.#all.get(message)?.mortal === false
  }

  /**
   * Hands out no more of them: what nobody has begun with is for the next run, and waits in the store. What somebody has
   * read has its end.
   */
  close(): void {
    this.#closed = true
    for (const lease of this.#all.values()) {
      this.#withdraw(lease)
      if (lease.read && lease.left === 0) lease.done()
    }
  }

  /** Ends those whose time is over: timers do so by themselves, unless wall time jumped. */
  look(): void {
    this.#waiting.look()
  }

  /** Who has not begun with it does not get it any more; who has is waited for. */
  #expire(lease: Lease): void {
    this.#withdraw(lease)
    if (lease.left === 0) lease.done(outcomeOf(lease))
  }

  #withdraw(lease: Lease): void {
    for (const taker of lease.takers) if (taker.withdraw(lease.message)) lease.left--
  }
}

const outcomeOf = ({ read }: Lease): Untaken | undefined => (read ? undefined : 'unread')
