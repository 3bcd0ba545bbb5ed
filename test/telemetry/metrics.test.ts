import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { Histogram, MAX_SERIES, MAX_TAG_LENGTH, Metrics } from '../../src/telemetry/metrics.ts'

const EMPTY = { count: 0, sum: 0, min: null, max: null, mean: null, p50: null, p90: null, p99: null }

describe('a counter', () => {
  it('adds ones and amounts, and only grows', () => {
    const counter = new Metrics().counter('sent')
    counter.add()
    counter.add(4)
    for (const amount of [-1, 0, Number.NaN, Number.POSITIVE_INFINITY]) counter.add(amount)
    expect(counter.value).toBe(5)
  })
})

describe('a gauge', () => {
  it('is set, goes up and down, and ignores what is no number', () => {
    const gauge = new Metrics().gauge('agents')
    gauge.set(5)
    gauge.add(-2)
    for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
      gauge.set(value)
      gauge.add(value)
    }
    expect(gauge.value).toBe(3)
  })
})

describe('a histogram', () => {
  it('is empty at first, with nulls for what cannot be told', () => {
    expect(new Histogram().sample()).toEqual(EMPTY)
  })

  it('tells count, sum, min, max and mean exactly', () => {
    const histogram = new Histogram()
    for (const value of [3, -1, 0, 10.5]) histogram.record(value)
    expect(histogram.sample()).toMatchObject({ count: 4, sum: 12.5, min: -1, max: 10.5, mean: 3.125 })
  })

  it('gives the one value it has for every percentile', () => {
    for (const value of [0, -5, 1, 7.3, 1e-9, 1e15]) {
      const histogram = new Histogram()
      histogram.record(value)
      expect(histogram.sample()).toMatchObject({ p50: value, p90: value, p99: value })
    }
  })

  it('gives percentiles within 2 % of the value of that rank, over many magnitudes', () => {
    const value = fc.double({ min: 1e-6, max: 1e12, noNaN: true })
    fc.assert(
      fc.property(fc.array(fc.oneof(value, fc.double({ min: 1, max: 100, noNaN: true })), { minLength: 1 }), values => {
        const histogram = new Histogram()
        for (const each of values) histogram.record(each)
        const { p50, p90, p99 } = histogram.sample()
        const rank = values.toSorted((a, b) => a - b)
        for (const [share, told] of [
          [0.5, p50],
          [0.9, p90],
          [0.99, p99],
        ] as const) {
          const exact = rank[Math.ceil(share * rank.length) - 1] as number
          expect(Math.abs((told as number) - exact)).toBeLessThanOrEqual(0.020001 * exact)
        }
      }),
    )
  })

  it('tells the percentiles of 100,000 values apart', () => {
    const random = seededRandom(1)
    const histogram = new Histogram()
    for (let i = 0; i < 100_000; i++) histogram.record(random.float() * 1_000)
    const { p50, p90, p99 } = histogram.sample()
    expect(p50).toBeGreaterThan(480)
    expect(p50).toBeLessThan(520)
    expect(p90).toBeGreaterThan(880)
    expect(p90).toBeLessThan(920)
    expect(p99).toBeGreaterThan(965)
    expect(p99).toBeLessThan(1_000)
  })

  it('ignores NaN and infinities', () => {
    const histogram = new Histogram()
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) histogram.record(value)
    expect(histogram.sample()).toEqual(EMPTY)
  })
})

describe('a timer', () => {
  it('records what passed on the clock between start and stop, once', async () => {
    const clock = new DrivenClock()
    const timer = new Metrics({ clock }).timer('delivery')
    const first = timer.start()
    await clock.advance(100)
    const second = timer.start()
    await clock.advance(50)
    expect(first()).toBe(150)
    expect(second()).toBe(50)
    await clock.advance(1_000)
    expect(first()).toBe(150)
    expect(timer.sample()).toMatchObject({ count: 2, sum: 200, min: 50, max: 150, mean: 100 })
  })

  it('does not notice that wall time was moved', async () => {
    const clock = new DrivenClock()
    const stop = new Metrics({ clock }).timer('delivery').start()
    clock.jump(-3_600_000)
    await clock.advance(7)
    expect(stop()).toBe(7)
  })
})

describe('tags', () => {
  it('tell series apart, in whatever order they are given', () => {
    const metrics = new Metrics()
    const one = metrics.counter('errors', { code: 'TIMEOUT', room: 'network' })
    expect(metrics.counter('errors', { room: 'network', code: 'TIMEOUT' })).toBe(one)
    expect(metrics.counter('errors', { code: 'TIMEOUT' })).not.toBe(one)
    expect(metrics.counter('errors', { code: 'TIMEOUT","x":"y' })).not.toBe(one)
    expect(metrics.counter('errors', { code: 1 })).toBe(metrics.counter('errors', { code: '1' }))
  })

  it('beyond the bound share one series, so that totals stay right and memory stays small', () => {
    const metrics = new Metrics()
    for (let i = 0; i < 10_000; i++) metrics.counter('errors', { type: `stranger/${i}` }).add()
    const { counters } = metrics.snapshot()
    expect(counters).toHaveLength(MAX_SERIES + 1)
    expect(counters.reduce((sum, { value }) => sum + value, 0)).toBe(10_000)
    expect(counters.filter(({ tags }) => tags.overflow === 'true').map(({ value }) => value)).toEqual([
      10_000 - MAX_SERIES,
    ])
    metrics.counter('errors', { type: 'stranger/0' }).add()
    expect(metrics.counter('errors', { type: 'stranger/0' }).value).toBe(2)
    metrics.counter('others', { type: 'stranger/9999' }).add()
    expect(metrics.snapshot().counters).toHaveLength(MAX_SERIES + 2)
  })

  it('are cut to a bounded length', () => {
    const metrics = new Metrics()
    metrics.counter('errors', { type: 'x'.repeat(1_000_000) }).add()
    expect(metrics.snapshot().counters[0]?.tags.type).toBe('x'.repeat(MAX_TAG_LENGTH))
  })

  it('called __proto__ are tags like any other and pollute nothing', () => {
    const metrics = new Metrics()
    metrics.counter('__proto__', JSON.parse('{"__proto__":"polluted"}')).add()
    expect(JSON.stringify(metrics.snapshot().counters)).toBe(
      '[{"name":"__proto__","tags":{"__proto__":"polluted"},"value":1}]',
    )
    expect(Object.keys(Object.prototype)).toEqual([])
  })
})

describe('a snapshot', () => {
  it('is plain JSON, sorted, with everything that was measured', async () => {
    const clock = new DrivenClock()
    const metrics = new Metrics({ clock })
    metrics.counter('sent', { to: 'b' }).add(2)
    metrics.counter('sent', { to: 'a' }).add()
    metrics.counter('received').add()
    metrics.gauge('agents').set(3)
    metrics.histogram('size', { unit: 'bytes' }).record(1_024)
    const stop = metrics.timer('delivery').start()
    await clock.advance(20)
    stop()
    const snapshot = metrics.snapshot()
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual({
      elapsed: 20,
      counters: [
        { name: 'received', tags: {}, value: 1 },
        { name: 'sent', tags: { to: 'a' }, value: 1 },
        { name: 'sent', tags: { to: 'b' }, value: 2 },
      ],
      gauges: [{ name: 'agents', tags: {}, value: 3 }],
      histograms: [
        {
          name: 'size',
          tags: { unit: 'bytes' },
          count: 1,
          sum: 1_024,
          min: 1_024,
          max: 1_024,
          mean: 1_024,
          p50: 1_024,
          p90: 1_024,
          p99: 1_024,
        },
      ],
      timers: [
        { name: 'delivery', tags: {}, count: 1, sum: 20, min: 20, max: 20, mean: 20, p50: 20, p90: 20, p99: 20 },
      ],
    })
    metrics.counter('received').add()
    expect(snapshot.counters[0]?.value).toBe(1)
  })

  it('keeps kinds of one name and agents apart', () => {
    const [one, two] = [new Metrics(), new Metrics()]
    one.counter('x').add()
    one.gauge('x').set(7)
    expect(one.snapshot().counters).toEqual([{ name: 'x', tags: {}, value: 1 }])
    expect(one.snapshot().gauges).toEqual([{ name: 'x', tags: {}, value: 7 }])
    expect(two.snapshot().counters).toEqual([])
  })
})

describe('reset', () => {
  it('forgets every value, and instruments that are held go on counting', async () => {
    const clock = new DrivenClock()
    const metrics = new Metrics({ clock })
    const counter = metrics.counter('sent')
    const histogram = metrics.histogram('size')
    counter.add(5)
    histogram.record(5)
    metrics.gauge('agents').set(5)
    metrics.timer('delivery').start()()
    await clock.advance(10)
    metrics.reset()
    expect(metrics.snapshot()).toEqual({
      elapsed: 0,
      counters: [{ name: 'sent', tags: {}, value: 0 }],
      gauges: [{ name: 'agents', tags: {}, value: 0 }],
      histograms: [{ name: 'size', tags: {}, ...EMPTY }],
      timers: [{ name: 'delivery', tags: {}, ...EMPTY }],
    })
    counter.add()
    histogram.record(2)
    expect(metrics.snapshot().counters[0]?.value).toBe(1)
    expect(metrics.snapshot().histograms[0]).toMatchObject({ count: 1, min: 2, max: 2 })
  })
})
