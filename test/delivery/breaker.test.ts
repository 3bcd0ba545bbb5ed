import fc from 'fast-check'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { AfpCircuitBreakerError, AfpTimeoutError } from '../../src/common/errors.ts'
import {
  type BreakerCall,
  type BreakerChange,
  type BreakerOptions,
  CircuitBreaker,
} from '../../src/delivery/breaker.ts'

const boom = new Error('boom')
const fail = (): Promise<never> => Promise.reject(boom)
const ok = async (): Promise<string> => 'ok'

let clock: DrivenClock
let breaker: CircuitBreaker
let changes: string[]
beforeEach(() => {
  clock = new DrivenClock()
  make()
})

function make(options: BreakerOptions = {}): void {
  breaker = new CircuitBreaker('bob', clock, options)
  changes = []
  breaker.addEventListener('change', ({ detail }) =>
    changes.push(`${detail.from} -> ${detail.to} (${detail.failures})`),
  )
}

async function failTimes(times: number): Promise<void> {
  for (let i = 0; i < times; i++) await expect(breaker.execute(fail)).rejects.toBe(boom)
}

/** Opens it and waits until it would let a call try. */
async function untilHalfOpen(): Promise<void> {
  await failTimes(5)
  await clock.advance(30_000)
}

const admitted = (): BreakerCall => {
  const call = breaker.admit()
  expect(call).toBeDefined()
  return call as BreakerCall
}

describe('a closed breaker', () => {
  it('gives back what the operation gives, or throws what it throws', async () => {
    expect(await breaker.execute(ok)).toBe('ok')
    expect(await breaker.execute(() => 7)).toBe(7)
    await expect(breaker.execute(fail)).rejects.toBe(boom)
    await expect(
      breaker.execute(() => {
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(breaker).toMatchObject({ state: 'closed', failureCount: 2, retryAfter: 0 })
  })

  it('opens at the fifth failure in a row, not at the fourth', async () => {
    await failTimes(4)
    expect(breaker.state).toBe('closed')
    expect(changes).toEqual([])
    await failTimes(1)
    expect(breaker).toMatchObject({ state: 'open', failureCount: 5 })
    expect(changes).toEqual(['closed -> open (5)'])
  })

  it('counts failures in a row only', async () => {
    await failTimes(4)
    await breaker.execute(ok)
    expect(breaker.failureCount).toBe(0)
    await failTimes(4)
    expect(breaker.state).toBe('closed')
  })
})

describe('an open breaker', () => {
  it('runs nothing and throws an error with its name, failures and reset timeout in seconds', async () => {
    await failTimes(5)
    await clock.advance(12_000)
    const operation = vi.fn(ok)
    const error = await breaker.execute(operation).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(AfpCircuitBreakerError)
    expect(error).toMatchObject({
      code: 'CIRCUIT_OPEN',
      circuitName: 'bob',
      failures: 5,
      resetTimeout: 30,
      details: { state: 'open', forced: false, retryAfter: 18_000 },
    })
    expect(operation).not.toHaveBeenCalled()
  })

  it('does the fallback instead, and only then', async () => {
    const fallback = vi.fn((error: AfpCircuitBreakerError) => `instead of ${error.circuitName}`)
    await expect(breaker.execute(fail as () => Promise<string>, { fallback })).rejects.toBe(boom)
    expect(fallback).not.toHaveBeenCalled()
    await failTimes(4)
    expect(await breaker.execute(ok, { fallback })).toBe('instead of bob')
    await expect(
      breaker.execute(ok, {
        fallback: () => {
          throw boom
        },
      }),
    ).rejects.toBe(boom)
    expect(breaker.failureCount).toBe(5)
  })

  it('lets a call try after 30 s of elapsed time, whatever the wall clock does', async () => {
    await failTimes(5)
    clock.jump(86_400_000)
    expect(breaker.state).toBe('open')
    await clock.advance(29_999)
    expect(breaker).toMatchObject({ state: 'open', retryAfter: 1 })
    expect(breaker.admit()).toBeUndefined()
    await clock.advance(1)
    expect(breaker).toMatchObject({ state: 'half-open', retryAfter: 0 })
    expect(changes).toEqual(['closed -> open (5)'])
    admitted()
    expect(changes).toEqual(['closed -> open (5)', 'open -> half-open (5)'])
  })

  it('hears nothing from calls that began before it opened', async () => {
    const before = [admitted(), admitted()]
    await untilHalfOpen()
    before[0]?.fail(boom)
    expect(breaker.failureCount).toBe(5)
    const probe = admitted()
    before[1]?.succeed()
    expect(breaker.state).toBe('half-open')
    probe.succeed()
    expect(breaker.state).toBe('closed')
  })
})

describe('a half-open breaker', () => {
  it('lets one call through at a time, not two', async () => {
    await untilHalfOpen()
    const gate = Promise.withResolvers<string>()
    const probe = breaker.execute(() => gate.promise)
    const second = vi.fn(ok)
    await expect(breaker.execute(second)).rejects.toMatchObject({
      code: 'CIRCUIT_OPEN',
      message: 'circuit breaker bob is being tried by another call',
    })
    expect(await breaker.execute(second, { fallback: () => 'instead' })).toBe('instead')
    expect(second).not.toHaveBeenCalled()
    gate.resolve('back')
    expect(await probe).toBe('back')
    expect(breaker).toMatchObject({ state: 'closed', failureCount: 0 })
    expect(changes.at(-1)).toBe('half-open -> closed (0)')
  })

  it('opens again at a failure, for the whole reset timeout', async () => {
    await untilHalfOpen()
    await failTimes(1)
    expect(breaker).toMatchObject({ state: 'open', failureCount: 6, retryAfter: 30_000 })
    expect(changes.at(-1)).toBe('half-open -> open (6)')
    await clock.advance(30_000)
    expect(breaker.state).toBe('half-open')
  })

  it('closes after as many successes as it lets calls through, and lets no more through than that takes', async () => {
    make({ halfOpenCalls: 3 })
    await untilHalfOpen()
    const [one, two] = [admitted(), admitted(), admitted()]
    expect(breaker.admit()).toBeUndefined()
    one?.succeed()
    two?.succeed()
    expect(breaker.state).toBe('half-open')
    // One is under way and two have succeeded: a fourth is not needed.
    expect(breaker.admit()).toBeUndefined()
    await expect(breaker.execute(ok)).rejects.toMatchObject({ code: 'CIRCUIT_OPEN' })
  })

  it('closes with the last success it asks for', async () => {
    make({ halfOpenCalls: 2 })
    await untilHalfOpen()
    await breaker.execute(ok)
    expect(breaker).toMatchObject({ state: 'half-open', failureCount: 5 })
    await breaker.execute(ok)
    expect(breaker).toMatchObject({ state: 'closed', failureCount: 0 })
  })

  it('forgets earlier successes when it opens again', async () => {
    make({ halfOpenCalls: 2 })
    await untilHalfOpen()
    await breaker.execute(ok)
    await failTimes(1)
    await clock.advance(30_000)
    await breaker.execute(ok)
    expect(breaker.state).toBe('half-open')
  })

  it('takes the place of a call that never ends away after another reset timeout, and its say too', async () => {
    await untilHalfOpen()
    const stuck = admitted()
    await clock.advance(29_999)
    expect(breaker.admit()).toBeUndefined()
    await clock.advance(1)
    const next = admitted()
    stuck.fail(boom)
    expect(breaker.state).toBe('half-open')
    next.succeed()
    expect(breaker.state).toBe('closed')
  })
})

describe('what counts', () => {
  it('is every error, unless an option says which; the others are answers and count as successes', async () => {
    make({ isFailure: error => (error as Error).message === 'boom' })
    await failTimes(4)
    const refused = new Error('unauthorized')
    await expect(breaker.execute(() => Promise.reject(refused))).rejects.toBe(refused)
    expect(breaker.failureCount).toBe(0)
    await untilHalfOpen()
    await expect(breaker.execute(() => Promise.reject(refused))).rejects.toBe(refused)
    expect(breaker.state).toBe('closed')
  })

  it('is not a call that was called off: neither a failure nor a success', async () => {
    await failTimes(4)
    const controller = new AbortController()
    const reason = new Error('not needed any more')
    const off = breaker.execute(
      () => new Promise((_, reject) => controller.signal.addEventListener('abort', () => reject(boom))),
      { signal: controller.signal },
    )
    controller.abort(reason)
    await expect(off).rejects.toBe(reason)
    await expect(breaker.execute(() => Promise.reject(new DOMException('off', 'AbortError')))).rejects.toThrow('off')
    expect(breaker).toMatchObject({ state: 'closed', failureCount: 4 })
  })

  it('is not a probe that was called off; its place is free for the next', async () => {
    await untilHalfOpen()
    await expect(breaker.execute(() => Promise.reject(new DOMException('off', 'AbortError')))).rejects.toThrow('off')
    expect(breaker.state).toBe('half-open')
    await breaker.execute(ok)
    expect(breaker.state).toBe('closed')
  })

  it('is a call whose time was up', async () => {
    const reasons = [
      new DOMException('late', 'TimeoutError'),
      new AfpTimeoutError('late', { timeoutSeconds: 1 }),
      new AfpTimeoutError('late', { timeoutSeconds: 1 }),
    ]
    for (const reason of reasons.slice(0, 2)) {
      const controller = new AbortController()
      const late = breaker.execute(
        () => new Promise((_, reject) => controller.signal.addEventListener('abort', () => reject(reason))),
        { signal: controller.signal },
      )
      controller.abort(reason)
      await expect(late).rejects.toBe(reason)
    }
    await expect(breaker.execute(() => Promise.reject(reasons[2]))).rejects.toBe(reasons[2])
    expect(breaker.failureCount).toBe(3)
  })

  it('is the result of an operation whose caller has left, and a probe holds its place until then', async () => {
    await untilHalfOpen()
    const gate = Promise.withResolvers<string>()
    const controller = new AbortController()
    const probe = breaker.execute(() => gate.promise, { signal: controller.signal })
    controller.abort(boom)
    await expect(probe).rejects.toBe(boom)
    expect(breaker.admit()).toBeUndefined()
    gate.resolve('after all')
    await clock.advance(0)
    expect(breaker.state).toBe('closed')
  })

  it('is each call once', () => {
    const call = admitted()
    call.fail(boom)
    call.fail(boom)
    call.succeed()
    expect(breaker.failureCount).toBe(1)
  })

  it('never was what a fired signal kept from beginning', async () => {
    const operation = vi.fn(ok)
    await expect(breaker.execute(operation, { signal: AbortSignal.abort(boom) })).rejects.toBe(boom)
    expect(operation).not.toHaveBeenCalled()
    expect(breaker.failureCount).toBe(0)
  })
})

describe('by hand', () => {
  it('a breaker is closed by reset, whatever it was, and forgets', async () => {
    await failTimes(5)
    breaker.reset()
    expect(breaker).toMatchObject({ state: 'closed', failureCount: 0 })
    await failTimes(4)
    expect(breaker.state).toBe('closed')
    const late = admitted()
    breaker.reset()
    late.fail(boom)
    expect(breaker.failureCount).toBe(0)
  })

  it('a breaker that is forced open stays so until it is reset', async () => {
    const details: BreakerChange[] = []
    breaker.addEventListener('change', ({ detail }) => details.push(detail))
    breaker.forceOpen()
    await clock.advance(86_400_000)
    expect(breaker).toMatchObject({ state: 'open', forced: true, retryAfter: Number.POSITIVE_INFINITY })
    await expect(breaker.execute(ok)).rejects.toMatchObject({ failures: 0, details: { forced: true } })
    breaker.reset()
    expect(await breaker.execute(ok)).toBe('ok')
    expect(details).toEqual([
      { name: 'bob', from: 'closed', to: 'open', failures: 0, forced: true },
      { name: 'bob', from: 'open', to: 'closed', failures: 0, forced: false },
    ])
  })
})

describe('any run of calls', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('begin' as const), with: fc.nat(0) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        op: fc.constantFrom('succeed' as const, 'fail' as const, 'fail' as const, 'abandon' as const),
        with: fc.nat(9),
      }),
    },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('wait' as const), with: fc.integer({ min: 0, max: 1_500 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({ op: fc.constantFrom('reset' as const, 'forceOpen' as const), with: fc.nat(0) }),
    },
  )

  it('never has more probes under way than allowed, and nothing passes while it is open', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.array(step, { maxLength: 80 }), async (allowed, steps) => {
        const time = new DrivenClock()
        const real = new CircuitBreaker('any', time, {
          failureThreshold: 2,
          resetTimeout: 1_000,
          halfOpenCalls: allowed,
        })
        let probes: { call: BreakerCall; at: number }[] = []
        const open: BreakerCall[] = []
        real.addEventListener('change', () => {
          probes = []
        })
        for (const { op, with: value } of steps) {
          if (op === 'wait') await time.advance(value)
          else if (op === 'reset' || op === 'forceOpen') real[op]()
          else if (op === 'begin') {
            const before = real.state
            const call = real.admit()
            if (before === 'open') expect(call).toBeUndefined()
            if (before === 'closed') expect(call).toBeDefined()
            if (call === undefined) continue
            open.push(call)
            if (before === 'half-open') probes.push({ call, at: time.monotonic() })
          } else if (open.length > 0) {
            const [call] = open.splice(value % open.length, 1) as [BreakerCall]
            probes = probes.filter(probe => probe.call !== call)
            call[op](boom)
          }
          // A probe that hangs for a whole reset timeout loses its place.
          expect(probes.filter(probe => time.monotonic() - probe.at < 1_000).length).toBeLessThanOrEqual(allowed)
        }
      }),
    )
  })
})

describe('options', () => {
  it('that are to be run and cannot be are refused, and are no failures', async () => {
    const breaker = new CircuitBreaker('bob', clock, { failureThreshold: 1 })
    for (const operation of [undefined, null, 'fetch'])
      await expect(breaker.execute(operation as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    expect([breaker.state, breaker.failureCount]).toEqual(['closed', 0])
  })

  it.each([{ failureThreshold: 0 }, { resetTimeout: -1 }, { halfOpenCalls: 1.5 }, { resetTimeout: Number.NaN }])(
    'that make no sense are refused: %j',
    options => {
      expect(() => new CircuitBreaker('bob', clock, options)).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION' }),
      )
    },
  )
})
