/**
 * Messages to one recipient that wait for a key, in their order: those that are to be sealed, and those that were given up,
 * which are only until that is on the disk. A list, and nothing that is done with it.
 */

import type { Key } from '../store/store.ts'
import { rowKeyOf } from './entries.ts'
import type { Stored } from './envelopes.ts'
import type { Draft } from './outgoing-parts.ts'

/** What they come to without leaving. */
export type End = 'expired' | 'cancelled'

/** One of them. */
export interface Pending {
  /** Once it has a row its bytes are in that alone: as many wait as the outbox has room for. */
  draft: Draft
  /** What it counts for in the quota. */
  readonly bytes: number
  /** Grows with each message: the one that was sent first goes first, also where it comes out of an epoch. */
  readonly order: number
  /** Undefined as long as it has none. */
  row: Stored | undefined
  /** That is on its way to the disk: whether it is there is known only then. */
  writing: boolean
  /** It was given up: that is tried until it is on the disk, and nothing of it is sealed meanwhile. */
  ending: End | undefined
  /** Whoever sent it hears that it is on the disk, or why it is not. */
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Where its row is. */
export const keyIn = (recipient: string, { row }: Pending): Key | undefined => row && rowKeyOf(recipient, row)

/** See the head of this file. */
export class WaitingList {
  /** In their order, once it is asked for, but for those that were given up. */
  #all = new Set<Pending>()
  #sorted = true
  #last = 0
  readonly #ending = new Set<Pending>()
  /** By message: whoever calls one off knows nothing else of it. */
  readonly #byMessage = new Map<string, Pending>()
  readonly #unkept = new Set<Pending>()

  /** How many are to be sealed. */
  get size(): number {
    return this.#all.size
  }

  /** How many were given up, and have no end on the disk yet. */
  get ending(): number {
    return this.#ending.size
  }

  /** Those that have no row. */
  get unkept(): ReadonlySet<Pending> {
    return this.#unkept
  }

  /** Those that are to be sealed, in their order. */
  all(): Iterable<Pending> {
    if (!this.#sorted) this.#all = new Set([...this.#all].sort(byOrder))
    this.#sorted = true
    return this.#all
  }

  ofMessage(messageId: string): Pending | undefined {
    return this.#byMessage.get(messageId)
  }

  isEnding(pending: Pending): boolean {
    return this.#ending.has(pending)
  }

  /** Takes one in, where its order says. */
  add(pending: Pending): void {
    if (this.#all.size === 0) this.#last = 0
    this.#sorted = this.#all.size === 0 || (this.#sorted && pending.order > this.#last)
    this.#last = Math.max(this.#last, pending.order)
    this.#all.add(pending)
    this.#byMessage.set(pending.draft.messageId, pending)
    if (pending.row === undefined) this.#unkept.add(pending)
  }

  /** Takes the first ones out: so many at most, and one at least, of so many bytes. */
  take(most: { readonly items: number; readonly bytes: number }): Pending[] {
    const some: Pending[] = []
    let bytes = 0
    for (const pending of this.all()) {
      bytes += pending.bytes
      if (some.length === most.items || (some.length > 0 && bytes > most.bytes)) break
      some.push(pending)
    }
    for (const pending of some) this.remove(pending)
    return some
  }

  /** One has its row now. */
  kept(pending: Pending): void {
    this.#unkept.delete(pending)
  }

  /** One is not to be sealed any more, though its end is not on the disk yet. */
  hold(pending: Pending, ending: End): void {
    pending.ending = ending
    this.#all.delete(pending)
    this.#ending.add(pending)
    this.#byMessage.set(pending.draft.messageId, pending)
  }

  remove(pending: Pending): void {
    this.#all.delete(pending)
    this.#ending.delete(pending)
    this.#unkept.delete(pending)
    const { messageId } = pending.draft
    if (this.#byMessage.get(messageId) === pending) this.#byMessage.delete(messageId)
  }
}

/** In the order in which they were sent. */
export const byOrder = (a: Pick<Pending, 'order'>, b: Pick<Pending, 'order'>): number => a.order - b.order
