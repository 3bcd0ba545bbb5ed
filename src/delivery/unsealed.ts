/**
 * Messages to one recipient that cannot be sealed yet, since its key is not known: they are on the disk as they are,
 * until there is a key, they expire or are called off. Nothing of them has left, so their end needs nobody's word.
 */

import type { Timer } from '../common/clock.ts'
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
  /** Whoever sent it hears that it is on the disk, or why it is not. */
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** See the head of this file. */
export class Unsealed {
  readonly #parts: UnsealedParts
  readonly #recipient: string
  #all: Pending[] = []
  #count = 0
  #timer: Timer | undefined
  #closed = false

  constructor(parts: UnsealedParts, recipient: string) {
    this.#parts = parts
    this.#recipient = recipient
  }

  get size(): number {
    return this.#all.length
  }

  /** Takes a message; with the row that it has, if it has one. Resolves when it is on the disk, here or sealed. */
  add(draft: Draft, row: Key | undefined): Promise<void> {
    if (row?.[1] === '') this.#count = Math.max(this.#count, row[2] as number)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#all.push({ draft, row, resolve, reject })
    this.#arm()
    return promise
  }

  /** Hands all of them over, in their order, to be sealed. */
  takeAll(): Pending[] {
    const all = this.#all
    this.#all = []
    this.#arm()
    return all
  }

  /** Puts those on the disk that are not there yet. */
  async keep(): Promise<void> {
    const { clock, recorder } = this.#parts
    await Promise.all(
      this.#all.map(async pending => {
        const { draft, row, resolve, reject } = pending
        if (row !== undefined) return
        const key = outboxKey(this.#recipient, '', ++this.#count)
        const { checks, writes } = draft.also ?? { writes: [] }
        const put = putOutbox(key, rowOf(draft, clock.now(), draft.payload))
        try {
          await recorder.record([{ ...this.#position(pending), status: 'queued' }], [put, ...writes], checks)
          pending.row = key
          resolve()
          this.#arm()
        } catch (error) {
          this.#remove(pending)
          reject(error)
        }
      }),
    )
  }

  /** Gives those up that are not on the disk. */
  refuse(error: unknown): void {
    for (const pending of this.#all.filter(({ row }) => row === undefined)) {
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
  }

  #position({ draft, row }: Pending): Position {
    return { messageId: draft.messageId, recipient: this.#recipient, epoch: '', number: (row?.[2] as number) ?? 0 }
  }

  #remove(pending: Pending): void {
    this.#all = this.#all.filter(other => other !== pending)
    this.#arm()
  }

  /** Sets the timer to when the next one expires. */
  #arm(pause = 0): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const kept = this.#all.filter(({ row }) => row !== undefined)
    if (this.#closed || kept.length === 0) return
    const { clock } = this.#parts
    const next = kept.reduce((least, { draft }) => Math.min(least, draft.expiresAt), Number.POSITIVE_INFINITY)
    this.#timer = clock.after(Math.max(pause, next - clock.now() + 1), () => this.#expire())
  }

  #expire(): void {
    const { clock, onError } = this.#parts
    for (const pending of this.#all) {
      if (pending.row === undefined || pending.draft.expiresAt >= clock.now()) continue
      this.#end(pending, 'expired').catch(error => {
        onError(error)
        this.#arm(WRITE_PAUSE)
      })
    }
    this.#arm()
  }
}
