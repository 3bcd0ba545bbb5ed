/**
 * Hands one recipient's messages to its connection: the openings they need first, no more under way than the window
 * allows, again when nothing is heard, and none while the circuit breaker is open. It waits by the monotonic clock: one
 * that is set back holds nothing up.
 */

import type { Timer } from '../common/clock.ts'
import { AfpError } from '../common/errors.ts'
import { nextTask, SLICE_ITEMS } from '../common/slices.ts'
import { Asking } from './asking.ts'
import type { BreakerCall, CircuitBreaker } from './breaker.ts'
import { Copies, type CopiesParts } from './copies.ts'
import { FrameType, frameOf } from './frames.ts'
import { Leaving } from './leaving.ts'
import type { Lines } from './lines.ts'
import type { Entry, OutEpoch } from './out-epoch.ts'
import { SendQueue } from './send-queue.ts'
import { Staging } from './staging.ts'

/** How long the recipient may take to acknowledge before a message goes again, ms, and in round trips of the link. */
const PATIENCE = 1_000
const PATIENCE_ROUND_TRIPS = 4
/** How long a message waits after the connection would not take it, ms. */
const BUSY_PAUSE = 100
/** The longest pause before it is looked again, ms; one whose row cannot be read waits as long. */
const LONGEST_PAUSE = 60_000

/** What handing over needs. */
export interface SenderParts extends CopiesParts {
  readonly recipient: string
  readonly lines: Lines
  readonly breaker: CircuitBreaker
  /** How many may be under way. */
  readonly window: number
  /** The states of every epoch as a frame; undefined while there is nothing to say. */
  readonly states: () => Uint8Array | undefined
  /** Whether anything has no end yet. */
  readonly waits: () => boolean
  /** Its bytes were handed to the connection. */
  readonly onHanded: (entry: Entry) => void
  /** Not acknowledged in time. It has to call {@link Sender.again}, or take the message out. */
  readonly onOverdue: (entry: Entry) => void
  /** Its time is over, or its recipient takes no message as large. It has to take the message out. */
  readonly onOver: (entry: Entry, reason: 'expired' | 'too-large') => void
}

/** See the head of this file. */
export class Sender {
  readonly #parts: SenderParts
  readonly #queue: SendQueue<Entry>
  readonly #copies: Copies
  readonly #leaving = new Leaving()
  readonly #staging: Staging
  /** Epochs whose opening went over the link that is open. */
  #announced = new WeakSet<OutEpoch>()
  #linked = false
  /** After a link came up: until the recipient says what it has, or this time, nothing goes. */
  #holdUntil = 0
  #stateDue = false
  readonly #asking = new Asking()
  /** The one message that a half-open breaker let go. */
  #probe: { readonly call: BreakerCall; readonly entry: Entry } | undefined
  /** Handed over since the recipient spoke last over this link. */
  readonly #unanswered = new Set<Entry>()
  #timer: Timer | undefined
  /** When it fires, by the monotonic clock. */
  #wakeAt = 0
  /** When the opening of an epoch went again over this link because the recipient did not know it. */
  #repeated = new WeakMap<OutEpoch, number>()
  #expiring = false
  #closed = false
  /** A breaker may outlive what it guards. */
  readonly #detach = new AbortController()

  constructor(parts: SenderParts) {
    this.#parts = parts
    this.#queue = new SendQueue(parts.window)
    this.#copies = new Copies(parts, this.#leaving, entry => this.#isBarred(entry))
    this.#staging = new Staging({
      ...parts,
      hand: (...staged) => this.#handStaged(...staged),
      onRead: () => this.pump(),
    })
    // Whoever closes it by hand wants what waits to go now.
    parts.breaker.addEventListener(
      'change',
      ({ detail }) => {
        if (detail.to !== 'closed') return
        this.#probe = undefined
        this.pump()
      },
      { signal: this.#detach.signal },
    )
  }

  get size(): number {
    return this.#queue.size
  }

  /** A message that is on the disk; it may go from `at` on, ms since 1970. */
  add(entry: Entry, at = 0): void {
    if (this.#queue.size === 0) this.#asking.told(this.#parts.clock.monotonic())
    this.#queue.add(entry, this.#moment(at))
    this.#copies.add(entry)
  }

  remove(entry: Entry): void {
    this.#queue.remove(entry)
    this.#parts.envelopes.take(entry)
    this.#copies.remove(entry)
    this.#untried(entry)
  }

  /** It may go again from `at` on, ms since 1970. */
  again(entry: Entry, at: number): void {
    this.#queue.again(entry, this.#moment(at))
  }

  /** It must not leave any more. */
  hold(entry: Entry): void {
    this.#queue.hold(entry)
    this.#copies.remove(entry)
    this.#untried(entry)
  }

  /** It may after all. */
  resume(entry: Entry): void {
    this.#queue.resume(entry, 0)
    this.#copies.add(entry)
    this.pump()
  }

  /** A connection is open. What has arrived before is asked for first, when there may be something. */
  linked(ask: boolean): void {
    const { clock } = this.#parts
    this.#linked = true
    this.#announced = new WeakSet()
    this.#copies.linked()
    this.#repeated = new WeakMap()
    // What failed did so over another link. Its recipient holds back for it what came after it, and not for ever.
    this.#queue.wake()
    this.#asking.linked(clock.monotonic())
    if (ask) {
      this.#holdUntil = clock.monotonic() + this.#patience()
      this.#sendStates()
    }
    this.pump()
  }

  /** It is gone. */
  unlinked(): void {
    this.#linked = false
    this.#staging.clear()
    // The next word is the first one of another link, and maybe of another run.
    this.#queue.window = this.#parts.window
    this.#holdUntil = 0
    this.#probe?.call.abandon()
    this.#probe = undefined
    this.#unanswered.clear()
    this.#queue.recall(this.#parts.clock.monotonic())
    this.#arm()
  }

  /** How many more messages the recipient has room for. As it makes room, it says so with what it has processed. */
  credit(messages: number): void {
    this.#queue.window = Math.min(this.#parts.window, messages)
    // What it says beside that may be of nothing that is known here.
    this.pump()
  }

  /** Whether the recipient has little room, and none for this message: what there is others have, or it was not taken. */
  #isBarred(entry: Entry): boolean {
    const { window } = this.#queue
    const little = this.#linked && !this.#closed && window < this.#parts.window
    return little && (window === 0 || this.#queue.waits(entry))
  }

  /** The recipient spoke: it works, and what it has is known. */
  heard({ arrived, news }: { arrived: boolean; news: boolean }): void {
    this.#holdUntil = 0
    this.#unanswered.clear()
    if (arrived || news) this.#asking.heard(this.#parts.clock.monotonic())
    if (!arrived) return
    const { breaker } = this.#parts
    if (this.#probe === undefined && breaker.failureCount === 0) return
    const call = this.#probe?.call ?? breaker.admit()
    this.#probe = undefined
    call?.succeed()
  }

  /** The recipient has to be told the states; with the next messages, or now. */
  stateChanged(): void {
    this.#stateDue = true
  }

  /**
   * The opening of an epoch has to go again, and what was under way with it. Each envelope that comes without its opening
   * has the recipient say so: what is said once more before an answer could be here is about what went before, and
   * would have all of it sent once for each. Where the repetition is lost as well, patience brings it about.
   */
  forgotten(epochs: readonly OutEpoch[]): void {
    // It is there, whatever it makes of them.
    this.#unanswered.clear()
    const now = this.#parts.clock.monotonic()
    const since = now - this.#patience()
    const lost = new Set(epochs.filter(epoch => (this.#repeated.get(epoch) ?? Number.NEGATIVE_INFINITY) <= since))
    if (lost.size === 0) return
    for (const epoch of lost) {
      this.#repeated.set(epoch, now)
      this.#announced.delete(epoch)
      if (this.#linked) this.announce(epoch)
    }
    this.#queue.recall(now, ({ epoch }) => lost.has(epoch))
    if (this.#probe !== undefined && lost.has(this.#probe.entry.epoch)) this.#untried(this.#probe.entry)
    this.pump()
  }

  /** Sends an epoch's opening, once over each link. */
  announce(epoch: OutEpoch): void {
    if (this.#announced.has(epoch)) return
    this.#announced.add(epoch)
    // Whoever did not know it could do nothing with its state.
    this.#stateDue = true
    this.#frame(frameOf(FrameType.opening, epoch.packet))
  }

  /** Hands over what may go now. */
  pump(): void {
    const now = this.#parts.clock.monotonic()
    if (this.#linked && !this.#closed && now >= this.#holdUntil) {
      // What is there comes first: a call that the breaker lets through for nothing would never end.
      while (!this.#staging.full && this.#queue.ready(now) && this.#handNext(now));
      void this.#staging.read()
      if (this.#stateDue) this.#sendStates()
      void this.#copies.send()
    }
    this.#arm()
  }

  close(): void {
    this.#closed = true
    this.#detach.abort()
    this.#probe?.call.abandon()
    this.#timer?.cancel()
    this.#copies.close()
  }

  /** A time of day on the clock that nobody sets; 0: at once. */
  #moment(at: number): number {
    const { clock } = this.#parts
    return at > clock.now() ? clock.monotonic() + at - clock.now() : 0
  }

  /** Hands over what is next, if the circuit breaker lets one more message go. */
  #handNext(now: number): boolean {
    const { breaker, envelopes } = this.#parts
    const closed = breaker.state === 'closed'
    const call = closed || this.#probe !== undefined ? undefined : breaker.admit()
    if (!closed && call === undefined) return false
    const entry = this.#queue.take(now)
    if (entry === undefined) {
      // Somebody who listens to the breaker has brought about that it went meanwhile.
      call?.abandon()
      return false
    }
    if (call !== undefined) this.#probe = { call, entry }
    const frame = this.#staging.busy ? undefined : envelopes.take(entry)
    if (frame !== undefined) this.#hand(entry, frame)
    else {
      this.#queue.stage(entry)
      this.#staging.add(entry)
    }
    return true
  }

  #handStaged(entry: Entry, frame: Uint8Array | undefined): void {
    const now = this.#parts.clock.monotonic()
    if (this.#closed || !this.#queue.unstage(entry, now)) return
    if (frame !== undefined) return this.#hand(entry, frame)
    this.#queue.again(entry, now + LONGEST_PAUSE)
    this.#untried(entry)
  }

  /** Nothing will be heard of a message: if it was to tell the breaker how its recipient is, another one has to. */
  #untried(entry: Entry): void {
    this.#unanswered.delete(entry)
    if (this.#probe?.entry !== entry) return
    this.#probe.call.abandon()
    this.#probe = undefined
    this.#arm()
  }

  #hand(entry: Entry, frame: Uint8Array): void {
    const { lines, recipient, clock, breaker, envelopes, onHanded, onOver } = this.#parts
    this.announce(entry.epoch)
    this.#leaving.starts(entry)
    this.#unanswered.add(entry)
    lines.send(recipient, frame).catch(error => {
      if (error instanceof AfpError && error.code === 'MESSAGE_TOO_LARGE') {
        this.#leaving.refused(entry)
        return onOver(entry, 'too-large')
      }
      // Too slow a peer, or a link that has just closed: neither is a try that failed.
      this.#queue.again(entry, clock.monotonic() + BUSY_PAUSE)
      if (this.#queue.has(entry)) envelopes.keep(entry, frame)
      this.#untried(entry)
      this.#arm()
    })
    onHanded(entry)
    // After a silence the recipient is asked as well: one that will not take this message says at least that it is there.
    this.#stateDue ||= breaker.failureCount > 0
  }

  #sendStates(): void {
    this.#stateDue = false
    this.#asking.told(this.#parts.clock.monotonic())
    const frame = this.#parts.states()
    if (frame !== undefined) this.#frame(frame)
  }

  /** A frame that is made anew when it is lost. */
  #frame(frame: Uint8Array): void {
    this.#parts.lines.send(this.#parts.recipient, frame).catch(() => {})
  }

  #patience(): number {
    return Math.max(PATIENCE, PATIENCE_ROUND_TRIPS * this.#parts.lines.rtt(this.#parts.recipient))
  }

  /** Sets the timer to when something is to be done next, or sooner. */
  #arm(): void {
    if (this.#closed) return
    const { clock, breaker } = this.#parts
    const now = clock.monotonic()
    const queue = this.#queue
    // Only the end of a message is a time of day.
    const expiry = this.#expiring ? undefined : queue.nextExpiry
    let next = now + (expiry ?? Number.POSITIVE_INFINITY) - clock.now()
    if (this.#linked) {
      next = Math.min(next, queue.nextOverdue(this.#patience()) ?? next)
      if (this.#parts.waits()) next = Math.min(next, this.#asking.at)
      // With a probe under way its acknowledgement, or the lack of it, goes on from there.
      const due = this.#probe === undefined && !this.#staging.busy ? queue.nextDue : undefined
      // Half-open and not let through: somebody else tries it, and tells nobody when that ends.
      // One that was opened by hand does not say when it closes: it tells when it has.
      const pause = breaker.state === 'half-open' ? BUSY_PAUSE : Math.min(breaker.retryAfter, LONGEST_PAUSE)
      if (due !== undefined) next = Math.min(next, Math.max(due, this.#holdUntil, now + pause))
    }
    // Mostly there is more time than there was: then the timer that is set looks at it anew.
    if (this.#timer !== undefined && this.#wakeAt <= next && Number.isFinite(next)) return
    this.#timer?.cancel()
    this.#timer = undefined
    if (!Number.isFinite(next)) return
    this.#wakeAt = next
    this.#timer = clock.after(Math.max(0, next - now), () => {
      this.#timer = undefined
      this.#tick()
    })
  }

  #tick(): void {
    const { clock, onOverdue, breaker } = this.#parts
    const now = clock.monotonic()
    if (!this.#expiring) void this.#expire()
    if (this.#linked && now >= this.#asking.at) {
      this.#stateDue ||= this.#parts.waits()
      this.#asking.asked(now)
    }
    const overdue = this.#queue.overdue(now, this.#patience())
    if (overdue.length > 0) {
      // One silence is one failure, however many messages it holds up. Of a recipient that said something since it works:
      // it may be full, or take a message for one from the future.
      if (overdue.some(entry => this.#unanswered.has(entry))) {
        const call = this.#probe?.call ?? breaker.admit()
        this.#probe = undefined
        call?.fail(new Error('not acknowledged in time'))
      }
      for (const entry of overdue) {
        this.#untried(entry)
        onOverdue(entry)
      }
    }
    this.pump()
  }

  /** Some at a time: the end of each is a batch of its own, mostly with a dead letter. */
  async #expire(): Promise<void> {
    const { clock, onOver, nextTask: next = nextTask } = this.#parts
    this.#expiring = true
    while (!this.#closed) {
      const over = this.#queue.expired(clock.now(), SLICE_ITEMS)
      for (const entry of over) onOver(entry, 'expired')
      if (over.length < SLICE_ITEMS) break
      await next()
    }
    this.#expiring = false
    this.#arm()
  }
}
