/**
 * The ways to other agents: connections that are open, those that are to be opened because something waits, and for
 * what this agent sends to itself its own way in.
 */

import type { Clock, Timer } from '../common/clock.ts'
import { Turns } from '../common/turns.ts'
import { type AnyFrame, madeFrames, type Network, type Patience } from '../network/network.ts'

/** How long after an attempt that failed the next one is, ms; the network has pauses of its own for what it dials. */
const PAUSE = 5_000

/** What they are made of. */
export interface LinesParts {
  readonly self: string
  readonly network: Pick<Network, 'send' | 'link' | 'peer' | 'open' | 'hurry'>
  readonly clock: Clock
  /** A frame that this agent sent to itself. */
  readonly received: (from: string, frame: Uint8Array) => void | Promise<void>
}

/** See the head of this file. */
export class Lines {
  readonly #parts: LinesParts
  /** Agents that are being connected to, or will be after a pause. */
  readonly #reaching = new Map<string, Timer | undefined>()
  /** What this agent sends to itself, in its order. */
  readonly #own = new Turns()
  #closed = false

  constructor(parts: LinesParts) {
    this.#parts = parts
  }

  /** Whether something can be sent to an agent now. */
  isOpen(agent: string): boolean {
    return agent === this.#parts.self || this.#parts.network.link(agent) !== undefined
  }

  /** Round trip to an agent, ms; 0 while it is not known. */
  rtt(agent: string): number {
    return this.#parts.network.link(agent)?.rtt ?? 0
  }

  /** As `Network.send`. */
  send(agent: string, frame: AnyFrame, options?: Patience): Promise<void> {
    return agent === this.#parts.self ? this.#toSelf(frame) : this.#parts.network.send(agent, frame, options)
  }

  #toSelf(frame: AnyFrame): Promise<void> {
    return this.#own.take(async () => {
      // As over a connection: what is sent is not taken within the call.
      await undefined
      const { self, received } = this.#parts
      for (const { frames, failed } of await madeFrames([frame])) {
        if (failed !== undefined) throw failed.reason
        for (const made of frames) if (!this.#closed) void received(self, made)
      }
    })
  }

  /** An agent is online again: what it was tried in vain before says nothing about now. */
  back(agent: string): void {
    const timer = this.#reaching.get(agent)
    if (timer === undefined) return
    timer.cancel()
    this.#reaching.delete(agent)
  }

  /**
   * Connects to an agent that is online, and goes on trying as long as something is wanted of it. One that is not is left
   * to the network, which may know where it was.
   */
  reach(agent: string, wanted: () => boolean): void {
    const { network, clock } = this.#parts
    if (this.#closed || this.#reaching.has(agent) || this.isOpen(agent)) return
    if (network.peer(agent)?.online !== true) return network.hurry(agent)
    this.#reaching.set(agent, undefined)
    const again = (): void => {
      this.#reaching.delete(agent)
      if (wanted()) this.reach(agent, wanted)
    }
    network.open(agent).then(
      () => this.#reaching.delete(agent),
      () => {
        if (!this.#closed) this.#reaching.set(agent, clock.after(PAUSE, again))
      },
    )
  }

  close(): void {
    this.#closed = true
    for (const timer of this.#reaching.values()) timer?.cancel()
  }
}
