/**
 * Whether bytes of a message may have left, where two frames of it can be under way: the numbered one and a copy. Of one
 * that was refused as too large nothing did, and that says nothing of the other.
 */

import type { Entry } from './out-epoch.ts'

/** See the head of this file. */
export class Leaving {
  /** Frames of messages of which nothing had left before, but for those that were refused. */
  readonly #frames = new WeakMap<Entry, number>()

  /** A frame of it is being handed over: from here on nobody knows better. */
  starts(entry: Entry): void {
    const frames = this.#frames.get(entry)
    if (entry.left && frames === undefined) return
    entry.left = true
    this.#frames.set(entry, (frames ?? 0) + 1)
  }

  /** That frame was too large. */
  refused(entry: Entry): void {
    const frames = this.#frames.get(entry)
    if (frames === undefined) return
    this.#frames.set(entry, frames - 1)
    if (frames > 1) return
    this.#frames.delete(entry)
    entry.left = false
  }
}
