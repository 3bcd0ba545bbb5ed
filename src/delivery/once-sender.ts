/** Hands messages that are not kept to the connection with their one recipient, sealed, in the order of the calls. */

import { Turns } from '../common/turns.ts'
import { Underway } from '../common/underway.ts'
import { closedEarly, type Deadline, type FrameMaker, type FrameToBe, type Patience } from '../network/network.ts'
import { bundled, isBundled, runOf } from './bundle.ts'
import type { Lines } from './lines.ts'
import type { OutEpoch } from './out-epoch.ts'
import { type Draft, noKey } from './outgoing-parts.ts'
import { type Destination, sealFrame } from './sealing.ts'

/** What handing them over needs. */
export interface OnceSenderParts {
  readonly recipient: string
  readonly lines: Pick<Lines, 'send' | 'isOpen'>
  readonly to: Destination
  /** The epoch that takes messages now. */
  readonly usable: () => OutEpoch | undefined
  /** Opens one, if there is a key to open it to. */
  readonly open: () => Promise<void>
  /** Sends the opening of an epoch, unless it went over this link. */
  readonly announce: (epoch: OutEpoch) => void
}

/** A message, and the place that it is to be sealed at. */
interface Unsealed {
  readonly epoch: OutEpoch
  /** Given out by the order of the calls: those that are sealed before they wait must not fall behind. */
  readonly number: number
  readonly draft: Draft
}

/** What one message of a bundle takes of it beside its payload, and a share of what all have in common: about, bytes. */
const SEALED_BYTES = 16

/** See the head of this file. */
export class OnceSender implements FrameMaker<Unsealed> {
  readonly #parts: OnceSenderParts
  /** Messages that are handed over. */
  readonly #handing = new Underway()
  /** Those that are being sealed. */
  readonly #sealing = new Turns()

  constructor(parts: OnceSenderParts) {
    this.#parts = parts
  }

  /** Whether any is under way. */
  get busy(): boolean {
    return this.#handing.busy
  }

  /** Resolves when it is handed over. @throws AfpRoutingError NO_ROUTE; what `Network.send` throws */
  send(draft: Draft, signal: AbortSignal | undefined): Promise<void> {
    return this.#handing.add(this.#hand(draft, { signal }))
  }

  /**
   * As {@link OnceSender.send} where there is a link and an epoch: nothing but these is waited for, and no longer than to
   * the deadline. Undefined where there is not.
   */
  sendNow(draft: Draft, deadline: Deadline): Promise<void> | undefined {
    const { recipient, lines, usable } = this.#parts
    const epoch = lines.isOpen(recipient) ? usable() : undefined
    return epoch && this.#give(epoch, draft, { deadline })
  }

  /** Seals what leaves together: many in one, at the place of the first, where they are short. */
  make(unsealed: readonly Unsealed[]): Uint8Array[] | Promise<Uint8Array[]> {
    const frames: (Uint8Array | Promise<Uint8Array>)[] = []
    for (const [epoch, some] of Map.groupBy(unsealed, ({ epoch }) => epoch)) {
      const drafts = some.map(({ draft }) => draft)
      for (let at = 0; at < drafts.length; ) {
        const count = runOf(drafts, at)
        const { number } = some[at] as Unsealed
        frames.push(this.#seal(epoch, number, bundled(drafts.slice(at, at + count))))
        at += count
      }
    }
    return frames.every(frame => frame instanceof Uint8Array) ? frames : Promise.all(frames)
  }

  async #hand(draft: Draft, patience: Patience): Promise<void> {
    const { recipient, usable, open } = this.#parts
    if (usable() === undefined) await open()
    const epoch = usable()
    if (epoch === undefined) throw noKey(recipient)
    await this.#give(epoch, draft, patience)
  }

  #give(epoch: OutEpoch, draft: Draft, patience: Patience): Promise<void> {
    const number = ++epoch.unnumbered
    const frame = isBundled(draft) ? this.#toBe({ epoch, number, draft }) : this.#seal(epoch, number, draft)
    // Some take longer to be sealed, and must not be overtaken: no number tells their order.
    if (frame instanceof Promise || this.#sealing.busy) {
      return this.#handing.add(this.#giveInTurn(epoch, frame, patience))
    }
    return this.#leave(epoch, frame, patience)
  }

  async #giveInTurn(
    epoch: OutEpoch,
    frame: Uint8Array | FrameToBe | Promise<Uint8Array>,
    patience: Patience,
  ): Promise<void> {
    const sealed = await this.#sealing.take(async () => frame)
    const { recipient, lines } = this.#parts
    // A deadline holds only where there is a link.
    if (patience.deadline !== undefined && !lines.isOpen(recipient)) throw closedEarly(recipient)
    await this.#leave(epoch, sealed, patience)
  }

  #toBe(content: Unsealed): FrameToBe {
    const toBe: FrameToBe<Unsealed> = { content, maker: this, length: content.draft.payload.length + SEALED_BYTES }
    return toBe as FrameToBe
  }

  #seal(epoch: OutEpoch, number: number, draft: Draft): Uint8Array | Promise<Uint8Array> {
    return sealFrame(epoch, draft, { number, prev: 0, numbered: false }, this.#parts.to)
  }

  #leave(epoch: OutEpoch, frame: Uint8Array | FrameToBe, patience: Patience): Promise<void> {
    const { recipient, lines, announce } = this.#parts
    announce(epoch)
    return lines.send(recipient, frame, patience)
  }
}
