/**
 * How many runs a property gets: `AFP_RUNS` multiplies them. A failure prints its seed and path; `AFP_SEED` and `AFP_PATH`
 * bring that very run back, as with every property.
 */

import type { Parameters } from 'fast-check'

const { AFP_RUNS } = process.env

/** Parameters for `fc.assert`. */
export const runs = <T>(numRuns: number): Parameters<T> => ({
  numRuns: Math.max(1, Math.round(numRuns * Number(AFP_RUNS ?? 1))),
})
