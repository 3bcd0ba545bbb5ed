/**
 * Messages to one recipient that cannot be sealed yet, since its key is not known: they are on the disk as they are,
 * until there is a key, they expire or are called off. Nothing of them has left, so their end needs nobody's word.
 */

import type { Timer } from '../common/clock.ts'
import { AfpDataStoreError, AfpRoutingError } from '../common/errors.ts'
import { Slices } from '../common/slices.ts'
import { Turns } from '../common/turns.ts'
import type { Key } from '../store/store.ts'
import type { Envelopes, Stored } from './envelopes.ts'
import type { Fate, Position } from './ledger.ts'
import type { Waiting } from './loading.ts'
import { nextTry, writePause } from './next-try.ts'
import type { OutEpoch } from './out-epoch.ts'
import { type Draft, type From, headOf, type OutgoingParts } from './outgoing-parts.ts'
import type { Recorder } from './recorder.ts'
import { NO_BYTES, outboxKey, putOutbox } from './rows.ts'
import { byOrder, type End, keyIn, type Pending, WaitingList } from './waiting-list.ts'

/** What keeping them needs. */
export interface UnsealedParts extends Pick<OutgoingParts, 'clock' | 'quota' | 'onError' | 'nextTask'> {
  readonly recorder: Recorder
  readonly envelopes: Pick<Envelopes, 'payloads'>
}

/** How one comes here that was somewhere before. */
export interface Earlier {
  readonly row?: Stored | undefined
  /** What it counts for in the quota. Default: its payload */
  readonly bytes?: number
  /** It was called off before, see {@link Unsealed.callOff}. */
  readonly calledOff?: boolean
}

/** Seals one of them and commits its envelope. */
export type Append = (epoch: OutEpoch, draft: Draft, from: From) => Promise<void>

const unreadable = (id: string): AfpDataStoreError =>
  new AfpDataStoreError('STORE_FAILED', `the row of message ${id} cannot be read any more`, { reference: id })

const closed = (): AfpRoutingError => new AfpRoutingError('CLOSED', 'this agent has closed')

/** How many are sealed, and in memory, before the fate of each of them is known. */
const MOST_AT_ONCE = { items: 1_024, bytes: 2 ** 21 }
const ONE = { items: 1, bytes: 0 }
/** Where the rows are of those that were in no epoch. */
const NO_EPOCH: Stored['epoch'] = { id: '' }

/** See the head of this file. */
export class Unsealed {
  readonly #parts: UnsealedParts
  readonly #recipient: string
  readonly #list = new WaitingList()
  /** How many are on their way into an epoch: what is sent meanwhile comes behind them. */
  #underway = 0
  #sealing = false
  /** Rounds of writing follow one another: none of these is to be written in two ways. */
  readonly #rounds = new Turns()
  #count = 0
  #timer: Timer | undefined
  #wakeAt = Number.POSITIVE_INFINITY
  readonly #closing = new AbortController()

  constructor(parts: UnsealedParts, recipient: string) {
    this.#parts = parts
    this.#recipient = recipient
  }

  /** How many have no end yet. */
  get size(): number {
    return this.waiting + this.#list.ending
  }

  /** How many of them are to be sealed. */
  get waiting(): number {
    return this.#list.size + this.#underway
  }

  /** Whether somebody waits to hear that a message is on the disk. */
  get unkept(): boolean {
    return this.#list.unkept.size > 0
  }

  /** Whether a message is here and on the disk. */
  keeps(messageId: string): boolean {
    return this.#list.ofMessage(messageId)?.row !== undefined
  }

  /**
   * Takes a message, with the row that it has, if it has one. Resolves when it is on the disk, here or sealed.
   * @param order as of {@link Pending.order}
   */
  add(
    draft: Draft,
    order: number,
    { row, bytes = draft.payload.length, calledOff = false }: Earlier = {},
  ): Promise<void> {
    if (row?.epoch === NO_EPOCH) this.#count = Math.max(this.#count, row.number)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const pending = { draft, bytes, order, row, writing: false, ending: undefined, resolve, reject }
    this.#note(pending)
    if (calledOff) void this.callOff(draft.messageId)
    return promise
  }

  /**
   * Takes in what was on the disk. Whoever waited for replies is gone with that run: requests are called off.
   * @param nextOrder see {@link Pending.order}
   */
  load(waiting: readonly Waiting[], nextOrder: () => number): void {
    for (const { number, row: head, bytes } of waiting) {
      const row = { epoch: NO_EPOCH, number, row: head }
      // One whose row is damaged meanwhile is told of where that is read.
      this.add({ ...head, payload: NO_BYTES }, nextOrder(), { row, bytes }).catch(() => {})
    }
    void this.#giveUpAll(
      [...this.#list.all()].filter(({ draft }) => draft.asks),
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
      most = error === undefined ? MOST_AT_ONCE : ONE
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
    const inOrder = (): Pending[] => [...this.#list.unkept].sort(byOrder)
    await this.#rounds.take(() => Promise.all(inOrder().map(pending => this.#keepOne(pending))))
  }

  /**
   * Resolves with why the first one that is tried again could not be written. The batches of a slice share a sync of the
   * disk; while it is made the next one is sealed, as far as the event loop is free.
   */
  async #sealSome(usable: () => OutEpoch | undefined, append: Append, most: typeof ONE): Promise<unknown> {
    const some = this.#list.take(most)
    this.#underway = some.length
    const slices = new Slices(this.#parts.nextTask)
    const appended = new Map<Pending, Promise<void>>()
    const gone = new Set<Pending>()
    let error: unknown
    try {
      const reading = this.#payloads(some)
      const payloads = reading && (await reading)
      let before: From['before']
      for (const pending of some) {
        // The epoch may have come to its end in the meantime.
        const epoch = usable()
        if (epoch === undefined) break
        const { draft, order, bytes, row } = pending
        const payload = row === undefined ? draft.payload : payloads?.get(row)
        if (payload === undefined) {
          gone.add(pending)
          continue
        }
        const replaces = keyIn(this.#recipient, pending)
        const end = append(epoch, { ...draft, payload }, { order, bytes, replaces, before })
        // Its fate is looked at below: until then it is nobody's.
        end.catch(() => {})
        appended.set(pending, end)
        if (replaces !== undefined) before = { row: replaces, gone: end }
        if (slices.did(payload.length)) await slices.pause()
      }
    } catch (reason) {
      // Of these nothing could be read: they are as they were.
      error = reason
    }
    const fates = await Promise.allSettled(some.map(pending => appended.get(pending)))
    this.#underway = 0
    const left: Pending[] = []
    for (const [i, pending] of some.entries()) {
      const fate = fates[i] as PromiseSettledResult<unknown>
      if (gone.has(pending)) this.#giveBack(pending)
      else if (!appended.has(pending)) left.push(pending)
      else if (fate.status === 'fulfilled') pending.resolve()
      else if (pending.row === undefined && left.length === 0) pending.reject(fate.reason)
      else {
        error ??= fate.reason
        left.push(pending)
      }
    }
    this.#putBack(left)
    return error
  }

  /** What was sent, of those whose bytes are in their rows; undefined where there are none. @throws AfpDataStoreError */
  #payloads(some: readonly Pending[]): Promise<ReadonlyMap<Stored, Uint8Array>> | undefined {
    const rows = some.flatMap(({ row }) => row ?? [])
    return rows.length > 0 ? this.#parts.envelopes.payloads(rows) : undefined
  }

  /** Its row is damaged, or gone: the next run says so as well. */
  #giveBack({ draft, bytes, reject }: Pending): void {
    this.#parts.quota.give(bytes, draft.awaited)
    reject(unreadable(draft.messageId))
  }

  /** Where they were. */
  #putBack(some: readonly Pending[]): void {
    for (const pending of some) this.#note(pending)
    if (some.length > 0 && this.#closing.signal.aborted) this.refuse(closed())
  }

  #note(pending: Pending): void {
    this.#list.add(pending)
    if (pending.row !== undefined) this.#arm(pending.draft.expiresAt)
  }

  async #keepOne(pending: Pending): Promise<void> {
    const { clock, recorder } = this.#parts
    const { draft, resolve, reject } = pending
    const number = ++this.#count
    const put = putOutbox(outboxKey(this.#recipient, '', number), {
      ...headOf(draft, clock.now()),
      frame: draft.payload,
    })
    pending.writing = true
    try {
      // That may throw: it is this one's failure then, and nobody else's.
      const { checks, writes } = draft.also?.() ?? { writes: [] }
      await recorder.record([{ ...this.#position(pending), status: 'queued' }], [put, ...writes], checks)
      // With several recipients each has it sealed by itself from here on, as after a restart.
      pending.draft = { ...draft, payload: NO_BYTES, shared: undefined, also: undefined }
      pending.row = { epoch: NO_EPOCH, number, row: pending.draft }
      this.#list.kept(pending)
      resolve()
      this.#arm(draft.expiresAt)
    } catch (error) {
      this.#list.remove(pending)
      reject(error)
    } finally {
      pending.writing = false
    }
  }

  /** Gives those up that are not on the disk, nor on their way there. */
  refuse(error: unknown): void {
    for (const pending of [...this.#list.unkept].filter(({ writing }) => !writing)) {
      this.#list.remove(pending)
      pending.reject(error)
    }
  }

  /** Calls a message off; false when it is not here. */
  cancel(messageId: string): Promise<boolean> {
    // What is being sealed is nowhere until then.
    return this.#rounds.take(async () => {
      const pending = this.#list.ofMessage(messageId)
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
      const pending = this.#list.ofMessage(messageId)
      if (pending?.row === undefined) return undefined
      this.#list.hold(pending, 'cancelled')
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
    for (const pending of all) this.#list.hold(pending, ending)
    const slices = new Slices(this.#parts.nextTask)
    const some: Pending[] = []
    for (const [i, pending] of all.entries()) {
      some.push(pending)
      if (!slices.did(pending.bytes) && i < all.length - 1) continue
      const slice = some.splice(0)
      await this.#rounds.take(() => Promise.all(slice.map(pending => this.#giveUpHeld(pending))))
      if (this.#closing.signal.aborted) return
      await slices.pause()
    }
  }

  /** Whoever calls off what has expired may have been quicker. */
  async #giveUpHeld(pending: Pending): Promise<void> {
    if (!this.#closing.signal.aborted && this.#list.isEnding(pending))
      await this.#giveUp(pending, pending.ending as End)
  }

  async #tryAgain(pending: Pending, error: unknown): Promise<void> {
    await nextTry(this.#parts, error, this.#closing.signal)
    await this.#rounds.take(() => this.#giveUpHeld(pending))
  }

  async #end(pending: Pending, status: End): Promise<void> {
    const { recorder, quota } = this.#parts
    const { draft, bytes } = pending
    const ended = await this.#endedOf(pending, status)
    this.#list.remove(pending)
    const position = this.#position(pending)
    const fates: Fate[] = [
      { ...position, status, reason: status, inDoubt: false, attempts: 0, ended },
      { ...position, status: 'skipped' },
    ]
    try {
      await recorder.record(fates, [{ op: 'delete', table: 'outbox', key: keyIn(this.#recipient, pending) as Key }])
    } catch (error) {
      if (pending.ending === undefined) this.#putBack([pending])
      else this.#list.hold(pending, pending.ending)
      throw error
    }
    quota.give(bytes, draft.awaited)
    pending.resolve()
  }

  /** What its dead letter keeps: there is none of what was called off, nor where nobody waits for it any more. */
  async #endedOf({ draft, row }: Pending, status: End): Promise<Fate['ended']> {
    if (status === 'cancelled' || draft.awaited || row === undefined) return undefined
    const payload = (await this.#parts.envelopes.payloads([row])).get(row)
    return payload && { row: headOf(draft, this.#parts.clock.now()), payload }
  }

  #position({ draft, row }: Pending): Position {
    return { messageId: draft.messageId, recipient: this.#recipient, epoch: '', number: row?.number ?? 0 }
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
    for (const pending of this.#list.all()) {
      if (pending.row === undefined) continue
      if (pending.draft.expiresAt >= now) this.#arm(pending.draft.expiresAt)
      else over.push(pending)
    }
    return this.#giveUpAll(over, 'expired')
  }
}
