/** What goes back to an author: everything that is due in one turn of the event loop, in as few frames as it fits. */

import { type NextTask, nextTask } from '../common/slices.ts'
import type { FeedAck } from '../feed/index.ts'
import type { Answers } from './arrived.ts'
import { acksFrames, LOST_KEY_LABEL, lostKeyBody, lostKeyFrame, MAX_EPOCHS, unknownEpochsFrame } from './frames.ts'

/** What answering needs. */
export interface AnswersParts {
  readonly author: string
  readonly mesh: string
  readonly sign: (label: string, data: Uint8Array) => Promise<Uint8Array>
  /** The word on an epoch. */
  readonly ack: (epoch: string) => FeedAck | undefined
  /** How many more messages are welcome. */
  readonly credit: () => number
  /** Hands a frame to the connection, if there is one. */
  readonly send: (frame: Uint8Array) => void
  /** Default: the platform's. */
  readonly nextTask?: NextTask | undefined
}

/** See the head of this file. */
export class DueAnswers implements Answers {
  readonly #parts: AnswersParts
  readonly #acks = new Set<string>()
  readonly #unknown = new Set<string>()
  readonly #lost = new Set<string>()
  /** The last one that there was news of. */
  #latest: string | undefined
  #scheduled = false

  constructor(parts: AnswersParts) {
    this.#parts = parts
  }

  ack(epoch: string): void {
    this.#note(this.#acks, epoch)
  }

  again(): void {
    if (this.#latest !== undefined) this.ack(this.#latest)
  }

  unknown(epoch: string): void {
    this.#note(this.#unknown, epoch)
  }

  lostKey(epoch: string): void {
    this.#note(this.#lost, epoch)
  }

  #note(epochs: Set<string>, epoch: string): void {
    // What does not fit is asked for again by the author.
    if (epochs.size < MAX_EPOCHS) epochs.add(epoch)
    if (this.#scheduled) return
    this.#scheduled = true
    const { nextTask: next = nextTask } = this.#parts
    // A store in memory commits at once: else each message would have an acknowledgement of its own.
    void next().then(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    const { author, mesh, sign, ack, credit, send } = this.#parts
    const acks = take(this.#acks).flatMap(epoch => ack(epoch) ?? [])
    this.#latest = acks.at(-1)?.epoch ?? this.#latest
    if (acks.length > 0) for (const frame of acksFrames(credit(), acks)) send(frame)
    const unknown = take(this.#unknown)
    if (unknown.length > 0) send(unknownEpochsFrame(unknown))
    const lost = take(this.#lost)
    if (lost.length === 0) return
    sign(LOST_KEY_LABEL, lostKeyBody(mesh, author, lost)).then(
      signature => send(lostKeyFrame(lost, signature)),
      () => {},
    )
  }
}

function take(epochs: Set<string>): string[] {
  const all = [...epochs]
  epochs.clear()
  return all
}
