/** A recipient's words on what it has: what they change at once, and what is written of them. */

import type { AckNews, FeedAck } from '../feed/index.ts'
import type { Write } from '../store/store.ts'
import { type Consequences, consequences } from './consequences.ts'
import type { OutEpoch } from './out-epoch.ts'
import type { OutgoingParts } from './outgoing-parts.ts'
import type { OwnEpochs } from './own-epochs.ts'
import type { Recorder } from './recorder.ts'
import type { Sender } from './sender.ts'

/** What hearing needs. */
export interface HeardParts extends Pick<OutgoingParts, 'identity' | 'onRollback'> {
  readonly recipient: string
  readonly epochs: OwnEpochs
  readonly sender: Sender
  readonly recorder: Recorder
  /** Takes a message out of memory. */
  readonly remove: (epoch: OutEpoch, number: number) => void
  /** Forgets an epoch that is over; what is to be written. */
  readonly drop: (epoch: OutEpoch) => Write
  /** There is one less, or one less that an opening has to name. */
  readonly onRoom: () => void
}

/** See the head of this file. */
export class Heard {
  readonly #parts: HeardParts

  constructor(parts: HeardParts) {
    this.#parts = parts
  }

  /**
   * Resolves when it is written, or waits for nothing but room for a dead letter.
   * @throws AfpMessageError MALFORMED for numbers that were never given out; nothing of the acknowledgement counts then
   */
  async acked(ack: FeedAck): Promise<void> {
    const epoch = this.#parts.epochs.get(ack.epoch)
    if (epoch === undefined) return
    const { promise: waits, resolve } = Promise.withResolvers<void>()
    const { written } = await epoch.writing.add(this.#take(epoch, ack, resolve))
    // Whoever waits for that room holds up neither the link nor what goes again under other numbers.
    await Promise.race([written, waits])
  }

  /** @param waits see {@link Recorder.persist} */
  async #take(epoch: OutEpoch, ack: FeedAck, waits: () => void): Promise<{ written: Promise<void> }> {
    const { identity, recipient, sender, remove, onRollback, onRoom } = this.#parts
    const { arrived } = epoch.feed
    const news = epoch.feed.acked(ack)
    if (epoch.feed.arrived && !arrived) onRoom()
    if (news.rollback) onRollback(recipient, epoch.id)
    const ends = await consequences(news, epoch, { author: identity.id, recipient })
    const { over } = ends
    sender.heard({ arrived: news.delivered.length > 0, news: over.size > 0 })
    for (const number of [...news.delivered, ...over]) remove(epoch, number)
    for (const number of over) epoch.messages.delete(number)
    sender.pump()
    return { written: epoch.recording.add(this.#write(epoch, news, ends, waits)) }
  }

  async #write(epoch: OutEpoch, news: AckNews, ends: Consequences, waits: () => void): Promise<void> {
    const { sender, recorder } = this.#parts
    const { fates, arrived, writes, letters } = ends
    // Without a message its end is known by now.
    const rows = (): Write[] => [...arrived].flatMap(([number, put]) => (epoch.messages.has(number) ? put : []))
    const others = fates.length > 0 || writes.length > 0
    const written = await Promise.all([
      !others || recorder.persist(fates, () => [...rows(), ...writes]),
      ...letters.map(({ fates, writes }) => recorder.persist(fates, () => writes, waits)),
    ])
    // What is not on the disk the recipient has to say again, in the next run: it must not be told that it need not.
    if (written.includes(false)) return
    news.committed()
    await this.#end(epoch)
    sender.pump()
  }

  async #end(epoch: OutEpoch): Promise<void> {
    const { epochs, recorder, drop, onRoom } = this.#parts
    if (!epoch.feed.done || epochs.get(epoch.id) === undefined) return
    const deletion = drop(epoch)
    await recorder.persist([], () => [deletion])
    onRoom()
  }
}
