/**
 * Hands one author's messages to their handlers: in order within each class, again when a handler fails, and the end of
 * each in one batch with what its handler wrote.
 *
 * A message waits until the one before it has been handled. Only what is part of a conversation holds nothing up:
 * a request's handler may ask its author back, and wait for replies that come behind the request.
 */

import type { Clock, Timer } from '../common/clock.ts'
import { isConflict } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import { type NextTask, Slices } from '../common/slices.ts'
import type { Message } from '../message/message.ts'
import type { Store } from '../store/store.ts'
import type { Arrived } from './arrived.ts'
import { Endings } from './endings.ts'
import type { Incoming } from './incoming.ts'
import type { Staged } from './ledger.ts'
import { LettersFull } from './letter-room.ts'
import { isGone, nextTry } from './next-try.ts'
import type { Also } from './outgoing-parts.ts'
import type { Ending, KeptReply, Lane, Underway } from './processing-state.ts'
import { noRoom, RepliesFull } from './reply-room.ts'
import type { Reservations } from './reservations.ts'
import { nextRetry, type RetryStrategy, resumeRetry } from './retry.ts'
import { BufferedTransaction } from './transaction.ts'

/** How often a handler runs anew because somebody else wrote what it had read, before it has that to itself. */
const FREE_CONFLICTS = 3
/** How often in all, before that counts as its failure: by then it is slow beyond patience, or in its own way. */
const MAX_CONFLICTS = 16
/** Requests of one author that may be handled at once. */
const MAX_REQUESTS = 256
/** How many of those that nobody wanted end at one look. */
const MAX_EXPIRING = 256

/** How often those that nobody wanted are looked through for what has expired, at most, ms. */
const LOOK_PAUSE = 1_000

/** What handling needs. */
export interface ProcessingParts {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  /** Of the handlers of all authors. */
  readonly reservations: Reservations
  /** When a handler that failed runs again. */
  readonly strategy: RetryStrategy
  /** Hands a message to whoever wants it; `waiting` when nobody does yet. */
  readonly take: (
    arrived: Arrived,
    transaction: BufferedTransaction,
  ) => Promise<KeptReply | 'waiting' | undefined> | 'waiting'
  /** Sends the reply to a request, in one batch with everything else that ends it. @throws as `store.commit` */
  readonly reply: (reply: KeptReply, also: Also) => Promise<void>
  /** A dead letter, for the batch in which the message ends. @throws AfpDeliveryError QUEUE_FULL */
  readonly onDead: (arrived: Arrived, reason: 'handler-error' | 'expired', error: unknown) => Staged
  /** A handler threw. */
  readonly onFailed: (arrived: Arrived, error: unknown) => void
  /** Something could not be written; it is tried again. */
  readonly onError: (error: unknown) => void
  /** How long work lets others have their turn. Default: the platform's. */
  readonly nextTask?: NextTask | undefined
}

/** See the head of this file. */
export class Processing {
  readonly #parts: ProcessingParts
  readonly #incoming: Incoming
  readonly #lanes = new Map<number, Lane>()
  /** Those that nobody wanted, in their order. */
  #parked: Arrived[] = []
  /** Fires when the first of them expires. */
  #parkedTimer: Timer | undefined
  #parkedUntil = Number.POSITIVE_INFINITY
  readonly #endings = new Endings()
  /** Of those the last that writes a key: whoever writes it next must not be overtaken, also where there is no room. */
  readonly #writers = new Map<string, Underway>()
  /** Those at work that hold nothing up. */
  #asides = 0
  readonly #stop = new AbortController()
  /** Neither a store in memory nor a handler that has nothing to wait for lets anybody else have a turn. */
  readonly #slices: Slices
  #started = false
  /** Ends one whose time was over before its turn came. */
  readonly expire = (entry: Arrived): void => void this.#dead(entry, 'expired', undefined)

  constructor(parts: ProcessingParts, incoming: Incoming) {
    this.#parts = parts
    this.#incoming = incoming
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
      // Somebody in this run waits for it, or nobody.
      if (this.#started && (entry.kind === 'reply' || entry.kind === 'failure')) this.#aside(entry)
      else this.#lane(entry.row.priority).queue.push(entry)
    }
    this.#runAll()
  }

  /** There is a new handler, subscription or reader: whom nobody wanted is offered again, before what came later. */
  offerAgain(): void {
    const again = this.#parked
    this.#parked = []
    for (const [priority, entries] of Map.groupBy(again, ({ row }) => row.priority)) {
      const { queue, atWork } = this.#lane(priority)
      // The one whose handler is at work stays where it is.
      queue.splice(atWork === undefined ? 0 : 1, 0, ...entries)
    }
    this.#runAll()
  }

  /** The oldest that nobody wanted, for somebody who reads: it has its end with that. */
  shift(): Message | undefined {
    for (let entry = this.#parked.shift(); entry !== undefined; entry = this.#parked.shift()) {
      if (entry.message.isExpired(this.#parts.clock.now())) this.#dead(entry, 'expired', undefined)
      else {
        void this.#end(entry, () => ({ writes: [] }))
        return entry.message
      }
    }
    return undefined
  }

  /** Resolves when no end of a message is on its way to the disk. */
  settled(): Promise<void> {
    return this.#endings.settled()
  }

  /** Nothing more is handed out; what handlers at work end with is still written. */
  close(): void {
    this.#stop.abort()
    this.#parkedTimer?.cancel()
    for (const lane of this.#lanes.values()) lane.timer?.cancel()
  }

  #lane(priority: number): Lane {
    const lane = this.#lanes.get(priority) ?? { queue: [], running: false, atWork: undefined, timer: undefined }
    this.#lanes.set(priority, lane)
    return lane
  }

  #runAll(): void {
    if (!this.#started) return
    for (const lane of this.#lanes.values()) void this.#run(lane)
  }

  async #run(lane: Lane): Promise<void> {
    if (lane.running) return
    lane.running = true
    lane.timer?.cancel()
    lane.timer = undefined
    try {
      while (lane.queue.length > 0 && !this.#stop.signal.aborted) {
        const entry = lane.queue[0] as Arrived
        const wait = (entry.notBefore ?? 0) - this.#parts.clock.monotonic()
        if (wait > 0) {
          lane.timer = this.#parts.clock.after(wait, () => void this.#run(lane))
          return
        }
        if (this.#slices.full) await this.#slices.pause()
        else if (this.#endings.full) await this.#endings.fewer()
        else if (entry.kind !== 'message') {
          if (this.#asides >= MAX_REQUESTS) return
          lane.queue.shift()
          this.#aside(entry)
        } else {
          lane.atWork = entry
          const ended = await this.#handle(entry)
          lane.atWork = undefined
          if (ended) lane.queue.splice(lane.queue.indexOf(entry), 1)
        }
      }
    } finally {
      lane.atWork = undefined
      lane.running = false
    }
  }

  /** Hands one out that holds nothing up. */
  #aside(entry: Arrived): void {
    this.#asides++
    const done = (ended: boolean): void => {
      this.#asides--
      const lane = this.#lane(entry.row.priority)
      if (!ended) lane.queue.unshift(entry)
      // Another class may have waited for room.
      this.#runAll()
    }
    this.#handle(entry).then(done, error => {
      this.#parts.onError(error)
      done(true)
    })
  }

  /** Hands one out. False: it is to be tried again later, and what comes after it waits. */
  async #handle(entry: Arrived): Promise<boolean> {
    const { reservations, onFailed } = this.#parts
    this.#slices.did(entry.row.message.length)
    const read = new Set<string>()
    for (let conflicts = 0; ; conflicts++) {
      let release: (() => void) | undefined
      if (conflicts > FREE_CONFLICTS) {
        // What comes before it must not wait for it.
        await Promise.allSettled([...read].map(key => this.#writers.get(key)?.ended))
        release = await reservations.take(read)
      }
      try {
        if (this.#stop.signal.aborted) return false
        return await this.#once(entry, read, release)
      } catch (error) {
        if (conflicts < MAX_CONFLICTS) continue
        onFailed(entry, error)
        return this.#failed(entry, error)
      } finally {
        release?.()
      }
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
    if (entry.message.isExpired(clock.now())) return this.#dead(entry, 'expired', undefined)
    const transaction = new BufferedTransaction(store)
    let reply: KeptReply | undefined
    try {
      const taken = await take(entry, transaction)
      if (taken !== 'waiting') reply = taken
      else {
        transaction.end()
        this.#parked.push(entry)
        this.#watch(entry)
        return true
      }
    } catch (error) {
      for (const key of transaction.end().reads) read.add(key)
      entry.redelivered = true
      if (transaction.conflict !== undefined) throw transaction.conflict
      onFailed(entry, error)
      return this.#failed(entry, error)
    }
    entry.redelivered = true
    const { checks, writes, reads, keys } = transaction.end()
    for (const key of reads) read.add(key)
    const ended = this.#end(entry, () => ({ checks, writes, reply }), keys, release)
    // Without a read nothing can be in its way, and the next one need not wait for the disk.
    if (checks.length > 0) await ended
    return true
  }

  /** One that nobody wants has its end when it expires, and not when somebody comes: it takes up its author's room. */
  #watch({ message: { expiresAt } }: Arrived): void {
    if (expiresAt >= this.#parkedUntil || this.#stop.signal.aborted) return
    const { clock } = this.#parts
    this.#parkedUntil = expiresAt
    this.#parkedTimer?.cancel()
    this.#parkedTimer = clock.after(Math.max(LOOK_PAUSE, expiresAt - clock.now() + 1), () => this.#expireParked())
  }

  #expireParked(): void {
    this.#parkedUntil = Number.POSITIVE_INFINITY
    const now = this.#parts.clock.now()
    const over: Arrived[] = []
    this.#parked = this.#parked.filter(entry => {
      // What is beyond that waits for the next look.
      const ends = over.length < MAX_EXPIRING && entry.message.isExpired(now)
      if (ends) over.push(entry)
      return !ends
    })
    for (const entry of over) this.#dead(entry, 'expired', undefined)
    for (const entry of this.#parked) this.#watch(entry)
  }

  async #failed(entry: Arrived, error: unknown): Promise<boolean> {
    const { clock, random, strategy, store, onError } = this.#parts
    const { expiresAt } = entry.message
    const step = nextRetry(strategy, entry.row.retry, { now: clock.now(), random, expiresAt })
    entry.row = { ...entry.row, retry: step.state }
    if ('exhausted' in step) return this.#dead(entry, 'handler-error', error)
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

  #dead(entry: Arrived, reason: 'handler-error' | 'expired', error: unknown): true {
    this.#incoming.refuse(entry, reason)
    void this.#end(entry, () => this.#parts.onDead(entry, reason, error))
    return true
  }

  /**
   * Writes the end of a message until the disk has it.
   * @param keys what its handler writes
   * @param release gives back what is reserved for it: nobody else may write these
   * @throws AfpDataStoreError STORE_CONFLICT
   */
  #end(entry: Arrived, stage: () => Ending, keys: readonly string[] = [], release?: () => void): Promise<void> {
    return this.#endings.add(this.#inTurn(entry, stage, keys, release))
  }

  /** Once nobody else has these keys to itself; only then it counts as their writer, for whom the next one waits. */
  async #inTurn(entry: Arrived, stage: () => Ending, keys: readonly string[], release?: () => void): Promise<void> {
    const { reservations } = this.#parts
    const other = (): Promise<void> | undefined => (release ? undefined : reservations.holder(keys))
    for (let over = other(); over !== undefined; over = other()) await over
    const ahead = keys.flatMap(key => this.#writers.get(key) ?? [])
    const ended = this.#write(entry, stage, ahead, release)
    for (const key of keys) this.#writers.set(key, { entry, ended })
    const done = (): void => {
      for (const key of keys) if (this.#writers.get(key)?.ended === ended) this.#writers.delete(key)
    }
    ended.then(done, done)
    return ended
  }

  async #write(entry: Arrived, stage: () => Ending, ahead: readonly Underway[], release?: () => void): Promise<void> {
    const { clock, store, reply, onError } = this.#parts
    const { signal } = this.#stop
    let waited = false
    let failed = false
    for (;;) {
      let ending: Ending | undefined
      let committed = (): void => {}
      const over = (): void => {
        ending?.committed?.()
        committed()
        this.#incoming.processed(entry)
      }
      try {
        ending = stage()
        const { writes } = ending
        const checks = [...(ending.checks ?? []), ...ahead.map(({ entry }) => this.#incoming.over(entry))]
        // Later positions may be written while a reply is sealed: what is written here has to know of them.
        const batch: Also = () => {
          const position = this.#incoming.ending(entry)
          committed = position.committed
          return { checks, writes: [...writes, ...position.writes] }
        }
        const unread = waited && ending.reply?.message.isExpired(clock.now()) ? ending.reply.message : undefined
        if (ending.reply === undefined || unread !== undefined) await store.commit(batch())
        else await reply(ending.reply, batch)
        if (unread !== undefined) onError(noRoom(unread))
        return over()
      } catch (error) {
        // The one that was said to have failed was written after all: what it wrote is what is in the way of this one.
        if (failed && (await isGone(store, this.#incoming.over(entry)))) return over()
        ending?.abandoned?.()
        if (isConflict(error)) {
          if (ahead.length === 0) throw error
          // One of those may be what was in the way.
          await Promise.allSettled(ahead.map(({ ended }) => ended))
          ahead = []
          continue
        }
        // The handler has done its work: only its end is tried again. After a restart it runs once more.
        if (signal.aborted) return onError(error)
        // It may take long, and what is read is checked all the same.
        release?.()
        if (error instanceof RepliesFull && ending?.reply !== undefined) {
          // Told once: it may last as long as its request.
          if (!waited) onError(error)
          waited = true
          await error.room({ clock, until: ending.reply.message.expiresAt, signal })
          // The next run handles its request again.
          if (signal.aborted) return
          continue
        }
        failed = true
        const waiting = nextTry(this.#parts, error, signal)
        await (error instanceof LettersFull ? this.#endings.aside(waiting) : waiting)
      }
    }
  }
}
