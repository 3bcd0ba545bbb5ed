/**
 * One author's messages that are not numbered: each is taken once, from the author itself, and not kept. They are looked at
 * one after the other, since no number says in which order they were sent.
 */

import { Slices } from '../common/slices.ts'
import type { IncomingParts } from './arrived.ts'
import { unbundled } from './bundle.ts'
import type { EnvelopeReader, Judged } from './envelope-reader.ts'
import type { Envelope, EnvelopeHeader } from './frames.ts'
import type { InEpoch } from './in-epoch.ts'
import type { Opened } from './sealing.ts'

/** What reading them needs. */
export interface UnnumberedParts extends Pick<IncomingParts, 'onOnce' | 'onRefused' | 'onRejected' | 'nextTask'> {
  readonly author: string
  readonly reader: EnvelopeReader
}

/** What was handed on: what is under way with it holds its sender back, and not the next one. */
interface HandedOn {
  readonly work: void | Promise<void>
  /** How many messages it was. */
  readonly count: number
}

/** Half of what may wait for a reader: each is little work, and a turn for others costs as much as some of them. */
const SLICE = { items: 512, bytes: 2 ** 22 }

/** Messages that may be under way before the next ones wait. */
const MAX_UNDER_WAY = 1_024

const DONE: HandedOn = { work: undefined, count: 1 }

/** One that waits for its turn. */
interface Waiting extends PromiseWithResolvers<void> {
  readonly epoch: InEpoch
  readonly envelope: Envelope
}

/** See the head of this file. */
export class UnnumberedReader {
  readonly #parts: UnnumberedParts
  readonly #slices: Slices
  #underWay = 0
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
      void this.#goOn(looked.then(handed => this.#pauseAfter(handed, envelope)))
      return looked.then(({ work }) => work)
    }
    const pause = this.#pauseAfter(looked, envelope)
    if (pause !== undefined) void this.#goOn(pause)
    return looked.work
  }

  /** Takes those that come meanwhile, one after the other. */
  async #goOn(before: Promise<unknown>): Promise<void> {
    const waiting: Waiting[] = []
    this.#waiting = waiting
    await before.catch(() => {})
    // Others come as it is read, and it may never be empty: what is read is let go of.
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { epoch, envelope, resolve, reject } = next
      try {
        const looked = this.#look(epoch, envelope)
        const handed = looked instanceof Promise ? await looked : looked
        resolve(handed.work as Promise<void>)
        await this.#pauseAfter(handed, envelope)
      } catch (error) {
        reject(error)
      }
    }
    this.#waiting = undefined
  }

  /** What the next ones wait for, if for anything. */
  #pauseAfter({ work, count }: HandedOn, { sealed }: Envelope): Promise<void> | undefined {
    if (work !== undefined) {
      this.#underWay += count
      const over = (): void => {
        this.#underWay -= count
      }
      work.then(over, over)
    }
    // Whoever reads has its turn in between, however many come in one piece: what is handed on waits for it in a queue.
    const full = this.#slices.did(sealed.length, count)
    // One frame may bring many, so that to hold their sender back by frames is not enough.
    if (work !== undefined && this.#underWay > MAX_UNDER_WAY) return work
    return full ? this.#slices.pause() : undefined
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
    try {
      const bundle = about === undefined ? unbundled(payload) : undefined
      if (bundle !== undefined) return this.#judgeAll(bundle, header, 0, [])
    } catch (error) {
      return this.#handOn(error as Error, payload.length)
    }
    const judged = this.#parts.reader.judge(payload, header, about)
    return judged instanceof Promise
      ? judged.then(known => this.#handOn(known, payload.length))
      : this.#handOn(judged, payload.length)
  }

  /** Those of a bundle from `start` on, in their order; what is under way with those before them is in `working`. */
  #judgeAll(
    bundle: readonly Uint8Array[],
    header: EnvelopeHeader,
    start: number,
    working: Promise<void>[],
  ): HandedOn | Promise<HandedOn> {
    for (let i = start; i < bundle.length; i++) {
      const payload = bundle[i] as Uint8Array
      const note = ({ work }: HandedOn): void => void (work !== undefined && working.push(work))
      const judged = this.#parts.reader.judge(payload, header, 'bundle')
      if (judged instanceof Promise) {
        return judged.then(known => {
          note(this.#handOn(known, payload.length))
          return this.#judgeAll(bundle, header, i + 1, working)
        })
      }
      note(this.#handOn(judged, payload.length))
    }
    return { work: working.length === 0 ? undefined : Promise.all(working).then(() => {}), count: bundle.length }
  }

  #handOn(judged: Judged, bytes: number): HandedOn {
    const { author, onOnce, onRejected } = this.#parts
    if (!(judged instanceof Error)) return { work: onOnce(judged.message, judged.kind, bytes), count: 1 }
    onRejected(author, judged)
    return DONE
  }
}
