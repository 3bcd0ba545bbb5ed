/** Hands messages that are not kept to the connection with their one recipient, sealed, in the order of the calls. */

import { Turns } from '../common/turns.ts'
import { Underway } from '../common/underway.ts'
import { closedEarly, type Deadline, type Patience } from '../network/network.ts'
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

/** See the head of this file. */
export class OnceSender {
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
    if (epoch === undefined) return undefined
    const frame = this.#seal(epoch, draft)
    if (frame instanceof Uint8Array && !this.#sealing.busy) return this.#leave(epoch, frame, { deadline })
    return this.#handing.add(this.#handSealed(epoch, frame, { deadline }))
  }

  async #hand(draft: Draft, patience: Patience): Promise<void> {
    const { recipient, usable, open } = this.#parts
    if (usable() === undefined) await open()
    const epoch = usable()
    if (epoch === undefined) throw noKey(recipient)
    await this.#handSealed(epoch, this.#seal(epoch, draft), patience)
  }

  #seal(epoch: OutEpoch, draft: Draft): Uint8Array | Promise<Uint8Array> {
    return sealFrame(epoch, draft, { number: ++epoch.unnumbered, prev: 0, numbered: false }, this.#parts.to)
  }

  async #handSealed(epoch: OutEpoch, frame: Uint8Array | Promise<Uint8Array>, patience: Patience): Promise<void> {
    // Longer ones take longer, and must not be overtaken: no number tells their order.
    if (!(frame instanceof Uint8Array) || this.#sealing.busy) await this.#sealing.take(async () => frame)
    const { recipient, lines } = this.#parts
    // A deadline holds only where there is a link.
    if (patience.deadline !== undefined && !lines.isOpen(recipient)) throw closedEarly(recipient)
    await this.#leave(epoch, await frame, patience)
  }

  #leave(epoch: OutEpoch, frame: Uint8Array, patience: Patience): Promise<void> {
    const { recipient, lines, announce } = this.#parts
    announce(epoch)
    return lines.send(recipient, frame, patience)
  }
}
