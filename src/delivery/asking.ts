/** When a recipient that says nothing is asked what it has, while something has no end. A plain structure that is told the time. */

/**
 * How long after its last word the recipient is asked what it has, ms, while something has no end: an answer may have
 * been lost with a connection that another one stood in for. Doubled with each question up to the other, which is below
 * the patience of recipients with what is missing: the question says that it is there.
 */
const ASK_PAUSE = 5_000
const LONGEST_ASK_PAUSE = 20_000

/** See the head of this file. Times are of the monotonic clock, ms. */
export class Asking {
  #pause = ASK_PAUSE
  #at = 0
  /** When the recipient was told the states, or had nothing to be told of. */
  #toldAt = 0

  /** When it is asked next. */
  get at(): number {
    return this.#at
  }

  /** It is told the states now, which asks it, or has nothing to be told of. */
  told(now: number): void {
    this.#toldAt = now
  }

  /** Another link is open. How long ago it was told anything counts over this one: it is told now, or has nothing to be told of. */
  linked(now: number): void {
    this.told(now)
    this.heard(now)
  }

  /** It spoke. */
  heard(now: number): void {
    this.#later(now, ASK_PAUSE)
  }

  /** It is asked now. */
  asked(now: number): void {
    this.told(now)
    this.#later(now, Math.min(2 * this.#pause, LONGEST_ASK_PAUSE))
  }

  #later(now: number, pause: number): void {
    this.#pause = pause
    // However much news comes: it waits for what is missing only as long as it is told that this is there.
    this.#at = Math.min(now + pause, this.#toldAt + LONGEST_ASK_PAUSE)
  }
}
