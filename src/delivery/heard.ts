/** A recipient's words on what it has: what they change at once, and what is written of them. */

import type { AckNews, FeedAck } from '../feed/index.ts'
import type { Write } from '../store/store.ts'
import { type Consequences, consequences } from './consequences.ts'
import type { Envelopes } from './envelopes.ts'
import type { EpochEnds } from './epoch-ends.ts'
import type { OutRow } from './loading.ts'
import type { OutEpoch } from './out-epoch.ts'
import type { OutgoingParts } from './outgoing-parts.ts'
import { OwedLetters } from './owed-letters.ts'
import type { OwnEpochs } from './own-epochs.ts'
import type { Recorder } from './recorder.ts'
import type { Sender } from './sender.ts'

/** What hearing needs. */
export interface HeardParts extends Pick<OutgoingParts, 'quota' | 'onRollback'> {
  readonly recipient: string
  readonly epochs: OwnEpochs
  readonly sender: Sender
  readonly envelopes: Envelopes
  readonly recorder: Recorder
  /** Takes a message out of memory. */
  readonly remove: (epoch: OutEpoch, number: number) => void
  readonly ends: EpochEnds
  /** There is one less that an opening has to name. */
  readonly onRoom: () => void
}

/** See the head of this file. */
export class Heard {
  readonly #parts: HeardParts
  readonly #owed: OwedLetters

  constructor(parts: HeardParts) {
    this.#parts = parts
    this.#owed = new OwedLetters(parts)
  }

  /** Takes in what an earlier run left of what had its end. */
  load(owed: readonly OutRow[]): void {
    this.#owed.load(owed)
  }

  /**
   * Resolves when it is written.
   * @throws AfpMessageError MALFORMED for numbers that were never given out; nothing of the acknowledgement counts then
   */
  async acked(ack: FeedAck): Promise<void> {
    const epoch = this.#parts.epochs.get(ack.epoch)
    if (epoch === undefined) return
    const { written } = await epoch.writing.add(this.#take(epoch, ack))
    await written
  }

  async #take(epoch: OutEpoch, ack: FeedAck): Promise<{ written: Promise<void> }> {
    const { envelopes, recipient, sender, remove, onRollback, onRoom } = this.#parts
    const { arrived } = epoch.feed
    const news = epoch.feed.acked(ack)
    if (epoch.feed.arrived && !arrived) onRoom()
    if (news.rollback) onRollback(recipient, epoch.id)
    const ends = await consequences(news, epoch, { envelopes, recipient })
    const { over } = ends
    sender.heard({ arrived: news.delivered.length > 0, news: over.size > 0 })
    for (const number of [...news.delivered, ...over]) remove(epoch, number)
    for (const number of over) epoch.messages.delete(number)
    sender.pump()
    return { written: epoch.recording.add(this.#write(epoch, news, ends)) }
  }

  async #write(epoch: OutEpoch, news: AckNews, ends: Consequences): Promise<void> {
    const { sender, recorder, ends: over } = this.#parts
    const { fates, arrived, writes, letters } = ends
    // Without a message its end is known by now.
    const rows = (): Write[] => [...arrived].flatMap(([number, put]) => (epoch.messages.has(number) ? put : []))
    const others = fates.length > 0 || writes.length > 0
    const written = await Promise.all([
      !others || recorder.persist(fates, () => [...rows(), ...writes]),
      ...letters.map(letter => this.#owed.end(letter)),
    ])
    // What is not on the disk the recipient has to say again, in the next run: it must not be told that it need not.
    if (written.includes(false)) return
    news.committed()
    await over.heard(epoch)
    sender.pump()
  }
}
