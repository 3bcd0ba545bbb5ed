/** Short words for positions, states and sets. */

import { expect } from 'vitest'
import { RangeSet, type RangeWire } from '../../src/feed/ranges.ts'
import type { ReaderFeed } from '../../src/feed/reader-feed.ts'
import type { FeedState, Position } from '../../src/feed/wire.ts'

export const epoch = 'b'.repeat(32)

/** The id of an epoch by a number. */
export const id = (index: number): string => index.toString(16).padStart(32, '0')

/** A position; what is not told follows the one just below it in class 0. */
export const at = (number: number, prev = number - 1, priority = 0): Position => ({ number, prev, priority })

export const wire = (numbers: readonly number[]): RangeWire =>
  RangeSet.of(numbers.map(number => [number, number] as const)).toWire()

export const stateOf = (base: number, last: number, skips: readonly number[] = []): FeedState => ({
  epoch,
  base,
  last,
  skips: wire(skips),
})

/** A state of any epoch, its skips as on the wire. */
export const stateIn = (epoch: string, base: number, last: number, skips: RangeWire = [0, []]): FeedState => ({
  epoch,
  base,
  last,
  skips,
})

/** As it comes back from a store. */
export const copied = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

/** Puts envelopes on the disk one by one; returns what was handed on. */
export const take = (feed: ReaderFeed, ...positions: Position[]): number[] =>
  positions.flatMap(position => {
    expect(feed.begin(position)).toBe(true)
    return feed.accept(position).released
  })
