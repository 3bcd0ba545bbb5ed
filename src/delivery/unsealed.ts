/**
 * Messages to one recipient that cannot be sealed yet, since its key is not known: they are on the disk as they are,
 * until there is a key, they expire or are called off. Nothing of them has left, so their end needs nobody's word.
 */

import type { Timer } from '../common/clock.ts'
import { AfpRoutingError } from '../common/errors.ts'
import { Slices } from '../common/slices.ts'
import { Turns } from '../common/turns.ts'
import type { Key } from '../store/store.ts'
import type { Fate, Position } from './ledger.ts'
import { nextTry, writePause } from './next-try.ts'
import type { OutEpoch } from './out-epoch.ts'
import { type Draft, headOf, type OutgoingParts } from './outgoing-parts.ts'
import type { Recorder } from './recorder.ts'
import { outboxKey, putOutbox } from './rows.ts'

/** What keeping them needs. */
export interface UnsealedParts extends Pick<OutgoingParts, 'clock' | 'quota' | 'onError' | 'nextTask'> {
  readonly recorder: Recorder
}

/** What they come to without leaving. */
type End = 'expired' | 'cancelled'

/** One of them. */
export interface Pending {
  readonly draft: Draft
  /** Grows with each: the one that came first goes first, also after something of it failed. */
  readonly order: number
  /** Its row, once it has one. */
  row: Key | undefined
  /** That is on its way to the disk: whether it is there is known only then. */
  writing: boolean
  /** It was given up: that is tried until it is on the disk, and nothing of it is sealed meanwhile. */
  ending: End | undefined
  /** Whoever sent it hears that it is on the disk, or why it is not. */
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** The row that an envelope takes the place of, if there is one, and that of the one before it: it has to be gone then. */
export interface Replaced {
  readonly replaces: Key | undefined
  readonly before?: { readonly row: Key; readonly gone: Promise<void> } | undefined
}

/** Seals one of them and commits its envelope. */
export type Append = (epoch: OutEpoch, draft: Draft, rows: Replaced) => Promise<void>

const closed = (): AfpRoutingError => new AfpRoutingError('CLOSED', 'this agent has closed')

/** How many are sealed before the fate of each of them is known. */
const MOST_AT_ONCE = 1_024

/** See the head of this file. */
export class Unsealed {
  readonly #parts: UnsealedParts
  readonly #recipient: string
  /** In their order, but for those that were given up. */
  #all = new Set<Pending>()
  /** Those. */
  readonly #ending = new Set<Pending>()
  /** By message: whoever calls one off knows nothing else of it. */
  readonly #byMessage = new Map<string, Pending>()
  /** Those of them that have no row. */
  readonly #unkept = new Set<Pending>()
  /** How many are on their way into an epoch: what is sent meanwhile comes behind them. */
  #underway = 0
  #sealing = false
  /** Rounds of writing follow one another: none of these is to be written in two ways. */
  readonly #rounds = new Turns()
  #count = 0
  #order = 0
  #timer: Timer | undefined
  #wakeAt = Number.POSITIVE_INFINITY
  readonly #closing = new AbortController()

  constructor(parts: UnsealedParts, recipient: string) {
    this.#parts = parts
    this.#recipient = recipient
  }

  /** How many have no end yet. */
  get size(): number {
    return this.waiting + this.#ending.size
  }

  /** How many of them are to be sealed. */
  get waiting(): number {
    return this.#all.size + this.#underway
  }

  /** Whether somebody waits to hear that a message is on the disk. */
  get unkept(): boolean {
    return this.#unkept.size > 0
  }

  /** Whether a message is here and on the disk. */
  keeps(messageId: string): boolean {
    return this.#byMessage.get(messageId)?.row !== undefined
  }

  /**
   * Takes a message; with the row that it has, if it has one. Resolves when it is on the disk, here or sealed.
   * @param calledOff see {@link callOff}; from the start
   */
  add(draft: Draft, row: Key | undefined, calledOff = false): Promise<void> {
    if (row?.[1] === '') this.#count = Math.max(this.#count, row[2] as number)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const pending = { draft, order: ++this.#order, row, writing: false, ending: undefined, resolve, reject }
    this.#all.add(pending)
    this.#note(pending)
    if (calledOff) void this.callOff(draft.messageId)
    return promise
  }

  /** Takes in what was on the disk. Whoever waited for replies is gone with that run: requests are called off. */
  load(waiting: readonly { readonly key: Key; readonly draft: Draft }[]): void {
    const { onError } = this.#parts
    for (const { key, draft } of waiting) this.add(draft, key).catch(onError)
    void this.#giveUpAll(
      [...this.#all].filter(({ draft }) => draft.asks),
      'cancelled',
    )
  }

  /**
   * Has all of them sealed, in their order. One that has a row, but for whose envelope there is no room, stays what it
   * is, holds up those behind it, and is tried again. Ends when there are no more, or there is no epoch to put them into.
   */
  async seal(usable: () => OutEpoch | undefined, append: Append): Promise<void> {
    if (this.#sealing) return
    this.#sealing = true
    const { clock, onError } = this.#parts
    let most = MOST_AT_ONCE
    while (this.waiting > 0 && !this.#closing.signal.aborted && usable() !== undefined) {
      const error = await this.#rounds.take(() => this.#sealSome(usable, append, most))
      most = error === undefined ? MOST_AT_ONCE : 1
      if (error === undefined || this.#closing.signal.aborted) continue
      onError(error)
      await this.keep()
      await writePause(clock, this.#closing.signal)
    }
    this.#sealing = false
    // Those that failed meanwhile.
    if (this.#closing.signal.aborted) this.refuse(closed())
  }

  /** Puts those on the disk that are not there yet. */
  async keep(): Promise<void> {
    // Those that could not be sealed came back behind what was sent meanwhile.
    const inOrder = (): Pending[] => [...this.#unkept].sort((a, b) => a.order - b.order)
    await this.#rounds.take(() => Promise.all(inOrder().map(pending => this.#keepOne(pending))))
  }

  /**
   * Resolves with why the first one that is tried again could not be written. The batches of a slice share a sync of the
   * disk; while it is made the next one is sealed, as far as the event loop is free.
   */
  async #sealSome(usable: () => OutEpoch | undefined, append: Append, most: number): Promise<unknown> {
    const some = this.#take(most)
    this.#underway = some.length
    const slices = new Slices(this.#parts.nextTask)
    const appended: Promise<void>[] = []
    let before: Replaced['before']
    for (const pending of some) {
      // The epoch may have come to its end in the meantime.
      const epoch = usable()
      if (epoch === undefined) break
      const end = append(epoch, pending.draft, { replaces: pending.row, before })
      // Its fate is looked at below: until then it is nobody's.
      end.catch(() => {})
      appended.push(end)
      if (pending.row !== undefined) before = { row: pending.row, gone: end }
      if (slices.did(pending.draft.payload.length)) await slices.pause()
    }
    const fates = await Promise.allSettled(appended)
    this.#underway = 0
    const left: Pending[] = []
    let error: unknown
    for (const [i, pending] of some.entries()) {
      const fate = fates[i]
      if (fate?.status === 'fulfilled') pending.resolve()
      else if (fate !== undefined && pending.row === undefined && left.length === 0) pending.reject(fate.reason)
      else {
        error ??= fate?.reason
        left.push(pending)
      }
    }
    this.#putBack(left)
    return error
  }

  /** Takes the first ones out. */
  #take(most: number): Pending[] {
    const some: Pending[] = []
    for (const pending of this.#all) {
      if (some.length === most) break
      some.push(pending)
    }
    for (const pending of some) this.#remove(pending)
    return some
  }

  /** Where they were. */
  #putBack(some: readonly Pending[]): void {
    if (some.length === 0) return
    this.#all = new Set([...some, ...this.#all].sort((a, b) => a.order - b.order))
    for (const pending of some) this.#note(pending)
    if (this.#closing.signal.aborted) this.refuse(closed())
  }

  #note(pending: Pending): void {
    this.#byMessage.set(pending.draft.messageId, pending)
    if (pending.row === undefined) this.#unkept.add(pending)
    else this.#arm(pending.draft.expiresAt)
  }

  async #keepOne(pending: Pending): Promise<void> {
    const { clock, recorder } = this.#parts
    const { draft, resolve, reject } = pending
    const key = outboxKey(this.#recipient, '', ++this.#count)
    const put = putOutbox(key, { ...headOf(draft, clock.now()), frame: draft.payload })
    pending.writing = true
    try {
      // That may throw: it is this one's failure then, and nobody else's.
      const { checks, writes } = draft.also?.() ?? { writes: [] }
      await recorder.record([{ ...this.#position(pending), status: 'queued' }], [put, ...writes], checks)
      pending.row = key
      this.#unkept.delete(pending)
      resolve()
      this.#arm(draft.expiresAt)
    } catch (error) {
      this.#remove(pending)
      reject(error)
    } finally {
      pending.writing = false
    }
  }

  /** Gives those up that are not on the disk, nor on their way there. */
  refuse(error: unknown): void {
    for (const pending of [...this.#unkept].filter(({ writing }) => !writing)) {
      this.#remove(pending)
      pending.reject(error)
    }
  }

  /** Calls a message off; false when it is not here. */
  cancel(messageId: string): Promise<boolean> {
    // What is being sealed is nowhere until then.
    return this.#rounds.take(async () => {
      const pending = this.#byMessage.get(messageId)
      if (pending?.row === undefined) return false
      await this.#end(pending, 'cancelled')
      return true
    })
  }

  /**
   * Calls a message off for good: it is not sealed any more, and that is tried until it is on the disk. Resolves once it
   * was tried; false when it is not here.
   */
  callOff(messageId: string): Promise<boolean> {
    const hold = (): Pending | undefined => {
      const pending = this.#byMessage.get(messageId)
      if (pending?.row === undefined) return undefined
      this.#hold(pending, 'cancelled')
      return pending
    }
    // At once: its time may end before its turn comes. What is being sealed is nowhere until then.
    hold()
    return this.#rounds.take(async () => {
      const pending = hold()
      if (pending !== undefined) await this.#giveUp(pending, 'cancelled')
      return pending !== undefined
    })
  }

  /** Stops; what is on the disk stays there. */
  close(): void {
    this.#closing.abort()
    this.#timer?.cancel()
    this.refuse(closed())
  }

  #hold(pending: Pending, ending: End): void {
    pending.ending = ending
    this.#all.delete(pending)
    this.#ending.add(pending)
    this.#byMessage.set(pending.draft.messageId, pending)
  }

  /** Resolves once it was tried. */
  async #giveUp(pending: Pending, status: End): Promise<void> {
    pending.ending = status
    try {
      await this.#end(pending, status)
    } catch (error) {
      void this.#tryAgain(pending, error)
    }
  }

  /** At once, so that none of them is sealed; a slice of them is written in one round, and others have theirs between. */
  async #giveUpAll(all: readonly Pending[], ending: End): Promise<void> {
    for (const pending of all) this.#hold(pending, ending)
    const slices = new Slices(this.#parts.nextTask)
    const some: Pending[] = []
    for (const [i, pending] of all.entries()) {
      some.push(pending)
      if (!slices.did(pending.draft.payload.length) && i < all.length - 1) continue
      const slice = some.splice(0)
      await this.#rounds.take(() => Promise.all(slice.map(pending => this.#giveUpHeld(pending))))
      if (this.#closing.signal.aborted) return
      await slices.pause()
    }
  }

  /** Whoever calls off what has expired may have been quicker. */
  async #giveUpHeld(pending: Pending): Promise<void> {
    if (!this.#closing.signal.aborted && this.#ending.has(pending)) await this.#giveUp(pending, pending.ending as End)
  }

  async #tryAgain(pending: Pending, error: unknown): Promise<void> {
    await nextTry(this.#parts, error, this.#closing.signal)
    await this.#rounds.take(() => this.#giveUpHeld(pending))
  }

  async #end(pending: Pending, status: End): Promise<void> {
    const { clock, recorder, quota } = this.#parts
    const { draft, row } = pending
    this.#remove(pending)
    const position = this.#position(pending)
    const ended = { row: headOf(draft, clock.now()), payload: draft.payload }
    const fates: Fate[] = [
      { ...position, status, reason: status, inDoubt: false, attempts: 0, ended },
      { ...position, status: 'skipped' },
    ]
    try {
      await recorder.record(fates, [{ op: 'delete', table: 'outbox', key: row as Key }])
    } catch (error) {
      if (pending.ending === undefined) this.#putBack([pending])
      else this.#hold(pending, pending.ending)
      throw error
    }
    quota.give(draft.payload.length, draft.awaited)
    pending.resolve()
  }

  #position({ draft, row }: Pending): Position {
    return { messageId: draft.messageId, recipient: this.#recipient, epoch: '', number: (row?.[2] as number) ?? 0 }
  }

  #remove(pending: Pending): void {
    this.#all.delete(pending)
    this.#ending.delete(pending)
    this.#byMessage.delete(pending.draft.messageId)
    this.#unkept.delete(pending)
  }

  /** Looks for what has expired at `at`, ms since 1970, or sooner. */
  #arm(at: number): void {
    if (this.#closing.signal.aborted || at >= this.#wakeAt) return
    const { clock } = this.#parts
    this.#timer?.cancel()
    this.#wakeAt = at
    this.#timer = clock.after(Math.max(0, at - clock.now() + 1), () => void this.#expire())
  }

  #expire(): Promise<void> {
    this.#wakeAt = Number.POSITIVE_INFINITY
    const now = this.#parts.clock.now()
    const over: Pending[] = []
    // One that is being sealed meanwhile expires as what it is then.
    for (const pending of this.#all) {
      if (pending.row === undefined) continue
      if (pending.draft.expiresAt >= now) this.#arm(pending.draft.expiresAt)
      else over.push(pending)
    }
    return this.#giveUpAll(over, 'expired')
  }
}
