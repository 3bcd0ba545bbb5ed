/**
 * One author's messages that are not numbered: each is taken once, from the author itself, and not kept. They are looked at
 * one after the other, since no number says in which order they were sent.
 */

import { Slices } from '../common/slices.ts'
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

/** Half of what may wait for a reader: each is little work, and a turn for others costs as much as some of them. */
const SLICE = { items: 512, bytes: 2 ** 22 }

const DONE: HandedOn = { work: undefined }

/** One that waits for its turn. */
interface Waiting extends PromiseWithResolvers<void> {
  readonly epoch: InEpoch
  readonly envelope: Envelope
}

/** See the head of this file. */
export class UnnumberedReader {
  readonly #parts: UnnumberedParts
  readonly #slices: Slices
  /** Those that wait, in their order; undefined while none before them is at work. */
  #waiting: Waiting[] | undefined

  constructor(parts: UnnumberedParts) {
    this.#parts = parts
    this.#slices = new Slices(parts.nextTask, SLICE)
  }

  /**
   * Takes one; asynchronous only where the platform's cipher is, or a hook, or its handler, and where many come at once.
   * @throws as `EnvelopeReader.open`: then it was not received
   */
  take(epoch: InEpoch, envelope: Envelope): void | Promise<void> {
    if (this.#waiting !== undefined) {
      const waiting = { ...Promise.withResolvers<void>(), epoch, envelope }
      this.#waiting.push(waiting)
      return waiting.promise
    }
    const looked = this.#look(epoch, envelope)
    if (looked instanceof Promise) {
      void this.#goOn(looked)
      return looked.then(({ work }) => work)
    }
    // Whoever reads has its turn in between, however many come in one piece: what is handed on waits for it in a queue.
    if (this.#slices.did(envelope.sealed.length)) void this.#goOn(this.#slices.pause())
    return looked.work
  }

  /** Takes those that come meanwhile, one after the other. */
  async #goOn(before: Promise<unknown>): Promise<void> {
    const waiting: Waiting[] = []
    this.#waiting = waiting
    await before.catch(() => {})
    // It grows as it is read.
    for (const { epoch, envelope, resolve, reject } of waiting) {
      try {
        const looked = this.#look(epoch, envelope)
        const { work } = looked instanceof Promise ? await looked : looked
        resolve(work as Promise<void>)
      } catch (error) {
        reject(error)
      }
      if (this.#slices.did(envelope.sealed.length)) await this.#slices.pause()
    }
    this.#waiting = undefined
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
