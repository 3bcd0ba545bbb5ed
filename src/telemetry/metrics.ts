/** Counters, gauges, histograms and timers of one agent, aggregated in memory and read as plain data. */

import { type Clock, systemClock } from '../common/clock.ts'
import { type Distribution, Histogram } from './histogram.ts'

export type { Distribution } from './histogram.ts'
export { Histogram } from './histogram.ts'

/** Labels that tell series of one name apart. Key order does not matter. Values are kept to {@link MAX_TAG_LENGTH}. */
export type Tags = Readonly<Record<string, string | number | boolean>>

/**
 * Series that one name may have. Tags can come from strangers (a content type, an error), so further ones share a
 * series with the tag `overflow: 'true'`: the total stays right, the memory bounded.
 */
export const MAX_SERIES = 64

/** Characters that are kept of a tag's value. */
export const MAX_TAG_LENGTH = 100

/** Options of {@link Metrics}. */
export interface MetricsOptions {
  /** What timers measure with. Default: the platform's clock. */
  readonly clock?: Clock | undefined
}

/** A value of one series. */
export interface Sample {
  readonly name: string
  readonly tags: Readonly<Record<string, string>>
  readonly value: number
}

/** The distribution of one series. */
export interface DistributionSample extends Distribution {
  readonly name: string
  readonly tags: Readonly<Record<string, string>>
}

/** Everything that was measured, as JSON: sorted by name, then by tags. */
export interface MetricsSnapshot {
  /** Milliseconds since the metrics were made or last reset; divides counters into rates. */
  readonly elapsed: number
  readonly counters: readonly Sample[]
  readonly gauges: readonly Sample[]
  readonly histograms: readonly DistributionSample[]
  /** In milliseconds. */
  readonly timers: readonly DistributionSample[]
}

/** Something that only grows. */
export class Counter {
  #value = 0

  /** The sum so far. */
  get value(): number {
    return this.#value
  }

  /** As it is read. */
  sample(): { value: number } {
    return { value: this.#value }
  }

  /** Adds `amount`, by default 1. What is negative or not finite is ignored. */
  add(amount = 1): void {
    if (amount > 0 && Number.isFinite(amount)) this.#value += amount
  }

  /** Back to 0. */
  reset(): void {
    this.#value = 0
  }
}

/** Something that goes up and down. */
export class Gauge {
  #value = 0

  /** The value as it was last set. */
  get value(): number {
    return this.#value
  }

  /** As it is read. */
  sample(): { value: number } {
    return { value: this.#value }
  }

  /** Replaces the value. NaN and infinities are ignored. */
  set(value: number): void {
    if (Number.isFinite(value)) this.#value = value
  }

  /** Moves the value by `amount`, which may be negative. NaN and infinities are ignored. */
  add(amount: number): void {
    this.set(this.#value + amount)
  }

  /** Back to 0. */
  reset(): void {
    this.#value = 0
  }
}

/** A histogram of durations in milliseconds. */
export class DurationTimer extends Histogram {
  readonly #clock: Clock

  constructor(clock: Clock) {
    super()
    this.#clock = clock
  }

  /**
   * Starts measuring. The function that is returned stops, records and returns the duration in milliseconds; called
   * again it returns the same and records nothing.
   */
  start(): () => number {
    const start = this.#clock.monotonic()
    let duration: number | undefined
    return () => {
      if (duration === undefined) {
        duration = this.#clock.monotonic() - start
        this.record(duration)
      }
      return duration
    }
  }
}

/**
 * The metrics of one agent. Instruments are made at their first use and stay the same object, also over
 * {@link Metrics.reset}: keep the one of a hot path. Names are constants of the code, never a stranger's words.
 *
 * @example
 * ```ts
 * import { createAgent } from 'agent-flow-protocol'
 *
 * const agent = await createAgent({ name: 'ada', mesh: 'demo', listen: [] })
 * const { metrics } = agent // the agent's own are there too, under names of their own
 * const stop = metrics.timer('reading', { page: 'news' }).start()
 * metrics.counter('pages').add()
 * stop()
 *
 * const { counters, timers } = metrics.snapshot()
 * console.log(counters.find(({ name }) => name === 'pages')?.value, 'page,', timers[0]?.p99, 'ms')
 *
 * await agent.close()
 * ```
 */
export class Metrics {
  readonly #clock: Clock
  readonly #counters = new Family(() => new Counter())
  readonly #gauges = new Family(() => new Gauge())
  readonly #histograms = new Family(() => new Histogram())
  readonly #timers: Family<DurationTimer>
  #since: number

  constructor(options: MetricsOptions = {}) {
    const clock = options.clock ?? systemClock
    this.#clock = clock
    this.#timers = new Family(() => new DurationTimer(clock))
    this.#since = clock.monotonic()
  }

  /** The counter of this name and these tags. */
  counter(name: string, tags?: Tags): Counter {
    return this.#counters.series(name, tags)
  }

  /** The gauge of this name and these tags. */
  gauge(name: string, tags?: Tags): Gauge {
    return this.#gauges.series(name, tags)
  }

  /** The histogram of this name and these tags. */
  histogram(name: string, tags?: Tags): Histogram {
    return this.#histograms.series(name, tags)
  }

  /** The timer of this name and these tags. */
  timer(name: string, tags?: Tags): DurationTimer {
    return this.#timers.series(name, tags)
  }

  /** Everything as plain data; later measurements do not change it. */
  snapshot(): MetricsSnapshot {
    return {
      elapsed: this.#clock.monotonic() - this.#since,
      counters: this.#counters.samples(),
      gauges: this.#gauges.samples(),
      histograms: this.#histograms.samples(),
      timers: this.#timers.samples(),
    }
  }

  /** Back to nothing measured; instruments that are held go on working. */
  reset(): void {
    this.#since = this.#clock.monotonic()
    for (const family of [this.#counters, this.#gauges, this.#histograms, this.#timers]) family.reset()
  }
}

interface Series<I> {
  readonly tags: Readonly<Record<string, string>>
  readonly instrument: I
}

/** The instruments of one kind, by name and then by tags. */
class Family<I extends { reset(): void; sample(): object }> {
  readonly #make: () => I
  readonly #names = new Map<string, Map<string, Series<I>>>()

  constructor(make: () => I) {
    this.#make = make
  }

  series(name: string, tags: Tags = {}): I {
    const all: Map<string, Series<I>> = this.#names.get(name) ?? new Map()
    this.#names.set(name, all)
    const entries = Object.entries(tags)
      .map(([key, value]) => [key, String(value).slice(0, MAX_TAG_LENGTH)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
    const key = JSON.stringify(entries)
    const known = all.get(key)
    if (known !== undefined) return known.instrument
    if (all.size >= MAX_SERIES && key !== OVERFLOW) return this.series(name, { overflow: true })
    // `fromEntries` defines properties, so a tag called __proto__ is a tag like any other.
    const made = { tags: Object.fromEntries(entries), instrument: this.#make() }
    all.set(key, made)
    return made.instrument
  }

  samples(): ({ name: string; tags: Series<I>['tags'] } & ReturnType<I['sample']>)[] {
    return sorted(this.#names).flatMap(([name, all]) =>
      sorted(all).map(([, { tags, instrument }]) => ({
        name,
        tags,
        ...(instrument.sample() as ReturnType<I['sample']>),
      })),
    )
  }

  reset(): void {
    for (const all of this.#names.values()) for (const { instrument } of all.values()) instrument.reset()
  }
}

/** The key of the series that takes what finds no series of its own. */
const OVERFLOW = JSON.stringify([['overflow', 'true']])

const sorted = <V>(map: ReadonlyMap<string, V>): [string, V][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1))
