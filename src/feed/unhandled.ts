/**
 * What a reader never handled of what its author has settled: skipped, refused, or lost. An author that knows that it is
 * settled asks for nothing of it; one whose store was set back does, and must not be told that it was processed.
 */

import { RangeSet, type RangeWire } from './ranges.ts'
import { type FeedAck, MAX_UNHANDLED, type ReadAck } from './wire.ts'

/** See the head of this file. */
export class Unhandled {
  /** None of it above the base. */
  #below: RangeSet

  constructor(below: RangeSet) {
    this.#below = below
  }

  /** At or below the base. */
  get below(): RangeSet {
    return this.#below
  }

  /** The author's base has passed these. */
  add(ended: RangeSet): void {
    this.#below = highest(this.#below.with(ended))
  }

  /** What the author is told, in which all below the base counted as processed. */
  told({ delivered, processed, refused, skipped }: ReadAck): ReadAck {
    if (this.#below.max === 0) return { delivered, processed, refused, skipped }
    const [below, handled] = [this.#below, (set: RangeSet): RangeSet => set.minus(this.#below)]
    return { delivered: handled(delivered), processed: handled(processed), refused, skipped: skipped.with(below) }
  }

  /** All of it once nothing will happen up to a last number any more; undefined: everything was handled. */
  upTo(last: number, processed: RangeSet): RangeWire | undefined {
    const all = highest(
      RangeSet.of([[1, last]])
        .minus(processed)
        .with(this.#below),
    )
    return all.max > 0 ? all.toWire() : undefined
  }
}

/** What is below the {@link MAX_UNHANDLED} highest ranges counts as processed. */
const highest = (set: RangeSet): RangeSet =>
  set.count < MAX_UNHANDLED ? set : RangeSet.of([...set].slice(-MAX_UNHANDLED))

/** What a reader says of an epoch that is settled. */
export function settledAck(epoch: string, last: number, unhandled: RangeWire): FeedAck {
  const never = RangeSet.fromWire(unhandled)
  const handled = RangeSet.of([[1, last]])
    .minus(never)
    .toWire()
  return { epoch, delivered: handled, processed: handled, refused: [], skipped: never.toWire() }
}
