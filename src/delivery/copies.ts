/**
 * Copies of what somebody waits for: where a recipient has no room for anything that is kept, a reply or a failure goes
 * unnumbered as well, once over each link. Whoever waits for it needs no room for it, and makes room once it is there.
 */

import { AfpError } from '../common/errors.ts'
import { type NextTask, Slices } from '../common/slices.ts'
import { draftAgain } from './entries.ts'
import type { Entry } from './out-epoch.ts'
import type { Draft } from './outgoing-parts.ts'

/** What copying needs. */
export interface CopiesParts {
  /** This agent's id. */
  readonly author: string
  /** Hands a message to the connection that is open, sealed but not kept. */
  readonly copy: (draft: Draft) => Promise<void>
  readonly nextTask?: NextTask | undefined
}

/** See the head of this file. */
export class Copies {
  readonly #parts: CopiesParts
  /** Those that are waited for and have none over this link, in their order. */
  readonly #due = new Set<Entry>()
  /** Those that have one. */
  readonly #made = new Set<Entry>()
  /** One after the other: neither the connection nor anybody else's turn is taken up by all of them. */
  #making = false
  #again = false

  constructor(parts: CopiesParts) {
    this.#parts = parts
  }

  /** A message that may leave. */
  add(entry: Entry): void {
    if (entry.awaited && !this.#made.has(entry)) this.#due.add(entry)
  }

  /** It has arrived, or is given up: none of it leaves any more. */
  remove(entry: Entry): void {
    this.#due.delete(entry)
    this.#made.delete(entry)
  }

  /** Another link is open: what left over the one before it may be lost. */
  linked(): void {
    for (const entry of this.#made) this.#due.add(entry)
    this.#made.clear()
  }

  /** Sends what is due and may go. False: some of it did not leave, and is due again at the next call. */
  async send(mayGo: (entry: Entry) => boolean): Promise<boolean> {
    this.#again = true
    if (this.#making || this.#due.size === 0) return true
    this.#making = true
    const slices = new Slices(this.#parts.nextTask)
    let all = true
    while (this.#again) {
      this.#again = false
      const failed: Entry[] = []
      for (const entry of this.#due) {
        if (!mayGo(entry)) continue
        this.#due.delete(entry)
        this.#made.add(entry)
        if (!(await this.#copy(entry)) && this.#made.delete(entry)) failed.push(entry)
        if (slices.did(entry.bytes)) await slices.pause()
      }
      for (const entry of failed) this.#due.add(entry)
      all = failed.length === 0
    }
    this.#making = false
    return all
  }

  /** False: it did not leave, and may the next time. */
  async #copy(entry: Entry): Promise<boolean> {
    const { author, copy } = this.#parts
    const { left } = entry
    try {
      const draft = await draftAgain(entry, author)
      // Its recipient has it by now, or it was given up, or the link is another one.
      if (!this.#made.has(entry)) return false
      // From here on nobody knows better, also while it is being sealed.
      entry.left = true
      await copy(draft)
      entry.copied = true
      return true
    } catch (error) {
      // One that is too large is so the next time as well.
      const large = error instanceof AfpError && error.code === 'MESSAGE_TOO_LARGE'
      if (large) entry.left = left
      return large
    }
  }
}
