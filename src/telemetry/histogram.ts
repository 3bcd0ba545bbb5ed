/** Distributions of values in bounded memory. */

/** What a distribution comes to. All but `count` and `sum` are null while nothing was recorded. */
export interface Distribution {
  readonly count: number
  readonly sum: number
  readonly min: number | null
  readonly max: number | null
  readonly mean: number | null
  /** The median. Percentiles are within 2 % of the value of that rank, for values from 1e-6 to 1e12. */
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
}

/** How far a percentile may be off, relative to its value. */
const ACCURACY = 0.02
const GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
const LOG_GAMMA = Math.log(GAMMA)
/** Between these a value finds a bucket of its own size; with them the buckets are bounded to about 1,040. */
const LEAST = 1e-6
const MOST = 1e12

/**
 * A histogram whose buckets grow by a constant factor, as in DDSketch (Masson et al., VLDB 2019): percentiles have a
 * relative accuracy of 2 %; count, sum, min, max and mean are exact.
 */
export class Histogram {
  /** Counts by exponent: bucket `i` holds values in (GAMMA^(i-1), GAMMA^i]. */
  readonly #buckets = new Map<number, number>()
  #count = 0
  #sum = 0
  #min = Number.POSITIVE_INFINITY
  #max = Number.NEGATIVE_INFINITY

  /** Adds a value. NaN and infinities are ignored: measuring never breaks what is measured. */
  record(value: number): void {
    if (!Number.isFinite(value)) return
    const bucket = Math.ceil(Math.log(Math.min(MOST, Math.max(LEAST, value))) / LOG_GAMMA)
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1)
    this.#count++
    this.#sum += value
    this.#min = Math.min(this.#min, value)
    this.#max = Math.max(this.#max, value)
  }

  /** What was recorded so far. */
  sample(): Distribution {
    const [p50 = null, p90 = null, p99 = null] = this.#percentiles([0.5, 0.9, 0.99])
    const [count, sum] = [this.#count, this.#sum]
    const [min, max, mean] = count > 0 ? [this.#min, this.#max, sum / count] : [null, null, null]
    return { count, sum, min, max, mean, p50, p90, p99 }
  }

  /** Forgets everything. */
  reset(): void {
    this.#buckets.clear()
    this.#count = 0
    this.#sum = 0
    this.#min = Number.POSITIVE_INFINITY
    this.#max = Number.NEGATIVE_INFINITY
  }

  /** The values of nearest rank, by the middle of their buckets, for shares in rising order. */
  #percentiles(shares: readonly number[]): number[] {
    const found: number[] = []
    let seen = 0
    for (const [bucket, count] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      seen += count
      for (let share = shares[found.length]; share !== undefined; share = shares[found.length]) {
        if (seen < Math.ceil(share * this.#count)) break
        const middle = (2 * GAMMA ** bucket) / (GAMMA + 1)
        found.push(Math.min(this.#max, Math.max(this.#min, middle)))
      }
    }
    return found
  }
}
