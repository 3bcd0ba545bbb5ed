/** What has to happen in runs of meshes for them to prove anything: what is not there cannot be lost either. */

import type { Counters } from './state.ts'

/** Of so few runs the mean says nothing. */
const ENOUGH = 100

/** How often, at least, in the mean of all runs. There are about 1.3 times as many of each. */
const FLOORS: Readonly<Partial<Record<keyof Counters, number>>> = {
  // Of what is kept: not excused, in an order that is promised, and asked in the end.
  judged: 35,
  inOrder: 28,
  blindEffects: 16,
  askedLast: 3,
  handled: 40,
  replies: 2.4,
  // Of what may be lost: else nobody would see that all of it is.
  handledOnce: 2.5,
  heard: 4.5,
}

/** What happened too seldom, in words. @param sums over all runs */
export function scarce(sums: Readonly<Record<string, number>>, runs: number): string[] {
  if (runs < ENOUGH) return []
  return Object.entries(FLOORS).flatMap(([what, floor]) => {
    const mean = (sums[what] ?? 0) / runs
    return mean > floor
      ? []
      : [`too seldom: ${what}, ${mean.toFixed(2)} times in a run, which is no more than ${floor}`]
  })
}
