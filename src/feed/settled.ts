/**
 * Epochs in which nothing will happen any more: their last numbers keep what comes again from being taken for new. Where
 * something was taken, the disk remembers them. Where nothing was, memory does, as many as may be kept: only what is
 * still on its way, by a slower connection, would miss them.
 */

import type { RangeWire } from './ranges.ts'
import { settledAck } from './unhandled.ts'
import type { FeedAck } from './wire.ts'

/**
 * Settled epochs in which something was taken that are remembered; the oldest gives way. Only its author could have it
 * taken again, and has forgotten it itself, unless its store is set back.
 */
export const MAX_SETTLED = 16_384
/** Settled epochs in which nothing was taken that are remembered; the oldest gives way. */
const MAX_UNTAKEN = 256
/**
 * How long a settled epoch is remembered, ms: 31 days, the longest TTL and a day for clocks that are apart. To
 * be more where what a relay adds to the TTL and twice the clock skew are more than that day.
 */
export const KEEP_SETTLED = 31 * 86_400_000

/** An epoch that is to be stored as settled. */
export interface SettledEpoch {
  readonly epoch: string
  /** Its last number. */
  readonly floor: number
  /** When it was settled, ms since 1970. */
  readonly at: number
  /** See `unhandled.ts`. Default: nothing of it. */
  readonly unhandled?: RangeWire | undefined
}

/** See the head of this file. */
export class SettledEpochs {
  /** The oldest first. */
  #taken = new Map<string, Omit<SettledEpoch, 'epoch'>>()
  /** Their last numbers; the oldest first. */
  readonly #untaken = new Map<string, number>()

  /** How many the disk remembers. */
  get size(): number {
    return this.#taken.size
  }

  has(epoch: string): boolean {
    return this.#taken.has(epoch) || this.#untaken.has(epoch)
  }

  /** What its author is told; undefined for one that is not settled. */
  ack(epoch: string): FeedAck | undefined {
    const last = this.floorOf(epoch)
    if (last === undefined) return undefined
    const taken = this.#taken.get(epoch)
    return settledAck(epoch, last, taken === undefined ? [last, []] : (taken.unhandled ?? [0, []]))
  }

  /** Its last number; undefined for one that is not settled. */
  floorOf(epoch: string): number | undefined {
    return this.#taken.get(epoch)?.floor ?? this.#untaken.get(epoch)
  }

  /** One in which something was taken. */
  add({ epoch, ...end }: SettledEpoch): void {
    this.#taken.set(epoch, end)
  }

  /** One in which nothing was. */
  addUntaken(epoch: string, last: number): void {
    this.#untaken.set(epoch, last)
    if (this.#untaken.size > MAX_UNTAKEN) this.#untaken.delete(this.#untaken.keys().next().value as string)
  }

  /** After the last one that was restored. */
  sort(): void {
    this.#taken = new Map([...this.#taken].sort(([, a], [, b]) => a.at - b.at))
  }

  /** Forgets those that were settled at a time or before, and the oldest of too many; returns them. */
  forget(upTo: number): string[] {
    const forgotten: string[] = []
    for (const [epoch, { at }] of this.#taken) {
      if (at > upTo && this.#taken.size <= MAX_SETTLED) break
      this.#taken.delete(epoch)
      forgotten.push(epoch)
    }
    return forgotten
  }
}
