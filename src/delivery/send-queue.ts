/**
 * What one recipient is still to get: which message goes next, how many may be under way, what was not acknowledged in
 * time, what has expired. A pure state machine: time is handed in, and what it returns is for others to do.
 */

import { Heap } from '../common/heap.ts'
import { PriorityQueue } from './priority-queue.ts'

/** What the queue has to know of a message. */
export interface Sendable {
  /** Grows with each epoch: recipients hold a later one back until they have what is left of the earlier ones. */
  readonly epoch: { readonly order: number }
  readonly priority: number
  /** Grows with each message: within its priority an earlier one goes first, the second time too. */
  readonly order: number
  /** When it ends, ms since 1970. */
  readonly expiresAt: number
}

interface Slot<E> {
  readonly entry: E
  state: 'ready' | 'staged' | 'flying' | 'later' | 'gone'
  /** When it was handed to a connection, or when it may be. */
  at: number
}

/** See the head of this file. */
export class SendQueue<E extends Sendable> {
  /** How many may be under way, as the recipient's credit says. */
  window: number
  readonly #slots = new Map<E, Slot<E>>()
  /** By epoch: those of an earlier one go first, whatever their priority. */
  readonly #ready = new Map<number, PriorityQueue<Slot<E>>>()
  readonly #later: Heap<Slot<E>>
  readonly #expiry: Heap<Slot<E>>
  /** What was under way last did not arrive. */
  #lapsed = false
  /** Under way, the longest first. */
  readonly #flying = new Set<Slot<E>>()
  /** Taken, and not with a connection yet. */
  readonly #staged = new Set<Slot<E>>()

  constructor(window: number) {
    this.window = window
    this.#later = new Heap((slot, at) => slot.state !== 'later' || slot.at !== at)
    this.#expiry = new Heap(slot => slot.state === 'gone')
  }

  /** Everything that is not settled. */
  get size(): number {
    return this.#slots.size
  }

  get flying(): number {
    return this.#flying.size
  }

  entries(): Iterable<E> {
    return this.#slots.keys()
  }

  has(entry: E): boolean {
    return this.#slots.has(entry)
  }

  /** Whether a message is here and not under way. */
  waits(entry: E): boolean {
    const slot = this.#slots.get(entry)
    return slot !== undefined && slot.state !== 'flying' && slot.state !== 'staged'
  }

  /** Takes a message in; it may go from `at` on. */
  add(entry: E, at = 0): void {
    const slot: Slot<E> = { entry, state: 'later', at }
    this.#slots.set(entry, slot)
    this.#expiry.push(entry.expiresAt, slot)
    this.#wait(slot, at)
  }

  /** The next message to hand to the connection, from now on under way; undefined when none may go. */
  take(now: number): E | undefined {
    if (!this.ready(now)) return undefined
    // One that is full has room for one that it can hand on at once: the oldest of all is.
    const slot = this.#front()?.shift(this.#lapsed && this.window === 1)
    if (slot === undefined) return undefined
    slot.state = 'flying'
    slot.at = now
    this.#flying.add(slot)
    return slot.entry
  }

  /** Whether {@link take} has something to give. */
  ready(now: number): boolean {
    this.#wake(now)
    return !this.#full && this.#front() !== undefined
  }

  /** What was just taken is not handed over yet: it takes its place in the window, and cannot be overdue. */
  stage(entry: E): void {
    const slot = this.#slots.get(entry)
    if (slot === undefined || !this.#flying.delete(slot)) return
    slot.state = 'staged'
    this.#staged.add(slot)
  }

  /** It is handed over now; false when it is not to go any more. */
  unstage(entry: E, now: number): boolean {
    const slot = this.#slots.get(entry)
    if (slot === undefined || !this.#staged.delete(slot)) return false
    slot.state = 'flying'
    slot.at = now
    this.#flying.add(slot)
    return true
  }

  /** It has arrived, or will never: nothing more is done for it. */
  remove(entry: E): boolean {
    const slot = this.#slots.get(entry)
    if (slot === undefined) return false
    this.#slots.delete(entry)
    if (this.#flying.delete(slot)) this.#lapsed = false
    this.#staged.delete(slot)
    slot.state = 'gone'
    return true
  }

  /** It was not acknowledged, or could not leave: it may go again from `at` on. */
  again(entry: E, at: number): void {
    const slot = this.#slots.get(entry)
    if (slot === undefined || slot.state !== 'flying') return
    this.#flying.delete(slot)
    this.#lapsed = true
    this.#wait(slot, at)
  }

  /** It is not to go, whatever waits for it or was said of it before, until {@link resume}. */
  hold(entry: E): void {
    const slot = this.#slots.get(entry)
    if (slot === undefined) return
    this.#flying.delete(slot)
    this.#staged.delete(slot)
    slot.state = 'later'
    slot.at = Number.POSITIVE_INFINITY
  }

  /** What was held may go after all. */
  resume(entry: E, now: number): void {
    const slot = this.#slots.get(entry)
    if (slot?.state === 'later' && slot.at === Number.POSITIVE_INFINITY) this.#wait(slot, now)
  }

  /** Whatever waits for its next try may go at once. */
  wake(): void {
    for (const slot of this.#slots.values()) {
      if (slot.state === 'later' && slot.at !== Number.POSITIVE_INFINITY) this.#makeReady(slot)
    }
  }

  /** What was under way, or of it what `lost` says, has not arrived: it may go again at once. */
  recall(now: number, lost: (entry: E) => boolean = () => true): void {
    for (const slot of [...this.#staged]) if (lost(slot.entry)) this.unstage(slot.entry, now)
    for (const slot of [...this.#flying]) if (lost(slot.entry)) this.again(slot.entry, now)
  }

  /** What has been under way for `patience` ms without an acknowledgement. */
  overdue(now: number, patience: number): E[] {
    const late: E[] = []
    for (const slot of this.#flying) {
      if (slot.at + patience > now) break
      late.push(slot.entry)
    }
    return late
  }

  /** What has expired, at most so many at a time; the caller removes it once that is on the disk. */
  expired(now: number, most = Number.POSITIVE_INFINITY): E[] {
    const over: E[] = []
    while (over.length < most) {
      const slot = this.#expiry.shift(now)
      if (slot === undefined) break
      over.push(slot.entry)
    }
    return over
  }

  /** When the next message expires, ms since 1970. */
  get nextExpiry(): number | undefined {
    return this.#expiry.peek()
  }

  /** When what is under way longest is overdue. */
  nextOverdue(patience: number): number | undefined {
    const [oldest] = this.#flying
    return oldest && oldest.at + patience
  }

  /** When {@link take} has something to give; undefined when nothing waits, or when only an acknowledgement makes room. */
  get nextDue(): number | undefined {
    if (this.#full) return undefined
    return this.#front() === undefined ? this.#later.peek() : 0
  }

  get #full(): boolean {
    return this.#flying.size + this.#staged.size >= this.window
  }

  #wait(slot: Slot<E>, at: number): void {
    slot.at = at
    slot.state = 'later'
    if (at > 0) this.#later.push(at, slot)
    else this.#makeReady(slot)
  }

  #wake(now: number): void {
    for (let slot = this.#later.shift(now); slot !== undefined; slot = this.#later.shift(now)) this.#makeReady(slot)
  }

  /** Those of the earliest epoch of which something may go. */
  #front(): PriorityQueue<Slot<E>> | undefined {
    for (const epoch of [...this.#ready.keys()].sort((a, b) => a - b)) {
      const queue = this.#ready.get(epoch)
      if (queue?.empty === false) return queue
      // Made again when one of its messages may go again; the only one stays, for it may be filled all the time.
      if (this.#ready.size > 1) this.#ready.delete(epoch)
    }
    return undefined
  }

  #makeReady(slot: Slot<E>): void {
    const { epoch, priority, order } = slot.entry
    const queue = this.#ready.get(epoch.order) ?? new PriorityQueue<Slot<E>>(({ state }) => state !== 'ready')
    this.#ready.set(epoch.order, queue)
    slot.state = 'ready'
    queue.push(priority, order, slot)
  }
}
