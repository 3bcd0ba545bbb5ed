/**
 * One author's messages that nobody wanted when they were offered, in their order. Later ones pass them, but not one that
 * is for somebody who had no room: it holds its class until it is offered again.
 */

import type { Arrived } from './arrived.ts'

/** See the head of this file. */
export class Parked {
  #entries: Arrived[] = []
  /** Those among them for whom there was no room. */
  readonly #full = new Set<Arrived>()

  /** @param full it is for somebody, who has no room */
  add(entry: Arrived, full: boolean): void {
    this.#entries.push(entry)
    if (full) this.#full.add(entry)
  }

  /** Whether one of this class waits for room. Of messages that is one at a time; requests hold nothing up. */
  holds(priority: number): boolean {
    for (const { kind, row } of this.#full) if (kind === 'message' && row.priority === priority) return true
    return false
  }

  /** Takes them all. */
  takeAll(): readonly Arrived[] {
    const all = this.#entries
    this.#entries = []
    this.#full.clear()
    return all
  }

  /** Takes those that wait for room. */
  takeFull(): readonly Arrived[] {
    if (this.#full.size === 0) return []
    const full = this.#entries.filter(entry => this.#full.has(entry))
    this.#entries = this.#entries.filter(entry => !this.#full.has(entry))
    this.#full.clear()
    return full
  }

  /** Takes the oldest. */
  shift(): Arrived | undefined {
    const entry = this.#entries.shift()
    if (entry !== undefined) this.#full.delete(entry)
    return entry
  }

  /** One has its end; false when it is not among them. */
  delete(entry: Arrived): boolean {
    const at = this.#entries.indexOf(entry)
    if (at < 0) return false
    this.#entries.splice(at, 1)
    this.#full.delete(entry)
    return true
  }
}
