/** What benchmarks make of what they measured: medians, ratios within rounds, targets. */

import { describe, expect, test } from 'vitest'
import { commandOf, contentSizes, isWhole, windowOf } from './extent.ts'
import { median, quantile, slope } from './figures.ts'
import { judge, middle, type Row, ratio, type Target } from './report.ts'
import { short } from './short.ts'
import { MEMORY_TARGETS, PEER_TARGETS, TAB_TARGETS, WORKLOAD_TARGETS } from './targets.ts'
import { inWords } from './workloads/claims.ts'

const row = (name: string, rate: number[], bytes = 1_024): Row => ({ name, bytes, figures: { rate } })

describe('the figures of a benchmark', () => {
  test('a quantile is a value that was measured, whatever the order, and none of none', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(quantile([5, 1, 4, 2, 3], 0.99)).toBe(5)
    expect(quantile([5, 1, 4, 2, 3], 0)).toBe(1)
    expect(quantile([], 0.5)).toBeNaN()
  })

  test('a slope is that of the line nearest to the points', () => {
    expect(slope([0, 1, 2, 3].map(x => [x * 1_000, 16 * x * 1_000 + 7]))).toBeCloseTo(16)
    expect(slope(([0, 1, 2, 3] as const).map(x => [x, x % 2 === 0 ? 4 : 6]))).toBeCloseTo(0.4)
    expect(slope([[1, 1]])).toBeNaN()
  })

  test('a ratio is the median of those within the rounds, not the ratio of the medians', () => {
    const rows = [row('a', [10, 40, 90]), row('b', [10, 20, 10])]
    expect(ratio(rows, 'a', 'b', 'rate')).toBe(2)
    expect((middle(rows, 'a', 'rate') as number) / (middle(rows, 'b', 'rate') as number)).toBe(4)
  })

  test('there is no ratio where one of the two was not measured in each round, or at another size', () => {
    const rows = [row('a', [10, 40]), row('b', [10]), row('c', []), row('d', [1, 2], 256)]
    for (const other of ['b', 'c', 'd', 'nobody']) expect(ratio(rows, 'a', other, 'rate', 1_024)).toBeUndefined()
    expect(middle(rows, 'c', 'rate')).toBeUndefined()
  })

  test('the command that ran is told with all that picked what was measured, and a run that left something out is no whole one', () => {
    const env = { BENCH_SIZES: 'all', HOME: '/root', BENCH_MS: '60' }
    expect(commandOf('peers', env, ['5'])).toBe('BENCH_MS=60 BENCH_SIZES=all npm run bench -- peers 5')
    for (const name of ['CASES', 'MS', 'PROFILE', 'QUEUED'])
      expect(isWhole(commandOf('peers', { [`BENCH_${name}`]: '1' }, []))).toBe(false)
    expect(isWhole(commandOf('tabs', { BENCH_SIZES: 'all' }, []))).toBe(true)
  })

  test('numbers have three digits that mean something', () => {
    expect([0.1234, 12.34, 123.4, 12_345, Number.NaN, undefined].map(short)).toEqual([
      '0.12',
      '12.3',
      '123',
      '12,300',
      '-',
      '-',
    ])
  })

  test('a change is told in percent while it is small, else in times', () => {
    expect([1.0849, 0.88, 2.04, 31, 0.01, -18, undefined].map(inWords)).toEqual([
      '+8.5%',
      '-12%',
      '2.0 times',
      '31 times',
      '1/100',
      'too little to compare',
      'not measured',
    ])
  })

  test('sizes are those that are named, and no more than 4 MiB are under way', () => {
    expect(contentSizes('all')).toEqual([256, 1_024, 65_536])
    expect(contentSizes('512,2048')).toEqual([512, 2_048])
    expect(() => contentSizes('much')).toThrow('much')
    expect([256, 1_024, 4_096, 65_536, 2 ** 24].map(windowOf)).toEqual([1_024, 1_024, 1_024, 64, 1])
  })
})

describe('a target', () => {
  const rows = [row('own', [20, 10]), row('peer', [10, 10]), { name: 'gone', bytes: 1_024, notRun: 'x', figures: {} }]
  const target = (given: Partial<Target>): Target => ({
    text: 'own is fast',
    figure: 'rate',
    of: 'own',
    to: 'peer',
    wanted: ['>=', 2],
    ...given,
  })

  test.each([
    ['met where it is just reached', { wanted: ['>=', 2] }, 2, 'met'],
    ['short where it has to be exceeded and is just reached', { wanted: ['>', 2] }, 2, 'short'],
    ['short where it has to stay below and is just reached', { wanted: ['<', 2] }, 2, 'short'],
    ['met where it may be reached', { wanted: ['<=', 2] }, 2, 'met'],
    ['held against a bound where there is no peer', { to: undefined, wanted: ['<', 21] }, 20, 'met'],
    ['not measured where the peer is not there', { to: 'gone' }, null, 'not measured'],
    ['not measured at another size', { bytes: 256 }, null, 'not measured'],
  ] as const)('is %s', (_what, given, measured, verdict) => {
    const judged = judge([target(given as Partial<Target>)], rows)
    expect(judged).toMatchObject([{ text: 'own is fast', measured, verdict }])
  })

  test('is met by nothing that is no number', () => {
    const broken = [row('own', [0]), row('peer', [0])]
    expect(judge([target({ wanted: ['<', 1] })], broken)[0]?.verdict).toBe('not measured')
  })

  test('of this project is as it was asked for', () => {
    const wanted = (targets: readonly Target[]) =>
      targets.map(({ figure, of, to, wanted }) => [figure, of, to, ...wanted])
    expect(wanted(PEER_TARGETS)).toEqual([
      ['rate', 'AFP at-most-once, SQLite', 'libp2p stream, a frame at a time', '>=', 2],
      ['rate', 'AFP at-most-once, SQLite', 'Mosquitto QoS 0', '>=', 1],
      ['rate', 'AFP at-least-once, SQLite', 'JetStream, sync_interval: always', '>', 1],
      ['rate', 'AFP at-least-once, SQLite', 'Mosquitto QoS 1, persistence', '>', 1],
      ['rate', 'AFP exactly-once, SQLite', 'Mosquitto QoS 2, persistence', '>', 1],
      ['rate', 'AFP exactly-once, SQLite', 'Mosquitto QoS 2', '>', 1],
      ['p50', 'AFP at-most-once, SQLite', 'libp2p stream, a frame at a time', '<=', 1.3],
      ['p50', 'AFP at-most-once, SQLite', 'NATS core', '<', 1],
    ])
    expect(wanted(TAB_TARGETS)).toEqual([
      ['p50', 'AFP at-most-once', 'libp2p stream', '<=', 1.3],
      ['rate', 'AFP at-most-once', 'RTCDataChannel', '>=', 1],
    ])
    expect(wanted(WORKLOAD_TARGETS).map(([, , , ...bound]) => bound)).toEqual(Array(6).fill(['<', 1.1]))
    expect(wanted(MEMORY_TARGETS).filter(([figure]) => figure === 'MiB')).toEqual([
      ['MiB', '100,000 queued, memory', undefined, '<', 300],
      ['MiB', '100,000 queued, SQLite', undefined, '<', 300],
      ['MiB', '100,000 queued, memory, no card of their recipient', undefined, '<', 300],
      ['MiB', '100,000 queued, SQLite, no card of their recipient', undefined, '<', 300],
    ])
  })
})
