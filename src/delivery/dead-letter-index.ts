/** What is kept in memory of dead letters: enough to look through them, to count them and to make room. */

import { AgeSet } from '../common/age-set.ts'
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
  /** Id of its message, while what became of that is known from its receipt alone. */
  readonly inDoubt?: string | undefined
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
  inDoubt: entry.inDoubt && !entry.processed ? entry.messageId : undefined,
  bytes: rowBytes + entry.messageBytes,
})

/** Bounds of each side, so that what others send here cannot crowd out what this agent could not send. */
export interface LetterBounds {
  readonly entries: number
  readonly bytes: number
  /** Letters older than this may give way though nobody has dealt with them, ms; undefined: none may. */
  readonly maxAge?: number | undefined
}

/** So many letters, and what they take. */
export interface LetterSum {
  readonly entries: number
  readonly bytes: number
}

/** Room that was set aside. */
export interface Reservation extends LetterSum {
  readonly side: LetterSide
  readonly peer: string
}

type Sum = { -readonly [K in keyof LetterSum]: LetterSum[K] }

const none = (): Sum => ({ entries: 0, bytes: 0 })

function add(sum: Sum, { entries, bytes }: LetterSum, sign: 1 | -1): Sum {
  sum.entries += sign * entries
  sum.bytes += sign * bytes
  return sum
}

/** See the head of this file. */
export class LetterIndex {
  readonly #bounds: LetterBounds
  readonly #summaries = new Map<string, Summary>()
  /** With what is set aside. */
  readonly #used = { sender: none(), recipient: none() }
  /** What of that is of processed letters. */
  readonly #processed = { sender: none(), recipient: none() }
  /** What each author has of the others on the recipient's side, with what is set aside. */
  readonly #held = new Map<string, Sum>()
  /** Ids of the others, the oldest first. */
  readonly #open = { sender: new AgeSet<string>(), recipient: new AgeSet<string>() }

  /** Letters by the message whose receipt they ask for: one for each recipient. */
  readonly #inDoubt = new Map<string, number>()

  constructor(bounds: LetterBounds) {
    this.#bounds = bounds
  }

  /** Puts a letter in, or in place of its older summary, where that was. */
  set(summary: Summary): void {
    const before = this.#summaries.get(summary.id)
    if (before !== undefined) this.#count(before, -1)
    this.#summaries.set(summary.id, summary)
    this.#count(summary, 1)
    const open = this.#open[summary.side]
    if (summary.processed) open.delete(summary.id)
    else open.add(summary.id)
  }

  /** Whether a letter that can be retried asks for the receipt of this message. */
  asksFor(messageId: string): boolean {
    return this.#inDoubt.has(messageId)
  }

  has(id: string): boolean {
    return this.#summaries.has(id)
  }

  /** What it has in common with others that have to do with the same peer. */
  laneOf(id: string): string {
    const { side, peer } = this.#summaries.get(id) ?? {}
    return `${side} ${peer}`
  }

  /** Takes a letter out; what it was. */
  delete(id: string): Summary | undefined {
    const summary = this.#summaries.get(id)
    if (summary === undefined) return undefined
    this.#count(summary, -1)
    this.#summaries.delete(id)
    this.#open[summary.side].delete(id)
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

  /** What stays, whatever comes: letters that nobody has dealt with, and what is set aside. */
  kept(side: LetterSide): LetterSum {
    const { [side]: used } = this.#used
    const { [side]: processed } = this.#processed
    return { entries: used.entries - processed.entries, bytes: used.bytes - processed.bytes }
  }

  /**
   * How much of `peer`'s would fit at `now` if all gave way that may; found without looking at what has to stay. On the
   * recipient's side an author may have as much as is left free, as in shared buffers: nobody there takes what others
   * need, and whoever is alone there has half of it.
   */
  room(side: LetterSide, now: number, peer: string): LetterSum {
    const kept = this.kept(side)
    const held = (side === 'recipient' && this.#held.get(peer)) || none()
    let entries = this.#bounds.entries - kept.entries - held.entries
    let bytes = this.#bounds.bytes - kept.bytes - held.bytes
    for (const summary of this.#aged(side, now)) {
      // What may go is free, and whose it is does not have it.
      const times = side === 'recipient' && summary.peer === peer ? 2 : 1
      entries += times
      bytes += times * summary.bytes
    }
    return { entries, bytes }
  }

  /**
   * Sets room aside. Where there is none, processed letters give way, then those beyond the age, the oldest first;
   * `mayGo` says which may. They are out of the index from here on and are returned; undefined, with nothing changed,
   * when that is not enough.
   */
  reserve(wanted: Reservation, now: number, mayGo: (id: string) => boolean): Summary[] | undefined {
    const { side, peer } = wanted
    const used = this.#used[side]
    const fits = (): boolean => used.entries <= this.#bounds.entries && used.bytes <= this.#bounds.bytes
    const roomAt = (at: number): boolean => {
      const { entries, bytes } = this.room(side, at, peer)
      return entries >= wanted.entries && bytes >= wanted.bytes
    }
    // First without those beyond the age, which takes no look at them. Said at once: whoever has no room asks often.
    if (!roomAt(Number.NEGATIVE_INFINITY) && !roomAt(now)) return undefined
    const gone: Summary[] = []
    this.#set(wanted, 1)
    if (fits()) return gone
    for (const summary of this.#givingWay(side, now)) {
      if (!mayGo(summary.id)) continue
      this.delete(summary.id)
      gone.push(summary)
      if (fits()) return gone
    }
    this.release(wanted)
    for (const summary of gone) this.set(summary)
    return undefined
  }

  /** Gives back what was set aside. */
  release(reservation: Reservation): void {
    this.#set(reservation, -1)
  }

  *#givingWay(side: LetterSide, now: number): Generator<Summary> {
    if (this.#processed[side].entries > 0)
      for (const summary of this.#summaries.values()) if (summary.side === side && summary.processed) yield summary
    yield* [...this.#aged(side, now)]
  }

  /** Those beyond the age that nobody has dealt with, the oldest first. */
  *#aged(side: LetterSide, now: number): Generator<Summary> {
    const { maxAge } = this.#bounds
    if (maxAge === undefined) return
    for (const id of this.#open[side]) {
      const summary = this.#summaries.get(id) as Summary
      if (now - summary.createdAt <= maxAge) return
      yield summary
    }
  }

  #count(summary: Summary, sign: 1 | -1): void {
    const { side, peer, processed, inDoubt, bytes } = summary
    if (inDoubt !== undefined) {
      const letters = (this.#inDoubt.get(inDoubt) ?? 0) + sign
      if (letters > 0) this.#inDoubt.set(inDoubt, letters)
      else this.#inDoubt.delete(inDoubt)
    }
    if (!processed) return this.#set({ side, peer, entries: 1, bytes }, sign)
    add(this.#used[side], { entries: 1, bytes }, sign)
    add(this.#processed[side], { entries: 1, bytes }, sign)
  }

  /** Counts what may not go, or is set aside. */
  #set({ side, peer, entries, bytes }: Reservation, sign: 1 | -1): void {
    add(this.#used[side], { entries, bytes }, sign)
    if (side === 'sender') return
    const held = add(this.#held.get(peer) ?? none(), { entries, bytes }, sign)
    if (held.entries > 0) this.#held.set(peer, held)
    else this.#held.delete(peer)
  }
}
