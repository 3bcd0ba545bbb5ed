/**
 * How peers stand with the relay. Faults make points that fade; gossip takes the points as a negative score, and at 80
 * it stops listening to the peer (gossipsub 1.1, graylist threshold). Messages over the rate are judged like any other:
 * dropping one whose id is noted already would let a flooder keep honest messages from arriving.
 */

/** Points of a message that no honest peer forwards. */
const REJECTED = 10
/** Points of a message over the rate. */
const OVER_RATE = 1
/** Points that fade in a second. */
const FADE = 1
/** The most points: what the worst peer has to sit out is ten minutes. */
const MAX_POINTS = 600
/** How many peers with points are remembered, connected or not; the ones charged longest ago give way. */
const MAX_REMEMBERED = 8_192

interface Record {
  points: number
  /** Messages it may still send at once. */
  tokens: number
  at: number
}

/** See the head of this file. */
export class Standing {
  readonly #now: () => number
  readonly #records = new Map<string, Record>()
  /** New messages that a peer may send in a second; twice as many at once. */
  rate: number

  /** @param now - a monotonic clock, ms */
  constructor(rate: number, now: () => number) {
    this.#now = now
    this.rate = rate
  }

  /** A peer's score: 0 or, for one with faults, below. */
  score(peer: string): number {
    const record = this.#records.get(peer)
    return record === undefined ? 0 : Math.min(0, this.#seconds(record) * FADE - record.points)
  }

  /** A peer handed over a new message; false when that was over its rate. */
  message(peer: string): boolean {
    const record = this.#touch(peer)
    if (record.tokens >= 1) {
      record.tokens--
      return true
    }
    this.#charge(record, OVER_RATE)
    return false
  }

  /** A peer forwarded what no honest peer forwards. */
  rejected(peer: string): void {
    this.#charge(this.#touch(peer), REJECTED)
  }

  #charge(record: Record, points: number): void {
    record.points = Math.min(MAX_POINTS, record.points + points)
  }

  #touch(peer: string): Record {
    const known = this.#records.get(peer)
    const record = known ?? { points: 0, tokens: 2 * this.rate, at: this.#now() }
    const seconds = this.#seconds(record)
    record.points = Math.max(0, record.points - seconds * FADE)
    record.tokens = Math.min(2 * this.rate, record.tokens + seconds * this.rate)
    record.at = this.#now()
    this.#records.delete(peer)
    this.#records.set(peer, record)
    if (this.#records.size > MAX_REMEMBERED) {
      const [oldest] = this.#records.keys()
      this.#records.delete(oldest as string)
    }
    return record
  }

  #seconds(record: Record): number {
    return (this.#now() - record.at) / 1_000
  }
}
