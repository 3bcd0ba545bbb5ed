/**
 * How this agent's own epochs towards one recipient end, and their keys with them: a row goes once everything in it has its
 * end, its key alone as soon as that opens nothing any more.
 */

import type { Write } from '../store/store.ts'
import { isForgotten, isSpent, type OutEpoch } from './out-epoch.ts'
import type { OutgoingParts } from './outgoing-parts.ts'
import type { OwnEpochs } from './own-epochs.ts'
import type { Recorder } from './recorder.ts'

/** What ending them needs. */
export interface EpochEndsParts extends Pick<OutgoingParts, 'clock' | 'prekey'> {
  readonly recipient: string
  readonly epochs: OwnEpochs
  readonly recorder: Recorder
  /** Forgets an epoch that is over; what is to be written. */
  readonly drop: (epoch: OutEpoch) => Write
  /** There is one less. */
  readonly onDropped: () => void
}

/** See the head of this file. */
export class EpochEnds {
  readonly #parts: EpochEndsParts

  constructor(parts: EpochEndsParts) {
    this.#parts = parts
  }

  /** The recipient has had its say on one. Resolves once the disk has what follows from it. */
  async heard(epoch: OutEpoch): Promise<void> {
    const { epochs, recorder, drop, onDropped } = this.#parts
    if (!epoch.feed.done || epochs.get(epoch.id) === undefined) return
    const deletion = drop(epoch)
    await recorder.persist([], () => [deletion])
    onDropped()
  }

  /**
   * Ends all of them, of a recipient for which nothing waits and nothing is under way; what is sent from now on is in
   * another one, as after a restart. They are out of memory once they are out of the store: what is there at the next
   * start was not ended.
   * @throws AfpDataStoreError
   */
  async retire(): Promise<void> {
    this.#parts.epochs.end()
    await this.#forget(this.#parts.epochs.all())
  }

  /**
   * Ends the current one if it is over its time, or if nothing is left in it and it is `quiet`: nothing was sent for a
   * while. Then deletes what is over, or what nobody has a word on any more, and keys that open nothing any more.
   * @throws AfpDataStoreError
   */
  async tidy(quiet: boolean): Promise<void> {
    const { epochs, clock, prekey, recipient, onDropped } = this.#parts
    const now = clock.now()
    // Where these rows stay, the next run forgets them.
    const forgotten = epochs.forgetOld(now)
    epochs.rest(now, prekey(recipient), quiet)
    const all = epochs.all()
    const over = all.filter(epoch => epoch.feed.done || isForgotten(epoch, now))
    await this.#forget(over, all.filter(isSpent), forgotten)
    if (over.length > 0) onDropped()
  }

  async #forget(
    over: readonly OutEpoch[],
    spent: readonly OutEpoch[] = [],
    forgotten: readonly Write[] = [],
  ): Promise<void> {
    const { epochs, recorder, drop } = this.#parts
    const deletions = over.filter(({ stored }) => stored).map(({ id }) => epochs.deletion(id))
    // What is over may be spent too: its row goes after that.
    const writes = [...forgotten, ...spent.map(epoch => epochs.keyless(epoch)), ...deletions]
    if (writes.length > 0) await recorder.record([], writes)
    for (const { keyBytes } of spent) keyBytes.fill(0)
    for (const epoch of over) drop(epoch)
  }
}
