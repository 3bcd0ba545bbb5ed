/** What is kept in memory of dead letters: enough to look through them, to count them and to make room. */

import type { DeadReason, LetterEntry, LetterSide } from './dead-letter.ts'

/** Which letters. Everything that is given has to hold. */
export interface LetterFilter {
  readonly processed?: boolean | undefined
  readonly reason?: DeadReason | undefined
  readonly side?: LetterSide | undefined
  /** Agent id of the other side. */
  readonly peer?: string | undefined
  /** Made more than this many ms ago. */
  readonly olderThan?: number | undefined
  /** Made at most this many ms ago. */
  readonly maxAge?: number | undefined
}

/** A letter as the index knows it. */
export interface Summary {
  readonly id: string
  readonly side: LetterSide
  readonly peer: string
  readonly reason: DeadReason
  readonly createdAt: number
  readonly processed: boolean
  /** What it takes in the store, near enough. */
  readonly bytes: number
}

/** The summary of an entry whose row has `rowBytes` bytes. */
export const summaryOf = (entry: LetterEntry, rowBytes: number): Summary => ({
  id: entry.id,
  side: entry.side,
  peer: entry.peer,
  reason: entry.reason,
  createdAt: entry.createdAt,
  processed: entry.processed,
  bytes: rowBytes + entry.messageBytes,
})

/** Bounds of each side, so that what others send here cannot crowd out what this agent could not send. */
export interface LetterBounds {
  readonly entries: number
  readonly bytes: number
}

/** Room that was set aside. */
export interface Reservation {
  readonly side: LetterSide
  readonly entries: number
  readonly bytes: number
}

/** See the head of this file. */
export class LetterIndex {
  readonly #bounds: LetterBounds
  readonly #summaries = new Map<string, Summary>()
  readonly #used: Record<LetterSide, { entries: number; bytes: number }> = {
    sender: { entries: 0, bytes: 0 },
    recipient: { entries: 0, bytes: 0 },
  }

  constructor(bounds: LetterBounds) {
    this.#bounds = bounds
  }

  /** Puts a letter in, or in place of its older summary, where that was. */
  set(summary: Summary): void {
    const before = this.#summaries.get(summary.id)
    if (before !== undefined) this.#use(before.side, -1, -before.bytes)
    this.#summaries.set(summary.id, summary)
    this.#use(summary.side, 1, summary.bytes)
  }

  has(id: string): boolean {
    return this.#summaries.has(id)
  }

  /** Takes a letter out; what it was. */
  delete(id: string): Summary | undefined {
    const summary = this.#summaries.get(id)
    if (summary === undefined) return undefined
    this.#use(summary.side, -1, -summary.bytes)
    this.#summaries.delete(id)
    return summary
  }

  /** Ids of the letters that match, the newest first. */
  select(filter: LetterFilter, now: number): string[] {
    const { processed, reason, side, peer, olderThan, maxAge } = filter
    const ids: string[] = []
    for (const summary of this.#summaries.values()) {
      const age = now - summary.createdAt
      if (
        (processed === undefined || summary.processed === processed) &&
        (reason === undefined || summary.reason === reason) &&
        (side === undefined || summary.side === side) &&
        (peer === undefined || summary.peer === peer) &&
        (olderThan === undefined || age > olderThan) &&
        (maxAge === undefined || age <= maxAge)
      ) {
        ids.push(summary.id)
      }
    }
    // UUIDv7: the order of ids is the order of time.
    return ids.sort((a, b) => (a < b ? 1 : -1))
  }

  /**
   * Sets room aside. Where there is none, processed letters give way, the oldest first; `mayGo` says which may. They
   * are out of the index from here on and are returned; undefined, with nothing changed, when that is not enough.
   */
  reserve({ side, entries, bytes }: Reservation, mayGo: (id: string) => boolean): Summary[] | undefined {
    const used = this.#used[side]
    const fits = (): boolean => used.entries <= this.#bounds.entries && used.bytes <= this.#bounds.bytes
    const gone: Summary[] = []
    this.#use(side, entries, bytes)
    if (fits()) return gone
    for (const summary of this.#summaries.values()) {
      if (summary.side !== side || !summary.processed || !mayGo(summary.id)) continue
      this.delete(summary.id)
      gone.push(summary)
      if (fits()) return gone
    }
    this.release({ side, entries, bytes })
    for (const summary of gone) this.set(summary)
    return undefined
  }

  /** Gives back what was set aside. */
  release({ side, entries, bytes }: Reservation): void {
    this.#use(side, -entries, -bytes)
  }

  #use(side: LetterSide, entries: number, bytes: number): void {
    this.#used[side].entries += entries
    this.#used[side].bytes += bytes
  }
}
