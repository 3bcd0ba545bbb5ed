/**
 * Those who wait for room among the dead letters, all in one place: nobody is woken for nothing, however many there are,
 * and while nothing changes nothing is done. On the recipient's side those of each author by themselves: one that has its
 * share there holds up no other. And the word that goes out before there is none.
 */

import type { Clock, Timer } from '../common/clock.ts'
import { AfpDeliveryError } from '../common/errors.ts'
import { Slices } from '../common/slices.ts'
import type { DeadReason, LetterSide } from './dead-letter.ts'
import type { LetterIndex } from './dead-letter-index.ts'

/** How long until it is looked for room that nobody told of, ms: letters grow old, and one who was woken may not come. */
const LOOK = 30_000
/**
 * How long after a letter could not be written nobody is woken, ms: whoever tried that comes again within it, and what
 * it writes then says that others may. Woken before, each would try for itself from then on.
 */
const FAILING = 2_000
/** The part of a bound above which it is told that there is little room, and the one below which it is over. */
const LOW = 0.9
const ENOUGH = 0.85
const SIDES: readonly LetterSide[] = ['sender', 'recipient']

/** A dead letter was refused for lack of room; its message stays where it was. */
export class LettersFull extends AfpDeliveryError {
  readonly #room: () => Promise<void>
  readonly #again: boolean

  /**
   * @param again whether that was told of this message before
   * @param room resolves when there may be room for it
   */
  constructor(
    { side, peer, reason, messageId, attempts }: Refused,
    { again, room }: { again: boolean; room: () => Promise<void> },
  ) {
    super('QUEUE_FULL', `there is no room for another dead letter (${side})`, {
      messageId,
      retries: attempts,
      details: { reason, peer },
    })
    this.#room = room
    this.#again = again
  }

  get again(): boolean {
    return this.#again
  }

  room(): Promise<void> {
    return this.#room()
  }
}

interface Refused {
  readonly side: LetterSide
  readonly peer: string
  readonly reason: DeadReason
  readonly messageId: string | undefined
  readonly attempts: number
}

interface Waiter {
  readonly bytes: number
  readonly resolve: () => void
}

/** See the head of this file. */
export class LetterRoom {
  readonly #clock: Clock
  readonly #index: LetterIndex
  /** In the order in which they came; on the recipient's side by their author, on the other all in one. */
  readonly #waiting = { sender: new Map<string, Set<Waiter>>(), recipient: new Map<string, Set<Waiter>>() }
  readonly #low = { sender: false, recipient: false }
  #timer: Timer | undefined
  #waking = false
  #anew = false
  /** Until then, by the monotonic clock. */
  #failingUntil = 0
  #closed = false

  constructor(clock: Clock, index: LetterIndex) {
    this.#clock = clock
    this.#index = index
  }

  /** Resolves when there may be room for so many bytes of `peer`'s; others may be quicker. */
  wait(side: LetterSide, peer: string, bytes: number): Promise<void> {
    const author = side === 'recipient' ? peer : ''
    return new Promise(resolve => {
      const waiters = this.#waiting[side].get(author) ?? new Set()
      this.#waiting[side].set(author, waiters.add({ bytes, resolve }))
      // Whoever comes to wait as all of it closes goes by that, and is told nothing more.
      if (!this.#closed) this.#timer ??= this.#clock.after(LOOK, () => this.#due())
    })
  }

  get #size(): number {
    return this.#waiting.sender.size + this.#waiting.recipient.size
  }

  /** Letters were dealt with, or are gone. */
  changed(): void {
    if (this.#size === 0 || this.#clock.monotonic() < this.#failingUntil) return
    this.#anew = true
    if (!this.#waking) void this.#wake()
  }

  /** A letter for which there was room was not written; that room is free. */
  failed(): void {
    this.#failingUntil = this.#clock.monotonic() + FAILING
  }

  /** One was, or was deleted. */
  written(): void {
    this.#failingUntil = 0
  }

  /** The sides that have little room left since this was last asked. */
  runningLow({ entries, bytes }: { readonly entries: number; readonly bytes: number }): LetterSide[] {
    return SIDES.filter(side => {
      const kept = this.#index.kept(side)
      const part = Math.max(kept.entries / entries, kept.bytes / bytes)
      const before = this.#low[side]
      this.#low[side] = part >= (before ? ENOUGH : LOW)
      return this.#low[side] && !before
    })
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #due(): void {
    this.#timer = this.#size > 0 ? this.#clock.after(LOOK, () => this.#due()) : undefined
    this.changed()
  }

  /** As many as there is room for: each of them has work to do before it knows whether it got it. */
  async #wake(): Promise<void> {
    const slices = new Slices()
    this.#waking = true
    while (this.#anew) {
      this.#anew = false
      for (const side of SIDES) await this.#wakeSide(side, slices)
    }
    this.#waking = false
  }

  async #wakeSide(side: LetterSide, slices: Slices): Promise<void> {
    const woken = { entries: 0, bytes: 0 }
    // What an author gets is not free any more, and counts as its own as well.
    const times = side === 'recipient' ? 2 : 1
    for (const [author, waiters] of [...this.#waiting[side]]) {
      let { entries, bytes } = this.#index.room(side, this.#clock.now(), author)
      entries -= woken.entries
      bytes -= woken.bytes
      const before = woken.entries
      for (const waiter of waiters) {
        if (entries < 1) break
        if (bytes < waiter.bytes) continue
        entries -= times
        bytes -= times * waiter.bytes
        woken.entries++
        woken.bytes += waiter.bytes
        waiters.delete(waiter)
        waiter.resolve()
        if (slices.did(waiter.bytes)) await slices.pause()
      }
      // Whoever got room is the last to be asked next time.
      if (woken.entries > before || waiters.size === 0) this.#waiting[side].delete(author)
      if (woken.entries > before && waiters.size > 0) this.#waiting[side].set(author, waiters)
      if (slices.did()) await slices.pause()
    }
  }
}
