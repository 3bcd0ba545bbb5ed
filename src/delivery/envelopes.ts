/**
 * The sealed envelopes of what waits for one recipient. They are in the store; in memory are those alone that are about to
 * leave, as far as there is room. Each of them is read as it was written: the same bytes at every try.
 */

import { AfpDataStoreError, AfpRoutingError } from '../common/errors.ts'
import { inSlices, type NextTask } from '../common/slices.ts'
import type { AeadKey } from '../security/aead.ts'
import type { Store } from '../store/store.ts'
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
  readonly nextTask?: NextTask | undefined
}

/** A message with a row: in an epoch, under whose key its bytes are sealed, or waiting for one, as it was sent. */
export interface Stored {
  readonly epoch: { readonly id: string; readonly key?: AeadKey | undefined }
  readonly number: number
  readonly row: { readonly messageId: string }
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
      for (const [entry, frame] of await this.#again(run)) if (frame.length > 0) found.set(entry, frame)
    }
    return found
  }

  /**
   * What these messages were as they were sent. What is not among them has no row any more, or one that is damaged, which
   * is told.
   * @throws AfpDataStoreError; then none is told of
   */
  async payloads<S extends Stored>(stored: readonly S[]): Promise<Map<S, Uint8Array>> {
    const { author, nextTask, onError } = this.#parts
    const found = new Map<S, Uint8Array>()
    for (const run of runsOf(stored)) {
      for await (const [one, frame] of inSlices(await this.#rows(run, () => true), nextTask)) {
        const { key } = one.epoch
        try {
          found.set(one, key === undefined ? frame : await openPayload(frame, key, author))
        } catch (error) {
          onError(error)
        }
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

  /** @throws AfpRoutingError CLOSED */
  async #again(run: readonly Entry[]): Promise<[Entry, Uint8Array][]> {
    const { signal } = this.#closing
    for (;;) {
      try {
        // Once after it has closed, too: what is being called off then has to be written.
        return await this.#rows(run, ({ epoch, number }) => epoch.entries.has(number))
      } catch (error) {
        if (!signal.aborted) await nextTry(this.#parts, error, signal)
        if (signal.aborted) throw new AfpRoutingError('CLOSED', 'this agent has closed')
      }
    }
  }

  /** @param isThere whether a row is missed that is not there. @throws AfpDataStoreError */
  async #rows<S extends Stored>(run: readonly S[], isThere: (one: S) => boolean): Promise<[S, Uint8Array][]> {
    const { store, recipient, onError } = this.#parts
    const [first, last] = [run[0] as S, run.at(-1) as S]
    const gte = outboxKey(recipient, first.epoch.id, first.number)
    const lte = outboxKey(recipient, last.epoch.id, last.number)
    const rows = await store.range('outbox', { gte, lte })
    const missing = new Map(run.map(one => [one.number, one]))
    const read = rows.flatMap((row): [S, Uint8Array][] => {
      const one = missing.get(Number(row.key[2]))
      if (one === undefined) return []
      missing.delete(one.number)
      try {
        return [[one, readOutbox(row).row.frame]]
      } catch (error) {
        onError(error)
        return []
      }
    })
    for (const one of missing.values()) if (isThere(one)) onError(lost(one.row.messageId))
    return read
  }
}

const lost = (id: string): AfpDataStoreError =>
  new AfpDataStoreError('STORE_FAILED', `the row of message ${id} is not in the store any more`, { reference: id })

/** As they are in the store one after the other: each run is read at once. */
function runsOf<S extends Stored>(stored: readonly S[]): S[][] {
  const runs: S[][] = []
  let before: S | undefined
  for (const one of stored) {
    if (before !== undefined && before.epoch === one.epoch && before.number + 1 === one.number)
      (runs.at(-1) as S[]).push(one)
    else runs.push([one])
    before = one
  }
  return runs
}
