/**
 * How long order waits for what is missing: as long as its author, who is linked, says that it is there. Each word on an
 * epoch renews that for this epoch; of one that its author names no more, as after it lost its disk, nothing will come.
 */

import type { Clock, Timer } from '../common/clock.ts'
import type { Epochs, Range } from '../feed/index.ts'

/** How long order waits unless told otherwise, ms. */
export const HOLE_PATIENCE = 30_000

/** What order waits for in an epoch. */
export interface Lack {
  /** Numbers that are missing between others. */
  readonly holes: readonly Range[]
  /** Later epochs wait for what its author says of it. */
  readonly awaited: boolean
}

/** What order waits for, by epoch. */
export function lacksOf(epochs: Epochs): Map<string, Lack> {
  const awaited = epochs.awaited()
  const lacks = new Map<string, Lack>()
  for (const epoch of new Set([...epochs.ids, ...awaited])) {
    const lack = { holes: epochs.feed(epoch)?.holes() ?? [], awaited: awaited.has(epoch) }
    if (lack.holes.length > 0 || lack.awaited) lacks.set(epoch, lack)
  }
  return lacks
}

/** What waiting needs. */
export interface PatienceParts {
  readonly clock: Clock
  /** Default {@link HOLE_PATIENCE}. */
  readonly holePatience?: number | undefined
  /** What is missing now, by epoch. */
  readonly lacks: () => ReadonlyMap<string, Lack>
  /** Order goes on without this, as far as it is still missing. */
  readonly giveUp: (epoch: string, lack: Lack) => void
}

/** See the head of this file; of one author. */
export class Patience {
  readonly #parts: PatienceParts
  readonly #timers = new Map<string, Timer>()
  #linked = false

  constructor(parts: PatienceParts) {
    this.#parts = parts
  }

  /** A connection with the author is open. */
  linked(): void {
    this.#linked = true
    this.#watch(new Set())
  }

  /** The author spoke of these epochs. */
  heard(epochs: ReadonlySet<string>): void {
    this.#linked = true
    this.#watch(epochs)
  }

  /** Nobody is there who could say what is missing. */
  unlinked(): void {
    this.#linked = false
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  #watch(named: ReadonlySet<string>): void {
    const { clock, holePatience = HOLE_PATIENCE, lacks, giveUp } = this.#parts
    const all = lacks()
    for (const [epoch, timer] of this.#timers) {
      if (all.has(epoch) && !named.has(epoch)) continue
      timer.cancel()
      this.#timers.delete(epoch)
    }
    for (const [epoch, lack] of all) {
      if (this.#timers.has(epoch)) continue
      const timer = clock.after(holePatience, () => {
        this.#timers.delete(epoch)
        giveUp(epoch, lack)
        if (this.#linked) this.#watch(new Set())
      })
      this.#timers.set(epoch, timer)
    }
  }
}
