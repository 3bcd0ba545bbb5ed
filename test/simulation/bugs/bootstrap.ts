/** Preloaded into a process: plants the bug that its environment names, before it loads any of the project's sources. */

import { BUGS } from './bugs.ts'
import { PLANTED, plant } from './plant.ts'

const name = process.env[PLANTED]
const bug = BUGS.find(known => known.name === name)
if (name !== undefined && bug === undefined) throw new Error(`there is no bug with the name ${name}`)

/** Sources with the bug that were not loaded yet. */
export const unplanted = bug === undefined ? (): string[] => [] : plant(bug)
