/**
 * Messages to one recipient that cannot be sealed yet, since its key is not known: they are on the disk as they are,
 * until there is a key, they expire or are called off. Nothing of them has left, so their end needs nobody's word.
 */

import type { Timer } from '../common/clock.ts'
import { Turns } from '../common/turns.ts'
import type { Key } from '../store/store.ts'
import type { Fate, Position } from './ledger.ts'
import { type Draft, noKey, type OutgoingParts, rowOf } from './outgoing-parts.ts'
import { type Recorder, WRITE_PAUSE } from './recorder.ts'
import { outboxKey, putOutbox } from './rows.ts'

/** What keeping them needs. */
export interface UnsealedParts extends Pick<OutgoingParts, 'clock' | 'quota' | 'onError'> {
  readonly recorder: Recorder
}

/** One of them. */
export interface Pending {
  readonly draft: Draft
  /** Its row, once it has one. */
  row: Key | undefined
  /** That is on its way to the disk: whether it is there is known only then. */
  writing: boolean
  /** Whoever sent it hears that it is on the disk, or why it is not. */
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Seals one of them and commits its envelope, in place of its row if it has one. The row `before` has to be gone then:
 * it is that of one before it.
 */
export type Append = (pending: Pending, before: Key | undefined) => Promise<void>

/** How many are sealed in one turn. */
const MOST_AT_ONCE = 1_024

/** See the head of this file. */
export class Unsealed {
  readonly #parts: UnsealedParts
  readonly #recipient: string
  #all: Pending[] = []
  /** How many are on their way into an epoch: what is sent meanwhile comes behind them. */
  #underway = 0
  #sealing = false
  /** Rounds of writing follow one another: none of these is to be written in two ways. */
  readonly #rounds = new Turns()
  #count = 0
  #timer: Timer | undefined
  #wakeAt = Number.POSITIVE_INFINITY
  #closed = false

  constructor(parts: UnsealedParts, recipient: string) {
    this.#parts = parts
    this.#recipient = recipient
  }

  get size(): number {
    return this.#all.length + this.#underway
  }

  /** Whether somebody waits to hear that a message is on the disk. */
  get unkept(): boolean {
    return this.#all.some(({ row }) => row === undefined)
  }

  /** Takes a message; with the row that it has, if it has one. Resolves when it is on the disk, here or sealed. */
  add(draft: Draft, row: Key | undefined): Promise<void> {
    if (row?.[1] === '') this.#count = Math.max(this.#count, row[2] as number)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#all.push({ draft, row, writing: false, resolve, reject })
    if (row !== undefined) this.#arm(draft.expiresAt)
    return promise
  }

  /**
   * Has all of them sealed, in their order. One that has a row, but for whose envelope there is no room, stays what it
   * is, holds up those behind it, and is tried again. Ends when there are no more, or `place` gives no way to.
   */
  async seal(place: () => Append | undefined): Promise<void> {
    if (this.#sealing) return
    this.#sealing = true
    const { clock, onError } = this.#parts
    let most = MOST_AT_ONCE
    while (this.size > 0 && !this.#closed && place() !== undefined) {
      const error = await this.#rounds.take(() => this.#sealSome(place(), most))
      most = error === undefined ? MOST_AT_ONCE : 1
      if (error === undefined || this.#closed) continue
      onError(error)
      await this.keep()
      await new Promise<void>(resolve => clock.after(WRITE_PAUSE, resolve))
    }
    this.#sealing = false
    // Those that failed meanwhile.
    if (this.#closed) this.refuse(noKey(this.#recipient))
  }

  /** Puts those on the disk that are not there yet. */
  async keep(): Promise<void> {
    await this.#rounds.take(() => Promise.all(this.#all.map(pending => this.#keepOne(pending))))
  }

  /** Resolves with why the first one that is tried again could not be written. */
  async #sealSome(append: Append | undefined, most: number): Promise<unknown> {
    if (append === undefined) return undefined
    const some = this.#all.splice(0, most)
    this.#underway = some.length
    const rows = some.map(({ row }) => row)
    const fates = await Promise.allSettled(
      some.map((pending, i) =>
        append(
          pending,
          rows.slice(0, i).findLast(row => row !== undefined),
        ),
      ),
    )
    this.#underway = 0
    const left: Pending[] = []
    let error: unknown
    for (const [i, pending] of some.entries()) {
      const fate = fates[i] as PromiseSettledResult<void>
      if (fate.status === 'fulfilled') pending.resolve()
      else if (pending.row === undefined && left.length === 0) pending.reject(fate.reason)
      else {
        error ??= fate.reason
        left.push(pending)
      }
    }
    this.#all.unshift(...left)
    for (const { draft, row } of left) if (row !== undefined) this.#arm(draft.expiresAt)
    return error
  }

  async #keepOne(pending: Pending): Promise<void> {
    const { clock, recorder } = this.#parts
    const { draft, row, resolve, reject } = pending
    if (row !== undefined) return
    const key = outboxKey(this.#recipient, '', ++this.#count)
    const { checks, writes } = draft.also ?? { writes: [] }
    const put = putOutbox(key, rowOf(draft, clock.now(), draft.payload))
    pending.writing = true
    try {
      await recorder.record([{ ...this.#position(pending), status: 'queued' }], [put, ...writes], checks)
      pending.row = key
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
    for (const pending of this.#all.filter(({ row, writing }) => row === undefined && !writing)) {
      this.#remove(pending)
      pending.reject(error)
    }
  }

  /** Calls a message off; false when it is not here. */
  async cancel(messageId: string): Promise<boolean> {
    const pending = this.#all.find(({ draft, row }) => draft.messageId === messageId && row !== undefined)
    if (pending === undefined) return false
    await this.#end(pending, 'cancelled')
    return true
  }

  /** Stops; what is on the disk stays there. */
  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.refuse(noKey(this.#recipient))
  }

  async #end(pending: Pending, status: 'expired' | 'cancelled'): Promise<void> {
    const { clock, recorder, quota } = this.#parts
    const { draft, row } = pending
    this.#remove(pending)
    const position = this.#position(pending)
    const ended = { row: rowOf(draft, clock.now(), draft.payload), payload: draft.payload }
    const fates: Fate[] = [
      { ...position, status, reason: status, inDoubt: false, attempts: 0, ended },
      { ...position, status: 'skipped' },
    ]
    try {
      await recorder.record(fates, [{ op: 'delete', table: 'outbox', key: row as Key }])
    } catch (error) {
      this.#all.push(pending)
      throw error
    }
    quota.give(draft.payload.length)
    pending.resolve()
  }

  #position({ draft, row }: Pending): Position {
    return { messageId: draft.messageId, recipient: this.#recipient, epoch: '', number: (row?.[2] as number) ?? 0 }
  }

  #remove(pending: Pending): void {
    this.#all = this.#all.filter(other => other !== pending)
  }

  /** Looks for what has expired at `at`, ms since 1970, or sooner. */
  #arm(at: number): void {
    if (this.#closed || at >= this.#wakeAt) return
    const { clock } = this.#parts
    this.#timer?.cancel()
    this.#wakeAt = at
    this.#timer = clock.after(Math.max(0, at - clock.now() + 1), () => this.#expire())
  }

  #expire(): void {
    const { clock, onError } = this.#parts
    this.#wakeAt = Number.POSITIVE_INFINITY
    const now = clock.now()
    for (const pending of this.#all) {
      if (pending.row === undefined) continue
      if (pending.draft.expiresAt >= now) this.#arm(pending.draft.expiresAt)
      else
        this.#end(pending, 'expired').catch(error => {
          onError(error)
          this.#arm(clock.now() + WRITE_PAUSE)
        })
    }
  }
}
