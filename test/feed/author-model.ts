/** An author's side of an epoch in plain sets, as slow and as obvious as can be. */

import type { AuthorFeed } from '../../src/feed/author-feed.ts'
import { numbersIn, RangeSet } from '../../src/feed/ranges.ts'
import type { FeedAck } from '../../src/feed/wire.ts'
import { same } from './checks.ts'

/** See the head of this file. */
export class AuthorModel {
  readonly #known = new Set<number>()
  readonly #ended = new Set<number>()
  /** Ends that are not on the disk. */
  readonly #uncommitted = new Set<number>()
  readonly #skips = new Set<number>()
  #present = new Set<number>()
  /** The recipient had something, and still knew everything: from then on all that it says is on its disk. */
  #firm = false

  /** What a skip should be answered with. */
  skip(number: number): 'skipped' | 'delivered' {
    if (this.#present.has(number)) return 'delivered'
    this.#skips.add(number)
    return 'skipped'
  }

  isSkipped(number: number): boolean {
    return this.#skips.has(number)
  }

  /** Takes an acknowledgement in; returns what should be told as delivered, and what has its end now. */
  acked(ack: FeedAck): { delivered: number[]; ends: number[] } {
    const before = new Set(this.#ended)
    const refused = ack.refused.map(([number]) => number)
    const skipped = new Set(expand(ack.skipped))
    this.#present = new Set([...expand(ack.delivered), ...expand(ack.processed), ...refused])
    const missed = [...this.#known].filter(number => !this.#present.has(number) && !skipped.has(number))
    for (const number of missed) this.#skips.add(number)
    if (this.#present.size > 0 && missed.length === 0) this.#firm = true
    const fresh = [...this.#present].filter(number => !this.#known.has(number))
    for (const number of this.#present) this.#known.add(number)
    for (const number of [...expand(ack.processed), ...refused]) this.#ended.add(number)
    for (const number of skipped) {
      if (!this.#skips.has(number) || this.#present.has(number)) continue
      this.#known.add(number)
      this.#ended.add(number)
    }
    const ends = [...this.#ended].filter(number => !before.has(number))
    for (const number of ends) this.#uncommitted.add(number)
    return { delivered: fresh.sort((a, b) => a - b), ends }
  }

  committed(ends: readonly number[]): void {
    for (const number of ends) this.#uncommitted.delete(number)
  }

  /** Compares all that a feed tells with what it should. */
  check(feed: AuthorFeed): void {
    const all = range(feed.last)
    let base = 0
    while (this.#ended.has(base + 1) && !this.#uncommitted.has(base + 1)) base++
    same(feed.base, base, 'the base')
    same(feed.settled, base === feed.last, 'settled')
    const unsettled = all.filter(number => !this.#ended.has(number))
    same([...numbersIn(feed.unsettled())].join(), unsettled.join(), 'what is unsettled')
    const state = feed.state()
    if (!this.#firm) base = 0
    same(state.base, base, 'the base of the state')
    same(state.last, feed.last, 'the last number of the state')
    const skips = all.filter(number => number > base && this.#skips.has(number) && !this.#present.has(number))
    same(expand(state.skips).join(), skips.join(), 'the skips of the state')
  }
}

export const range = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1)
export const expand = (wire: unknown): number[] => [...numbersIn(RangeSet.fromWire(wire))]
