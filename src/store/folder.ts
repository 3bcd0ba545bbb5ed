/** Folders for the files of stores and identities. */

import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a folder and what is missing above it, for their owner only. Node's own recursive way asks for ever where a
 * folder is there in which none can be made for want of one, as in `/proc` or in one that was removed meanwhile.
 * @throws what the system says
 */
export function makeFolder(path: string): void {
  if (existsSync(path)) return
  const parent = dirname(path)
  if (parent !== path) makeFolder(parent)
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Somebody else was first.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
