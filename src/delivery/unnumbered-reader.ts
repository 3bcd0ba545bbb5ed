/**
 * One author's messages that are not numbered: each is taken once, from the author itself, and not kept. They are looked at
 * one after the other, since no number says in which order they were sent.
 */

import { Slices } from '../common/slices.ts'
import { Turns } from '../common/turns.ts'
import type { IncomingParts } from './arrived.ts'
import type { EnvelopeReader, Judged } from './envelope-reader.ts'
import type { Envelope } from './frames.ts'
import type { InEpoch } from './in-epoch.ts'
import type { Opened } from './sealing.ts'

/** What reading them needs. */
export interface UnnumberedParts extends Pick<IncomingParts, 'onOnce' | 'onRefused' | 'onRejected' | 'nextTask'> {
  readonly author: string
  readonly reader: EnvelopeReader
}

/** One that was handed on: what is under way with it holds its sender back, and not the next one. */
interface HandedOn {
  readonly work: void | Promise<void>
}

const DONE: HandedOn = { work: undefined }

/** See the head of this file. */
export class UnnumberedReader {
  readonly #parts: UnnumberedParts
  readonly #looking = new Turns()
  readonly #slices: Slices

  constructor(parts: UnnumberedParts) {
    this.#parts = parts
    this.#slices = new Slices(parts.nextTask)
  }

  /**
   * Takes one; asynchronous only where the platform's cipher is, or a hook, or its handler.
   * @throws as `EnvelopeReader.open`: then it was not received
   */
  take(epoch: InEpoch, envelope: Envelope): void | Promise<void> {
    if (this.#looking.busy) return this.#later(() => this.#look(epoch, envelope))
    const looked = this.#look(epoch, envelope)
    if (looked instanceof Promise) return this.#later(() => looked)
    // Whoever reads has its turn in between, however many come in one piece: what is handed on waits for it in a queue.
    if (this.#slices.did(envelope.sealed.length)) void this.#looking.take(() => this.#slices.pause())
    return looked.work
  }

  async #later(look: () => HandedOn | Promise<HandedOn>): Promise<void> {
    const { work } = await this.#looking.take(async () => {
      const looked = await look()
      if (this.#slices.did()) await this.#slices.pause()
      return looked
    })
    await work
  }

  #look(epoch: InEpoch, envelope: Envelope): HandedOn | Promise<HandedOn> {
    const { author, reader, onRefused } = this.#parts
    const { number } = envelope.header
    if (epoch.hadOnce(number)) {
      onRefused(author, 'duplicate', `number ${number}`)
      return DONE
    }
    const opened = reader.open(epoch.key, envelope)
    return opened instanceof Promise
      ? opened.then(plain => this.#judge(epoch, envelope, plain))
      : this.#judge(epoch, envelope, opened)
  }

  #judge(epoch: InEpoch, { header }: Envelope, { payload, about }: Opened): HandedOn | Promise<HandedOn> {
    epoch.noteOnce(header.number)
    const judged = this.#parts.reader.judge(payload, header, about)
    return judged instanceof Promise
      ? judged.then(known => this.#handOn(known, payload.length))
      : this.#handOn(judged, payload.length)
  }

  #handOn(judged: Judged, bytes: number): HandedOn {
    const { author, onOnce, onRejected } = this.#parts
    if (!(judged instanceof Error)) return { work: onOnce(judged.message, judged.kind, bytes) }
    onRejected(author, judged)
    return DONE
  }
}
