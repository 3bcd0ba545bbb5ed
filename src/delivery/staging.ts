/**
 * What is to leave next and is not in memory: it is read some at a time, and handed on in the order in which it was taken.
 * Whatever is taken meanwhile waits behind it, also what is in memory.
 */

import type { Envelopes } from './envelopes.ts'
import type { Entry } from './out-epoch.ts'

/** How many bytes are read at a time, and one message more. */
const MOST_BYTES = 2 ** 20

/** What staging needs. */
export interface StagingParts {
  readonly envelopes: Pick<Envelopes, 'read'>
  /** It may have been called off meanwhile. Undefined: it cannot be read. */
  readonly hand: (entry: Entry, frame: Uint8Array | undefined) => void
  /** There is room for others. */
  readonly onRead: () => void
}

/** See the head of this file. */
export class Staging {
  readonly #parts: StagingParts
  #due: Entry[] = []
  #bytes = 0
  #reading = false

  constructor(parts: StagingParts) {
    this.#parts = parts
  }

  /** Whether something is on its way into memory. */
  get busy(): boolean {
    return this.#reading || this.#due.length > 0
  }

  /** Whether there is no room for more. */
  get full(): boolean {
    return this.#bytes >= MOST_BYTES
  }

  add(entry: Entry): void {
    this.#due.push(entry)
    this.#bytes += entry.bytes
  }

  /** Those that are not being read yet do not leave any more. */
  clear(): void {
    this.#due = []
    this.#bytes = 0
  }

  /** Reads what was added. */
  async read(): Promise<void> {
    if (this.#reading || this.#due.length === 0) return
    this.#reading = true
    const some = this.#due
    this.clear()
    // Once it is closed nothing leaves.
    const frames = await this.#parts.envelopes.read(some).catch(() => undefined)
    this.#reading = false
    if (frames === undefined) return
    for (const entry of some) this.#parts.hand(entry, frames.get(entry))
    this.#parts.onRead()
  }
}
