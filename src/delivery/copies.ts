/**
 * Copies of what somebody waits for: where a recipient has no room for anything that is kept, a reply or a failure goes
 * unnumbered as well, once over each link. Whoever waits for it needs no room for it, and makes room once it is there.
 */

import type { Clock, Timer } from '../common/clock.ts'
import { AfpError } from '../common/errors.ts'
import { type NextTask, Slices } from '../common/slices.ts'
import { draftAgain } from './entries.ts'
import type { Envelopes } from './envelopes.ts'
import type { Leaving } from './leaving.ts'
import type { Entry } from './out-epoch.ts'
import type { Draft } from './outgoing-parts.ts'

/**
 * How long copies wait after the connection would not take one, ms; doubled with each that it would not, up to the other:
 * each of them is opened and sealed for nothing.
 */
const PAUSE = 100
const LONGEST_PAUSE = 5_000

/** What copying needs. */
export interface CopiesParts {
  readonly envelopes: Envelopes
  readonly clock: Clock
  /** Hands a message to the connection that is open, sealed but not kept. */
  readonly copy: (draft: Draft) => Promise<void>
  readonly nextTask?: NextTask | undefined
}

/** See the head of this file. */
export class Copies {
  readonly #parts: CopiesParts
  readonly #leaving: Leaving
  /** Whether one may go, also once it was opened: that takes a while. */
  readonly #mayGo: (entry: Entry) => boolean
  /** Those that are waited for and have none over this link, in their order. */
  readonly #due = new Set<Entry>()
  /** Those that have one, and those of which there can be none. */
  readonly #done = new Set<Entry>()
  /** One after the other: neither the connection nor anybody else's turn is taken up by all of them. */
  #making = false
  #again = false
  /** How many links there were. */
  #link = 0
  #pause = PAUSE
  #timer: Timer | undefined

  constructor(parts: CopiesParts, leaving: Leaving, mayGo: (entry: Entry) => boolean) {
    this.#parts = parts
    this.#leaving = leaving
    this.#mayGo = mayGo
  }

  /** A message that may leave. */
  add(entry: Entry): void {
    if (entry.awaited && !this.#done.has(entry)) this.#due.add(entry)
  }

  /** It has arrived, or is given up: none of it leaves any more. */
  remove(entry: Entry): void {
    this.#due.delete(entry)
    this.#done.delete(entry)
  }

  /** Another link is open: what left over the one before it may be lost. */
  linked(): void {
    this.#link++
    for (const entry of this.#done) this.#due.add(entry)
    this.#done.clear()
    this.#taken()
  }

  /** Sends what is due and may go; later, where the connection has just not taken one. */
  async send(): Promise<void> {
    this.#again = true
    if (this.#making || this.#timer !== undefined || this.#due.size === 0) return
    this.#making = true
    const slices = new Slices(this.#parts.nextTask)
    while (this.#again && this.#timer === undefined) {
      this.#again = false
      for (const entry of this.#due) {
        if (!this.#mayGo(entry)) continue
        await this.#copy(entry)
        // It would not take the others either.
        if (this.#timer !== undefined) break
        if (slices.did(entry.bytes)) await slices.pause()
      }
    }
    this.#making = false
  }

  /** Nothing more leaves. What is added from now on may not go. */
  close(): void {
    this.#timer?.cancel()
    this.#due.clear()
  }

  async #copy(entry: Entry): Promise<void> {
    const { envelopes, copy } = this.#parts
    const link = this.#link
    // One that cannot be opened cannot be the next time either.
    const payload = await envelopes.payload(entry).catch(() => undefined)
    // Its recipient has it by now, or it was given up, or the link is another one, or none.
    if (link !== this.#link || !this.#due.has(entry) || !this.#mayGo(entry)) return
    if (payload === undefined) return this.#end(entry)
    this.#leaving.starts(entry)
    try {
      await copy({ ...draftAgain(entry), payload })
      if (link !== this.#link) return
      this.#taken()
      this.#end(entry)
    } catch (error) {
      // One that is too large is so the next time as well, over this link.
      const large = error instanceof AfpError && error.code === 'MESSAGE_TOO_LARGE'
      if (large) this.#leaving.refused(entry)
      if (link !== this.#link) return
      if (large) this.#end(entry)
      else this.#later()
    }
  }

  #end(entry: Entry): void {
    if (this.#due.delete(entry)) this.#done.add(entry)
  }

  /** The connection takes what it gets, or has not been tried. */
  #taken(): void {
    this.#pause = PAUSE
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #later(): void {
    if (this.#due.size === 0) return
    this.#timer = this.#parts.clock.after(this.#pause, () => {
      this.#timer = undefined
      void this.send()
    })
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE)
  }
}
