/** Preloaded into a process: plants the bug that its environment has, before it loads any of the project's sources. */

import { type Bug, PLANTED, plant } from './plant.ts'

const bug = process.env[PLANTED]

/** Sources with the bug that were not loaded yet. */
export const unplanted = bug === undefined ? (): string[] => [] : plant(JSON.parse(bug) as Bug)
