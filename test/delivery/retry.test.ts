import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/common/random.ts'
import {
  exponentialRetry,
  fixedRetry,
  NEVER_TRIED,
  nextRetry,
  type RetryContext,
  type RetryState,
  type RetryStrategy,
  resumeRetry,
  retryStateFromWire,
  retryStateToWire,
  strategyFromWire,
  strategyToWire,
  untilExpiry,
} from '../../src/delivery/retry.ts'
import { decode, encode } from '../../src/message/codec.ts'

const NOW = Date.UTC(2026, 0, 1)
/** No jitter: the middle of it. */
const even = { float: () => 0.5 }

/** Tries again and again, each time at the moment it is told to, and never with success. */
function run(
  strategy: RetryStrategy,
  context: Partial<RetryContext> = {},
): { pauses: number[]; tries: number; end: string } {
  const pauses: number[] = []
  let now = context.now ?? NOW
  let state = NEVER_TRIED
  for (;;) {
    const step = nextRetry(strategy, state, { random: even, ...context, now })
    // Every step goes through bytes, as over a restart.
    state = retryStateFromWire(decode(encode(retryStateToWire(step.state))))
    if ('exhausted' in step) return { pauses, tries: state.attempts, end: step.exhausted }
    pauses.push(step.at - now)
    now = step.at
  }
}

const strategies: fc.Arbitrary<RetryStrategy> = fc.oneof(
  fc.record({ delay: fc.integer({ min: 1, max: 10_000 }), retries: fc.nat(20) }).map(fixedRetry),
  fc
    .record({
      base: fc.integer({ min: 1, max: 1_000 }),
      factor: fc.double({ min: 1, max: 4, noNaN: true }),
      cap: fc.integer({ min: 1_000, max: 100_000 }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
      retries: fc.option(fc.nat(20), { nil: null }),
    })
    .map(exponentialRetry),
)

describe('the number of tries', () => {
  it.each([0, 1, 2, 3, 5])('is the first and then %i retries, not one fewer', retries => {
    for (const strategy of [fixedRetry({ retries }), exponentialRetry({ retries })]) {
      expect(run(strategy)).toMatchObject({ tries: retries + 1, end: 'attempts-exhausted' })
      expect(run(strategy).pauses).toHaveLength(retries)
    }
  })

  it('of the defaults is 4 for the fixed strategy, which is the base one, and 6 for the exponential one', () => {
    expect(run(fixedRetry())).toEqual({ pauses: [1_000, 1_000, 1_000], tries: 4, end: 'attempts-exhausted' })
    expect(run(exponentialRetry())).toEqual({
      pauses: [100, 200, 400, 800, 1_600],
      tries: 6,
      end: 'attempts-exhausted',
    })
  })
})

describe('an exponential strategy', () => {
  it('stops growing at its cap, also where the power of its factor has long overflowed', () => {
    const { pauses } = run(exponentialRetry({ retries: 12, jitter: 0 }))
    expect(pauses.slice(8)).toEqual([25_600, 51_200, 60_000, 60_000])
    const late = nextRetry(untilExpiry(), { attempts: 5_000, nextAt: 0 }, { now: NOW, random: even })
    expect(late).toMatchObject({ at: NOW + 60_000 })
  })

  it('moves each pause by its jitter and no further, to both sides', () => {
    const random = seededRandom(7)
    const strategy = exponentialRetry({ base: 10_000, factor: 1, retries: 1 })
    const pauses = Array.from({ length: 2_000 }, () => {
      const step = nextRetry(strategy, NEVER_TRIED, { now: NOW, random })
      return 'at' in step ? step.at - NOW : Number.NaN
    })
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(9_000)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(11_000)
    expect(Math.min(...pauses)).toBeLessThan(9_050)
    expect(Math.max(...pauses)).toBeGreaterThan(10_950)
  })
})

describe('an expiry', () => {
  it('is all that ends the default of delivery', () => {
    const { pauses, tries, end } = run(untilExpiry(), { expiresAt: NOW + 3_600_000 })
    expect(end).toBe('expired')
    expect(pauses.reduce((sum, pause) => sum + pause, 0)).toBe(3_600_000)
    // 10 pauses that double until 51.2 s, then one a minute.
    expect(tries).toBe(1 + 10 + Math.ceil((3_600_000 - 102_300) / 60_000))
  })

  it('draws the last retry to itself and is told only once it is there', () => {
    const context = { random: even, expiresAt: NOW + 400.7 }
    expect(nextRetry(fixedRetry(), NEVER_TRIED, { ...context, now: NOW })).toEqual({
      at: NOW + 400,
      state: { attempts: 1, nextAt: NOW + 400 },
    })
    expect(nextRetry(fixedRetry(), { attempts: 1, nextAt: NOW + 400 }, { ...context, now: NOW + 399 })).toMatchObject({
      at: NOW + 400,
    })
    expect(nextRetry(fixedRetry(), { attempts: 1, nextAt: NOW + 400 }, { ...context, now: NOW + 400 })).toEqual({
      exhausted: 'expired',
      state: { attempts: 2, nextAt: 0 },
    })
  })

  it('always ends a strategy, each retry later than the one before', () => {
    fc.assert(
      fc.property(strategies, fc.nat(100_000), fc.integer(), (strategy, ttl, seed) => {
        const { pauses, end } = run(strategy, { expiresAt: NOW + ttl, random: seededRandom(seed) })
        expect(pauses.every(pause => pause >= 0 && Number.isInteger(pause))).toBe(true)
        const elapsed = pauses.reduce((sum, pause) => sum + pause, 0)
        if (end === 'expired') expect(elapsed).toBe(ttl)
        else
          expect({ elapsed: elapsed < ttl, retries: pauses.length }).toEqual({
            elapsed: true,
            retries: strategy.retries,
          })
      }),
    )
  })
})

describe('a state from before a restart', () => {
  it('keeps its time, unless the clock was set back: then the retry is at most one pause away', () => {
    const state: RetryState = { attempts: 3, nextAt: NOW + 800 }
    expect(resumeRetry(exponentialRetry(), state, NOW)).toEqual(state)
    const back = NOW - 86_400_000
    expect(resumeRetry(exponentialRetry(), state, back)).toEqual({ attempts: 3, nextAt: back + 66_000 })
    expect(resumeRetry(fixedRetry({ delay: 50 }), state, back)).toEqual({ attempts: 3, nextAt: back + 50 })
  })
})

describe('stored strategies and states', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(strategies, fc.nat(), fc.nat(Number.MAX_SAFE_INTEGER), (strategy, attempts, nextAt) => {
        expect(strategyFromWire(decode(encode(strategyToWire(strategy))))).toEqual(strategy)
        expect(retryStateFromWire(decode(encode(retryStateToWire({ attempts, nextAt }))))).toEqual({ attempts, nextAt })
      }),
    )
  })

  it('keep the form that stores on disks have', () => {
    expect(strategyToWire(fixedRetry())).toEqual([0, 1_000, 3])
    expect(strategyToWire(exponentialRetry())).toEqual([1, 100, 2, 60_000, 0.1, 5])
    expect(strategyToWire(untilExpiry())).toEqual([1, 100, 2, 60_000, 0.1, null])
  })

  it('are refused when they are none', () => {
    for (const value of [
      null,
      7,
      'fixed',
      [],
      [2, 1_000, 3],
      [0, 1_000],
      [0, 1_000, 3, 1],
      [0, 0, 3],
      [0, 1_000, null],
      [0, 1_000, -1],
      [0, 1_000, 1.5],
      [0, '1000', 3],
      [1, 100, 2, 60_000, 0.1],
      [1, 100, 0.5, 60_000, 0.1, 5],
      [1, 100, 2, 99, 0.1, 5],
      [1, 100, 2, 60_000, 1.1, 5],
      [1, 100, 2, 60_000, -0.1, 5],
      [1, 100, 2, 1e15, 0.1, 5],
      [1, 100, 2, 60_000, 0.1, 1e9],
      [1, Number.NaN, 2, 60_000, 0.1, 5],
      new Map([[0, 1]]),
    ]) {
      expect(() => strategyFromWire(value), JSON.stringify(value)).toThrow(
        expect.objectContaining({ code: 'STORE_FAILED' }),
      )
    }
  })

  it('are refused when they are no state', () => {
    for (const value of [null, [1], [1, 2, 3], [-1, 0], [0, -1], [0.5, 0], [0, 1.5], ['0', 0], [0, 2 ** 53], {}]) {
      expect(() => retryStateFromWire(value), JSON.stringify(value)).toThrow(
        expect.objectContaining({ code: 'STORE_FAILED' }),
      )
    }
  })
})

describe('options', () => {
  it('may be those of another strategy of the kind, some replaced', () => {
    expect(fixedRetry({ ...fixedRetry(), delay: 5 })).toEqual(fixedRetry({ delay: 5 }))
    const strategy = exponentialRetry({ ...untilExpiry(), base: 500 })
    expect(strategy).toEqual(untilExpiry({ base: 500 }))
    for (const mixed of [
      () => fixedRetry({ ...untilExpiry() } as never),
      () => exponentialRetry({ kind: 'fixed' } as never),
    ]) {
      expect(mixed).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    }
  })

  it.each([
    { delay: 0 },
    { delay: Number.NaN },
    { delay: 31 * 24 * 3_600_000 },
    { retries: -1 },
    { retries: 0.5 },
    { retries: Number.POSITIVE_INFINITY },
  ])('of a fixed strategy that make no sense are refused: %j', options => {
    expect(() => fixedRetry(options)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it.each([
    { base: 0 },
    { factor: 0.9 },
    { cap: 50 },
    { jitter: 2 },
    { retries: -1 },
    { base: '1' as unknown as number },
  ])('of an exponential strategy that make no sense are refused: %j', options => {
    expect(() => exponentialRetry(options)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })
})
