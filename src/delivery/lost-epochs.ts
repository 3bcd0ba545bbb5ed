/**
 * Epochs whose key their recipient has lost, by its own signed word. What is unsettled in them goes again under new
 * numbers, in the order in which it was sent. Its word is the fence: nothing of the old ones can have an effect any more.
 */

import { Turns } from '../common/turns.ts'
import type { Write } from '../store/store.ts'
import { lostEpoch } from './consequences.ts'
import { draftAgain } from './entries.ts'
import type { Fencing } from './fencing.ts'
import type { Quota } from './ledger.ts'
import type { OutEpoch } from './out-epoch.ts'
import type { OwnEpochs } from './own-epochs.ts'
import type { Recorder } from './recorder.ts'
import type { Unsealed } from './unsealed.ts'

/** What sending it again needs. */
export interface LostEpochsParts {
  readonly recipient: string
  readonly epochs: OwnEpochs
  readonly fencing: Pick<Fencing, 'isCalledOff'>
  readonly recorder: Recorder
  readonly quota: Quota
  readonly unsealed: Unsealed
  /** Takes a message out of memory. */
  readonly remove: (epoch: OutEpoch, number: number) => void
  /** Forgets an epoch; what is to be written. */
  readonly drop: (epoch: OutEpoch) => Write
  /** There is something to be sealed. */
  readonly onWaiting: () => void
}

/** See the head of this file. */
export class LostEpochs {
  readonly #parts: LostEpochsParts
  /** An earlier one may have to wait for the disk: what comes behind it is not to be sealed before. */
  readonly #turns = new Turns()

  constructor(parts: LostEpochsParts) {
    this.#parts = parts
  }

  /** Resolves once the disk has what follows from it at once. */
  async lose(ids: readonly string[]): Promise<void> {
    const lost = this.#parts.epochs.lose(ids).sort((a, b) => a.order - b.order)
    const moves = lost.map(epoch => this.#turns.take(() => this.#sendAnew(epoch)))
    for (const { written } of await Promise.all(moves)) await written
  }

  /** What is written of it, the next one does not wait for. */
  async #sendAnew(epoch: OutEpoch): Promise<{ written: Promise<unknown> | undefined }> {
    const { recipient, fencing, recorder, quota, unsealed, remove, drop, onWaiting } = this.#parts
    // A message that is still on its way into it would be lost with it; one that is being given up would go all the same.
    while (epoch.writing.busy) await epoch.writing.ended()
    const entries = [...epoch.entries.values()]
    const { fates, writes, arrived } = lostEpoch(epoch, recipient)
    // What is still being written of them finds no row to change.
    epoch.messages.clear()
    const deletion = drop(epoch)
    const moved = entries.map(entry => {
      const { number, bytes, order, awaited } = entry
      remove(epoch, number)
      quota.keep(bytes, awaited)
      return unsealed.add(draftAgain(entry), order, { row: entry, bytes, calledOff: fencing.isCalledOff(entry) })
    })
    onWaiting()
    const written = writes.length > 0 ? recorder.persist(fates, () => writes) : undefined
    // Its rows can be read with its key alone: after a crash they are moved anew. Without it nobody knows what a fence is.
    void Promise.allSettled(moved).then(async ends => {
      await written
      await epoch.recording.ended()
      const over = [...arrived, ...(ends.every(({ status }) => status === 'fulfilled') ? [deletion] : [])]
      if (over.length > 0) await recorder.persist([], () => over)
    })
    return { written }
  }
}
