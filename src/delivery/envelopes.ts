/**
 * The sealed envelopes of what waits for one recipient. They are in the store; in memory are those alone that are about to
 * leave, as far as there is room. Each of them is read as it was written: the same bytes at every try.
 */

import { AfpDataStoreError, AfpRoutingError } from '../common/errors.ts'
import type { Row, Store } from '../store/store.ts'
import { type NextTryParts, nextTry } from './next-try.ts'
import type { Entry } from './out-epoch.ts'
import { outboxKey, readOutbox } from './rows.ts'
import { openPayload } from './sealing.ts'

/** How many bytes of envelopes are in memory that are to leave over the link that is open. */
const HELD_BYTES = 2 * 2 ** 20

/** What reading them needs. */
export interface EnvelopesParts extends NextTryParts {
  readonly store: Pick<Store, 'range'>
  /** This agent's id. */
  readonly author: string
  readonly recipient: string
}

/** See the head of this file. */
export class Envelopes {
  readonly #parts: EnvelopesParts
  readonly #held = new Map<Entry, Uint8Array>()
  /** Those whose rows are about to lose them: a word of the recipient that crosses with that may be to have a dead letter. */
  readonly #pinned = new WeakMap<Entry, Uint8Array>()
  #bytes = 0
  #linked = false
  readonly #closing = new AbortController()

  constructor(parts: EnvelopesParts) {
    this.#parts = parts
  }

  /** How many bytes are in memory. */
  get held(): number {
    return this.#bytes
  }

  /** A link is open, or is not: without one nothing is about to leave. */
  set linked(linked: boolean) {
    this.#linked = linked
    if (linked) return
    this.#held.clear()
    this.#bytes = 0
  }

  /** It is on the disk, and to leave soon. What came before it goes first: it is let go of where there is no room. */
  keep(entry: Entry, frame: Uint8Array): void {
    if (!this.#linked || this.#bytes + frame.length > HELD_BYTES || this.#held.has(entry)) return
    this.#held.set(entry, frame)
    this.#bytes += frame.length
  }

  /** Takes one out of memory; undefined where it is not there. */
  take(entry: Entry): Uint8Array | undefined {
    const frame = this.#held.get(entry)
    if (frame === undefined) return undefined
    this.#held.delete(entry)
    this.#bytes -= frame.length
    return frame
  }

  /**
   * Reads those of these messages, for as long as the store fails again and again. What is not among them has no row with
   * bytes any more, or one that is damaged, which is told.
   * @throws AfpRoutingError CLOSED
   */
  async read(entries: readonly Entry[]): Promise<Map<Entry, Uint8Array>> {
    const found = new Map<Entry, Uint8Array>()
    for (const run of runsOf(entries)) {
      const first = (run[0] as Entry).number
      for (const { number, frame } of await this.#rows(run)) {
        if (frame.length > 0) found.set(run[number - first] as Entry, frame)
      }
    }
    return found
  }

  /**
   * What was sealed in one; undefined where there is no row of it any more, as when its recipient has it meanwhile.
   * @throws AfpRoutingError CLOSED; what `openPayload` throws
   */
  async payload(entry: Entry): Promise<Uint8Array | undefined> {
    const frame = await this.#frame(entry)
    return frame && openPayload(frame, entry.epoch.key, this.#parts.author)
  }

  /**
   * Keeps one in memory for as long as its message is known here, or {@link unpin} is called; undefined where it is not
   * there any more.
   * @throws AfpRoutingError CLOSED
   */
  async pin(entry: Entry): Promise<Uint8Array | undefined> {
    const frame = await this.#frame(entry)
    if (frame !== undefined) this.#pinned.set(entry, frame)
    return frame
  }

  /** Its row keeps it after all. */
  unpin(entry: Entry): void {
    this.#pinned.delete(entry)
  }

  async #frame(entry: Entry): Promise<Uint8Array | undefined> {
    return this.#held.get(entry) ?? this.#pinned.get(entry) ?? (await this.read([entry])).get(entry)
  }

  /** Nothing is tried again. */
  close(): void {
    this.#closing.abort()
    this.linked = false
  }

  async #rows(run: readonly Entry[]): Promise<{ number: number; frame: Uint8Array }[]> {
    const { store, recipient, onError } = this.#parts
    const [first, last] = [run[0] as Entry, run.at(-1) as Entry]
    const gte = outboxKey(recipient, first.epoch.id, first.number)
    const lte = outboxKey(recipient, last.epoch.id, last.number)
    for (;;) {
      if (this.#closing.signal.aborted) throw new AfpRoutingError('CLOSED', 'this agent has closed')
      let rows: Row[]
      try {
        rows = await store.range('outbox', { gte, lte })
      } catch (error) {
        await nextTry(this.#parts, error, this.#closing.signal)
        continue
      }
      const missing = new Map(run.map(entry => [entry.number, entry]))
      const read = rows.flatMap(row => {
        try {
          const {
            number,
            row: { frame },
          } = readOutbox(row)
          missing.delete(number)
          return { number, frame }
        } catch (error) {
          onError(error)
          missing.delete(Number(row.key[2]))
          return []
        }
      })
      for (const { epoch, number, row } of missing.values()) {
        if (epoch.entries.has(number)) onError(lost(row.messageId))
      }
      return read
    }
  }
}

const lost = (id: string): AfpDataStoreError =>
  new AfpDataStoreError('STORE_FAILED', `the row of message ${id} is not in the store any more`, { reference: id })

/** As they are in the store one after the other: each run is read at once. */
function runsOf(entries: readonly Entry[]): Entry[][] {
  const runs: Entry[][] = []
  let before: Entry | undefined
  for (const entry of entries) {
    if (before !== undefined && before.epoch === entry.epoch && before.number + 1 === entry.number)
      (runs.at(-1) as Entry[]).push(entry)
    else runs.push([entry])
    before = entry
  }
  return runs
}
