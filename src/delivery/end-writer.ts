/**
 * Writes the ends of one author's messages, each in one batch with what its handler wrote. Those of one class reach the
 * disk in the order in which their handlers were done, many at a time: each is written only where the one before it is.
 */

import type { Clock } from '../common/clock.ts'
import { isConflict } from '../common/errors.ts'
import type { Store } from '../store/store.ts'
import type { Arrived } from './arrived.ts'
import { Endings } from './endings.ts'
import type { Incoming } from './incoming.ts'
import { isGone, nextTry } from './next-try.ts'
import type { Also } from './outgoing-parts.ts'
import type { Ending, KeptReply } from './processing-state.ts'
import { dropped, isUnsealable, RepliesFull } from './reply-room.ts'
import type { Reservations } from './reservations.ts'

/** What writing them needs. */
export interface EndWriterParts {
  readonly store: Store
  readonly clock: Clock
  /** Of the handlers of all authors. */
  readonly reservations: Reservations
  /** Sends the reply to a request, in one batch with everything else that ends it. @throws as `store.commit` */
  readonly reply: (reply: KeptReply, also: Also) => Promise<void>
  /** Something could not be written; it is tried again. */
  readonly onError: (error: unknown) => void
}

/** How an end is written. */
export interface EndOptions {
  /** What its handler writes. */
  readonly keys?: readonly string[]
  /** Gives back what is reserved for it: nobody else may write these. */
  readonly release?: (() => void) | undefined
}

/** An end that is on its way to the disk. */
interface Underway {
  readonly entry: Arrived
  /** The one before it in its class, until it is over: what is held is no longer than what is under way. */
  before: Underway | undefined
  /** Those that it must not overtake, the one before it among them; as long as they may be in its way. */
  ahead: readonly Underway[]
  readonly release: (() => void) | undefined
  /** Resolves when it was tried to write it, or that has to wait for something else. */
  readonly tried: PromiseWithResolvers<void>
  /** Somebody has its keys to himself. */
  waits: boolean
  /** The disk would not have it, or not yet what comes before it. */
  refused: boolean
  /** Whether it is written; if not, it will be by the next run only. Rejects when its handler is to run again. */
  ended: Promise<boolean>
}

/** See the head of this file. */
export class EndWriter {
  readonly endings = new Endings()
  readonly #parts: EndWriterParts
  readonly #incoming: Incoming
  readonly #closing: AbortSignal
  /** The last one of each class. */
  readonly #last = new Map<number, Underway>()
  /** The last one that writes a key: whoever writes it next must not be overtaken, also where there is no room. */
  readonly #writers = new Map<string, Underway>()

  constructor(parts: EndWriterParts, incoming: Incoming, closing: AbortSignal) {
    this.#parts = parts
    this.#incoming = incoming
    this.#closing = closing
  }

  /**
   * Writes the end of a message until the disk has it; false when only the next run will.
   * @throws AfpDataStoreError STORE_CONFLICT
   */
  add(entry: Arrived, stage: () => Ending, options: EndOptions = {}): Promise<boolean> {
    const { keys = [], release } = options
    const before = this.#before(entry)
    // Who waits for what this one has to itself comes after it.
    const writers = keys.flatMap(key => this.#writers.get(key) ?? []).filter(({ waits }) => !(waits && release))
    const ahead = before === undefined ? writers : [before, ...writers]
    const tried = Promise.withResolvers<void>()
    const ended = Promise.resolve(false)
    const underway: Underway = { entry, before, ahead, release, tried, waits: false, refused: false, ended }
    underway.ended = this.#inTurn(underway, stage, keys)
    for (const key of keys) this.#writers.set(key, underway)
    const { priority } = entry.row
    if (isOrdered(entry)) this.#last.set(priority, underway)
    const done = (): void => {
      for (const key of keys) if (this.#writers.get(key) === underway) this.#writers.delete(key)
      if (this.#last.get(priority) === underway) this.#last.delete(priority)
      underway.before = undefined
      underway.ahead = []
      tried.resolve()
    }
    underway.ended.then(done, done)
    return this.endings.add(underway.ended)
  }

  /**
   * Resolves when the last end of a class has its own; undefined unless the disk would not have it: what comes next would
   * only wait behind it, and take the room that ends of other classes have on their way.
   */
  refused(priority: number): Promise<unknown> | undefined {
    const last = this.#last.get(priority)
    return last?.refused ? Promise.allSettled([last.ended]) : undefined
  }

  /**
   * For a handler of this message that is about to read a key: resolves once it was tried to write what an earlier one
   * wrote there; true when that is one of its class and not written even so.
   */
  unwritten(entry: Arrived, key: string): Promise<boolean> | undefined {
    const writer = this.#writers.get(key)
    if (writer === undefined) return undefined
    const earlier = isOrdered(entry) && isOrdered(writer.entry) && writer.entry.row.priority === entry.row.priority
    return writer.tried.promise.then(() => earlier && this.#writers.get(key) === writer)
  }

  /** Resolves when what came before a message in its class has been written, and what writes one of these keys. */
  async written(entry: Arrived, keys: Iterable<string>): Promise<void> {
    const writers = Array.from(keys, key => this.#writers.get(key))
    await Promise.allSettled([this.#before(entry), ...writers].map(underway => underway?.ended))
  }

  #before(entry: Arrived): Underway | undefined {
    return isOrdered(entry) ? this.#last.get(entry.row.priority) : undefined
  }

  /** Once nobody else has these keys to himself. */
  async #inTurn(underway: Underway, stage: () => Ending, keys: readonly string[]): Promise<boolean> {
    const { reservations } = this.#parts
    const other = (): Promise<void> | undefined => (underway.release ? undefined : reservations.holder(keys))
    for (let over = other(); over !== undefined; over = other()) {
      underway.waits = true
      underway.tried.resolve()
      await over
    }
    underway.waits = false
    return this.#write(underway, stage)
  }

  async #write(underway: Underway, stage: () => Ending): Promise<boolean> {
    const { clock, store, reply, onError } = this.#parts
    const { entry, before, tried, release } = underway
    const closing = this.#closing
    let waited = false
    let failed = false
    let lost: unknown
    for (;;) {
      let ending: Ending | undefined
      let committed = (): void => {}
      const over = (): true => {
        committed()
        this.#incoming.processed(entry)
        return true
      }
      try {
        ending = stage()
        const { writes } = ending
        const checks = [...(ending.checks ?? []), ...underway.ahead.map(({ entry }) => this.#incoming.over(entry))]
        // Later positions may be written while a reply is sealed: what is written here has to know of them.
        const batch: Also = () => {
          const position = this.#incoming.ending(entry)
          committed = position.committed
          return { checks, writes: [...writes, ...position.writes] }
        }
        if ((waited || failed) && ending.reply?.message.isExpired(clock.now())) lost ??= dropped(ending.reply.message)
        if (ending.reply === undefined || lost !== undefined) await store.commit(batch())
        else await reply(ending.reply, batch)
        if (lost !== undefined) onError(lost)
        return over()
      } catch (error) {
        underway.refused = true
        tried.resolve()
        // The one that was said to have failed was written after all: what it wrote is what is in the way of this one.
        if (failed && (await isGone(store, this.#incoming.over(entry)))) return over()
        if (isConflict(error)) {
          if (underway.ahead.length === 0) throw error
          // One of those may be what was in the way, and may itself wait for what this one has reserved.
          release?.()
          await Promise.allSettled(underway.ahead.map(({ ended }) => ended))
          underway.ahead = []
          // After the one before it, in the next run; one whose handler runs again was not before it.
          if (before !== undefined && !(await before.ended.catch(() => true))) return false
          continue
        }
        // The handler has done its work: only its end is tried again. After a restart it runs once more.
        if (closing.aborted) {
          onError(error)
          return false
        }
        // It may take long, and what is read is checked all the same.
        release?.()
        const answer = ending?.reply?.message
        if (answer !== undefined && lost === undefined && isUnsealable(error)) lost = dropped(answer, error)
        else if (answer !== undefined && error instanceof RepliesFull) {
          // Told once: it may last as long as its request.
          if (!waited) onError(error)
          waited = true
          await error.room({ clock, until: answer.expiresAt, signal: closing })
          // The next run handles its request again.
          if (closing.aborted) return false
        } else {
          failed = true
          await nextTry(this.#parts, error, closing)
        }
      }
    }
  }
}

/** What is part of a conversation holds nothing up, and follows nothing. */
const isOrdered = ({ kind }: Arrived): boolean => kind === 'message'
