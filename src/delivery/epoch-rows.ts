/**
 * What the disk has of an author's epochs, beside the rows of their messages: of each in which something was taken how
 * it stands, then that it is settled. Of others it has nothing; their author says again what it said of them.
 */

import { type Epochs, KEEP_SETTLED, type Position } from '../feed/index.ts'
import type { Write } from '../store/store.ts'
import { wholeRow } from '../store/whole-row.ts'
import type { IncomingParts } from './arrived.ts'
import type { InEpochs } from './in-epoch.ts'
import { writePause } from './next-try.ts'
import { epochKey, putEpoch, putSettled } from './rows.ts'

/** What keeping them needs. */
export interface EpochRowsParts extends Pick<IncomingParts, 'store' | 'clock' | 'limits' | 'onError'> {
  readonly author: string
  readonly epochs: Epochs
  readonly keys: InEpochs
}

/** See the head of this file. */
export class EpochRows {
  readonly #parts: EpochRowsParts
  readonly #closing = new AbortController()

  constructor(parts: EpochRowsParts) {
    this.#parts = parts
  }

  /** An epoch as it was left, see `Epochs.restore`. @throws AfpDataStoreError STORE_FAILED when its row is damaged */
  restore(epoch: string, snapshot: unknown, rows: readonly Position[]): void {
    const { author, epochs } = this.#parts
    wholeRow('epochs', epochKey('in', author, epoch), () => epochs.restore(epoch, snapshot, rows))
  }

  /** What is to be written of an epoch; `committed` is to be called once it is. @param ended as for `Epochs.snapshot` */
  put(epoch: string, ended: readonly number[] = []): { writes: Write[]; committed: () => void } {
    const { author, epochs, keys } = this.#parts
    const kept = keys.get(epoch)
    const snapshot = epochs.snapshot(epoch, ended)
    if (kept === undefined || snapshot === undefined) return { writes: [], committed: () => {} }
    const committed = (): void => {
      kept.stored = true
      snapshot.committed()
    }
    return { writes: [putEpoch(author, epoch, { ...kept.kept, snapshot: snapshot.value })], committed }
  }

  /**
   * Writes how epochs stand, and calls back then. Where that fails it is tried again later, and holds up nothing that
   * comes meanwhile.
   */
  async keep(changed: readonly string[], then = () => {}): Promise<void> {
    const { store, clock, onError } = this.#parts
    const rows = this.#rowsOf(changed).map(epoch => this.put(epoch))
    try {
      if (rows.length > 0) await store.commit({ writes: rows.flatMap(({ writes }) => writes) })
      for (const { committed } of rows) committed()
      then()
    } catch (error) {
      const { signal } = this.#closing
      if (signal.aborted) return
      onError(error)
      void writePause(clock, signal).then(() => (signal.aborted ? undefined : this.keep(changed, then)))
    }
  }

  /** Lets go of what is over. @param ended epochs that are not kept any more */
  async shrink(ended: readonly string[]): Promise<void> {
    const { store, clock, limits, onError, author, epochs, keys } = this.#parts
    const { settled, untaken, forgotten } = epochs.shrink(clock.now(), KEEP_SETTLED + 2_000 * limits.clockSkew)
    const over = [...ended, ...untaken]
    const stored = over.filter(id => keys.letGo(id))
    for (const { epoch } of settled) keys.letGo(epoch)
    // No row says that these are over: a later one must not wait for them after a restart.
    const later = this.#after([...over, ...forgotten]).filter(id => keys.get(id)?.stored)
    const gone = [...stored, ...forgotten].map(id => epochKey('in', author, id))
    const writes = [
      ...settled.map(entry => putSettled(author, entry)),
      ...later.flatMap(id => this.put(id).writes),
      ...gone.map((key): Write => ({ op: 'delete', table: 'epochs', key })),
    ]
    // Where they stay, the author's next word settles them anew after a restart.
    if (writes.length > 0) await store.commit({ writes }).catch(onError)
  }

  /**
   * Epochs whose rows have to say what changed in these. One in which nothing has arrived has none, and one that is given
   * up may never have been opened here: that nothing waits for them is for the rows of later ones to say.
   */
  #rowsOf(changed: readonly string[]): string[] {
    const isTouched = (id: string): boolean => this.#parts.epochs.feed(id)?.untouched === false
    const rowless = changed.filter(id => !isTouched(id))
    return [...new Set([...changed, ...this.#after(rowless)])].filter(isTouched)
  }

  /** Epochs that were opened after any of these. */
  #after(earlier: readonly string[]): string[] {
    if (earlier.length === 0) return []
    const ids = new Set(earlier)
    const all = this.#parts.keys.all().filter(({ kept }) => kept.earlier.some(id => ids.has(id)))
    return all.map(({ id }) => id)
  }

  /** What failed is not tried again. */
  close(): void {
    this.#closing.abort()
  }
}
