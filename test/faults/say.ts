/** What a process that may be killed says. */

import { writeSync } from 'node:fs'

const STANDARD_OUTPUT = 1

/** How long it is waited at a time until whoever reads has made room, ms. */
const PAUSE = 1
const asleep = new Int32Array(new SharedArrayBuffer(4))

/**
 * Says a line. It has left the process when this returns, whoever is slow to read it: what `process.stdout` cannot hand
 * over at once it keeps to itself, and that would be gone with the process, though what the line tells of is not.
 */
export function say(line: string): void {
  const bytes = Buffer.from(`${line}\n`)
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(STANDARD_OUTPUT, bytes, at)
    } catch (error) {
      // Whoever has looked at `process.stdout` made writes fail that would have waited.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      Atomics.wait(asleep, 0, 0, PAUSE)
    }
  }
}
