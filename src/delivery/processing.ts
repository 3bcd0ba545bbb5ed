/**
 * Hands one author's messages to their handlers: in order within each class, again when a handler fails, and the end of
 * each in one batch with what its handler wrote.
 *
 * A message waits until the one before it has been handled. Only what is part of a conversation holds nothing up:
 * a request's handler may ask its author back, and wait for replies that come behind the request. Nor does it wait for
 * room that others want.
 *
 * Whatever is not at work has its end when it expires, wherever it waits.
 */

import type { Timer } from '../common/clock.ts'
import { AfpDataStoreError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import { type NextTask, Slices } from '../common/slices.ts'
import { toFailure } from '../message/failure.ts'
import type { Arrived } from './arrived.ts'
import { contend } from './contention.ts'
import { DeadEnds, type DeadEndsParts } from './dead-ends.ts'
import { EndWriter, type EndWriterParts } from './end-writer.ts'
import { Held } from './held.ts'
import type { Incoming } from './incoming.ts'
import { Parked } from './parked.ts'
import type { KeptReply, Lane } from './processing-state.ts'
import { nextRetry, type RetryStrategy, resumeRetry } from './retry.ts'
import type { InboxOwes } from './rows.ts'
import { BufferedTransaction } from './transaction.ts'

/** Requests of one author that may be handled at once. */
const MAX_REQUESTS = 256

/** What handling needs. */
export interface ProcessingParts extends EndWriterParts, DeadEndsParts {
  readonly random: Random
  /** When a handler that failed runs again. */
  readonly strategy: RetryStrategy
  /** Hands a message to whoever wants it. */
  readonly take: (
    arrived: Arrived,
    transaction: BufferedTransaction,
  ) => Promise<KeptReply | Untaken | undefined> | Untaken
  /** A handler threw. */
  readonly onFailed: (arrived: Arrived, error: unknown) => void
  /** How long work lets others have their turn. Default: the platform's. */
  readonly nextTask?: NextTask | undefined
}

/**
 * Why nobody has a message yet: `waiting`: nobody wants it; `full`: nobody who does has room; `unread`: who took it has let
 * go of it, or kept it until it expired.
 */
export type Untaken = 'waiting' | 'full' | 'unread'

/** See the head of this file. */
export class Processing {
  readonly #parts: ProcessingParts
  readonly #incoming: Incoming
  readonly #lanes = new Map<number, Lane>()
  readonly #parked = new Parked()
  /** What holds nothing up, and waits for its next try. */
  readonly #resting = new Map<Arrived, Timer>()
  /** All that is not at work: in its lane, parked, or resting. */
  readonly #waiting: Held<Arrived>
  readonly #ends: EndWriter
  readonly #deadEnds: DeadEnds
  /** How often there was somebody new: for one that was at work then it counts as well. */
  #offers = 0
  /** Those at work that hold nothing up. */
  #asides = 0
  readonly #stop = new AbortController()
  /** Neither a store in memory nor a handler that has nothing to wait for lets anybody else have a turn. */
  readonly #slices: Slices
  #started = false
  #paused = false
  /** Ends one whose time was over before its turn came. */
  readonly expire = (entry: Arrived): void => void this.#dead(entry, ['expired'])

  constructor(parts: ProcessingParts, incoming: Incoming) {
    this.#parts = parts
    this.#incoming = incoming
    this.#ends = new EndWriter(parts, incoming, this.#stop.signal)
    this.#deadEnds = new DeadEnds(parts, incoming, this.#ends.endings)
    this.#waiting = new Held({ clock: parts.clock, onExpired: entry => this.#expired(entry) })
    this.#slices = new Slices(parts.nextTask)
  }

  /** From now on messages are handed out: whoever is to have them has had the time to say so. */
  start(): void {
    this.#started = true
    this.#runAll()
  }

  /** Messages to be handled, in this order. */
  add(arrived: readonly Arrived[]): void {
    for (const entry of arrived) {
      this.#hold(entry)
      this.#waiting.add(entry)
      // Somebody in this run waits for it, or nobody.
      if (this.#started && (entry.kind === 'reply' || entry.kind === 'failure')) this.#aside(entry)
      else if (entry.kind !== 'message' && this.#wait(entry) > 0) this.#rest(entry)
      else this.#lane(entry.row.priority).queue.push(entry)
    }
    this.#runAll()
  }

  /** What owes its dead letter since an earlier run. */
  owe(owed: readonly Arrived[]): void {
    for (const entry of owed) void this.#deadEnds.end(entry, entry.row.owes as InboxOwes, this.#stop.signal)
  }

  /** Somebody new may want what nobody wanted: that is offered again, before what came later. */
  offerAgain(): void {
    this.#offer(this.#parked.takeAll())
  }

  /** Who had no room may have some: what is for them is offered again. */
  offerFull(): void {
    this.#offer(this.#parked.takeFull())
  }

  #offer(again: readonly Arrived[]): void {
    this.#offers++
    for (const [priority, entries] of Map.groupBy(again, ({ row }) => row.priority)) {
      const { queue, atWork } = this.#lane(priority)
      // The one whose handler is at work stays where it is.
      const later = queue.splice(atWork === undefined ? 0 : 1)
      // One by one: there may be more of them than a call takes arguments.
      for (const list of [entries, later]) for (const entry of list) queue.push(entry)
    }
    this.#runAll()
  }

  /** The oldest that nobody wanted, for somebody who reads: it has its end with that. */
  shift(): Pick<Arrived, 'message' | 'kind'> | undefined {
    for (let entry = this.#parked.shift(); entry !== undefined; entry = this.#parked.shift()) {
      this.#waiting.delete(entry)
      if (entry.message.isExpired(this.#parts.clock.now())) void this.#dead(entry, ['expired'])
      else {
        void this.#ends.add(entry, () => ({ writes: [] }))
        // It may have held up others.
        queueMicrotask(() => this.#runAll())
        return entry
      }
    }
    return undefined
  }

  /** Ends what has expired: timers do so by themselves, unless wall time jumped. */
  look(): void {
    this.#waiting.look()
  }

  /** Resolves when no end of a message is on its way to the disk. */
  settled(): Promise<void> {
    return this.#ends.endings.settled()
  }

  /** No message and no request is handed out any more; what handlers at work end with is still written. */
  pause(): void {
    this.#paused = true
  }

  /** Nothing is written any more, but what is on its way. */
  close(): void {
    this.#stop.abort()
    this.#waiting.close()
    for (const lane of this.#lanes.values()) lane.timer?.cancel()
    for (const timer of this.#resting.values()) timer.cancel()
  }

  #lane(priority: number): Lane {
    const lane = this.#lanes.get(priority) ?? {
      priority,
      queue: [],
      running: false,
      atWork: undefined,
      timer: undefined,
    }
    this.#lanes.set(priority, lane)
    return lane
  }

  #runAll(): void {
    if (!this.#started) return
    for (const lane of this.#lanes.values()) void this.#run(lane)
  }

  get #isOver(): boolean {
    return this.#paused || this.#stop.signal.aborted
  }

  async #run(lane: Lane): Promise<void> {
    if (lane.running) return
    lane.running = true
    lane.timer?.cancel()
    lane.timer = undefined
    try {
      for (let entry = this.#next(lane); entry !== undefined; entry = this.#next(lane)) {
        const wait = this.#wait(entry)
        if (wait > 0) {
          lane.timer = this.#parts.clock.after(wait, () => void this.#run(lane))
          return
        }
        const refused = this.#ends.refused(lane.priority)
        if (refused !== undefined) await refused
        else if (this.#slices.full) await this.#slices.pause()
        else if (this.#ends.endings.full) await this.#ends.endings.fewer()
        else if (entry.kind !== 'message') {
          if (this.#asides >= MAX_REQUESTS) return
          leave(lane, entry)
          this.#aside(entry)
        } else {
          lane.atWork = entry
          const ended = await this.#handle(entry)
          lane.atWork = undefined
          if (ended) leave(lane, entry)
          else this.#waiting.add(entry)
        }
      }
    } finally {
      lane.atWork = undefined
      lane.running = false
    }
  }

  /** The next to be handed out: the first, or while one waits for room the first of those that need not wait for it. */
  #next({ priority, queue }: Lane): Arrived | undefined {
    if (this.#isOver) return undefined
    return this.#parked.holds(priority) ? queue.find(({ kind }) => kind !== 'message') : queue[0]
  }

  /** Hands one out that holds nothing up. */
  #aside(entry: Arrived): void {
    this.#asides++
    const done = (ended: boolean): void => {
      this.#asides--
      if (!ended) {
        this.#waiting.add(entry)
        this.#rest(entry)
      }
      // Another class may have waited for room.
      this.#runAll()
    }
    this.#handle(entry).then(done, error => {
      this.#parts.onError(error)
      done(true)
    })
  }

  /** Has one that holds nothing up wait for its next try beside its lane. */
  #rest(entry: Arrived): void {
    // Its handler may end as the agent does: the next run tries it again.
    if (this.#stop.signal.aborted) return
    const timer = this.#parts.clock.after(Math.max(0, this.#wait(entry)), () => {
      this.#resting.delete(entry)
      this.#lane(entry.row.priority).queue.unshift(entry)
      this.#runAll()
    })
    this.#resting.set(entry, timer)
  }

  /** How long until its next try, ms. */
  #wait({ notBefore = 0 }: Arrived): number {
    return notBefore - this.#parts.clock.monotonic()
  }

  /** Hands one out. False: it is to be tried again later; what comes after a message waits. */
  async #handle(entry: Arrived): Promise<boolean> {
    const { reservations, onFailed } = this.#parts
    this.#waiting.delete(entry)
    this.#slices.did(entry.row.message.length)
    const read = new Set<string>()
    const run = async (release?: () => void): Promise<boolean> =>
      !this.#stop.signal.aborted && this.#once(entry, read, release)
    try {
      // What comes before it is written first: it would not see that, and must not have that wait for it.
      return await contend(reservations, run, read, all => this.#ends.written(entry, all ? read : []))
    } catch (error) {
      onFailed(entry, error)
      return this.#failed(entry, error)
    }
  }

  /**
   * Runs its handler once.
   * @param read takes the keys that it read
   * @param release gives these back where they are reserved for it
   * @throws AfpDataStoreError STORE_CONFLICT
   */
  async #once(entry: Arrived, read: Set<string>, release: (() => void) | undefined): Promise<boolean> {
    const { clock, store, take, onFailed } = this.#parts
    // A handler never starts after its message has expired.
    if (entry.message.isExpired(clock.now())) return this.#dead(entry, ['expired'])
    let stale = false
    const transaction = new BufferedTransaction(store, key =>
      this.#ends.unwritten(entry, key)?.then(unwritten => {
        stale ||= unwritten
      }),
    )
    const offers = this.#offers
    let reply: KeptReply | undefined
    try {
      const taken = await take(entry, transaction)
      if (taken === 'waiting' || taken === 'full' || taken === 'unread') {
        transaction.end()
        // It stays for the next run.
        if (this.#stop.signal.aborted) return false
        if (taken === 'unread' || offers !== this.#offers) return this.#once(entry, read, release)
        this.#parked.add(entry, taken === 'full')
        this.#waiting.add(entry)
        return true
      }
      // It took longer than its agent waits: another may have the store by now, and handles it anew.
      if (this.#stop.signal.aborted) return false
      reply = taken
    } catch (error) {
      for (const key of transaction.end().reads) read.add(key)
      entry.redelivered = true
      if (this.#stop.signal.aborted) return false
      if (transaction.conflict !== undefined) throw transaction.conflict
      // It failed at what the message before it has changed since.
      if (stale) throw new AfpDataStoreError('STORE_CONFLICT', 'what was read is not what an earlier message wrote')
      onFailed(entry, error)
      return this.#failed(entry, error)
    }
    entry.redelivered = true
    const { checks, writes, reads, keys } = transaction.end()
    for (const key of reads) read.add(key)
    const ended = this.#ends.add(entry, () => ({ checks, writes, reply }), { keys, release })
    // Without a read nothing can be in its way, and the next one need not wait for the disk.
    return checks.length === 0 || ended
  }

  async #failed(entry: Arrived, error: unknown): Promise<boolean> {
    const { clock, random, strategy, store, onError } = this.#parts
    const { expiresAt } = entry.message
    const step = nextRetry(strategy, entry.row.retry, { now: clock.now(), random, expiresAt })
    entry.row = { ...entry.row, retry: step.state }
    const { code, message } = toFailure(error)
    if ('exhausted' in step) return this.#dead(entry, ['handler-error', code, message])
    this.#hold(entry)
    await store.commit({ writes: [this.#incoming.rowOf(entry)] }).catch(onError)
    return false
  }

  /** Has it wait for its next try; whatever time of day it is by then. */
  #hold(entry: Arrived): void {
    const { clock, strategy } = this.#parts
    if (entry.row.retry.nextAt === 0) return
    const now = clock.now()
    const { nextAt } = resumeRetry(strategy, entry.row.retry, now)
    entry.notBefore = clock.monotonic() + nextAt - now
  }

  /** The time of one is over that waited. */
  #expired(entry: Arrived): void {
    this.#resting.get(entry)?.cancel()
    if (!this.#resting.delete(entry) && !this.#parked.delete(entry)) leave(this.#lane(entry.row.priority), entry)
    void this.#dead(entry, ['expired'])
    this.#runAll()
  }

  /** Resolves when its end is on the disk: what comes behind it in its class must not be there before. */
  async #dead(entry: Arrived, why: InboxOwes): Promise<true> {
    this.#incoming.refuse(entry, why[0])
    await this.#deadEnds.end(entry, why, this.#stop.signal)
    return true
  }
}

/** Takes one out of its lane, if it is there. */
function leave({ queue }: Lane, entry: Arrived): void {
  const at = queue.indexOf(entry)
  if (at >= 0) queue.splice(at, 1)
}
