/** What happened in a run, in its order: what the checker stands on, and what the same seed has to give again. */

import { createHash } from 'node:crypto'
import type { MemoryEvent } from '../../../src/network/memory.ts'

/** What may be in a history. */
export type Happened =
  | 'send'
  | 'accepted'
  | 'refused to send'
  | 'published'
  | 'replied'
  | 'not replied'
  | 'arrived'
  | 'handler began'
  | 'handler ended'
  | 'handler failed'
  | 'heard'
  | 'receipt'
  | 'cancel'
  | 'letter'
  | 'letter retried'
  | 'refused'
  | 'told'
  | 'boot'
  | 'up'
  | 'crash'
  | 'closing'
  | 'closed'
  | 'disk'
  | 'network'
  | 'clock'
  | 'fault'

/** One thing that happened. */
export interface HistoryEntry {
  /** Milliseconds of the run's monotonic time. */
  readonly at: number
  readonly who: string
  readonly what: Happened
  readonly detail: Readonly<Record<string, unknown>>
}

/** Append-only. */
export class History {
  readonly entries: HistoryEntry[] = []
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  add(who: string, what: Happened, detail: Readonly<Record<string, unknown>> = {}): void {
    this.entries.push({ at: Math.round(this.#now() * 1_000) / 1_000, who, what, detail })
  }

  /** Of everything that happened, and of all that the network did. */
  digest(network: readonly MemoryEvent[]): string {
    const hash = createHash('sha256')
    for (const entry of this.entries) hash.update(`${JSON.stringify(entry)}\n`)
    // There are many events, between few places: a number for each of their words is quicker than to hash them all.
    const numbers = new Map<string, number>()
    const numberOf = (word: string): number => {
      const known = numbers.get(word)
      if (known !== undefined) return known
      const number = createHash('sha256').update(word).digest().readInt32LE()
      numbers.set(word, number)
      return number
    }
    let mixed = 0
    const mix = (number: number): void => {
      mixed = (Math.imul(mixed, 31) + number) | 0
    }
    for (const { at, type, from, to, on, bytes } of network) {
      mix(at * 1_000)
      for (const word of [type, from, to, on]) mix(numberOf(word))
      mix(bytes)
    }
    return hash.update(`${network.length} ${mixed}`).digest('hex')
  }

  /** Lines of JSON, those of the network among them, by their time. */
  timeline(network: readonly MemoryEvent[], nameOf: (id: string) => string): string {
    const sent = network
      .filter(({ type }) => type !== 'sent' && type !== 'delivered')
      .map(
        ({ at, type, from, to, on, bytes }): HistoryEntry => ({
          at,
          who: nameOf(from),
          what: 'network',
          detail: { event: type, to: nameOf(to), on, bytes },
        }),
      )
    const all = [...this.entries, ...sent].sort((a, b) => a.at - b.at)
    return all.map(({ at, who, what, detail }) => `${JSON.stringify({ at, who, what, ...detail })}\n`).join('')
  }
}
