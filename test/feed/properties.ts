/**
 * How many runs a property gets, and from which seed. A failure prints its seed and path; `AFP_SEED` and `AFP_PATH`
 * bring that very run back, `AFP_RUNS` multiplies the runs.
 */

import type { Parameters } from 'fast-check'

const { AFP_RUNS, AFP_SEED, AFP_PATH } = process.env

/** Parameters for `fc.assert`. */
export const runs = <T>(numRuns: number): Parameters<T> => ({
  numRuns: Math.max(1, Math.round(numRuns * Number(AFP_RUNS ?? 1))),
  ...(AFP_SEED === undefined ? {} : { seed: Number(AFP_SEED) }),
  ...(AFP_PATH === undefined ? {} : { path: AFP_PATH }),
})
