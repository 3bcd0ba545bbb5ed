import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { AfpDeliveryError } from '../../src/common/errors.ts'
import { exponentialRetry, fixedRetry, untilExpiry } from '../../src/delivery/retry.ts'
import { RetrySchedule } from '../../src/delivery/retry-schedule.ts'

const NOW = Date.UTC(2026, 0, 1)
const random = { float: () => 0.5 }
const at = (now: number): { now: number; random: { float: () => number } } => ({ now, random })
const ids = (due: readonly { id: string }[]): string[] => due.map(({ id }) => id)

let schedule: RetrySchedule
beforeEach(() => {
  schedule = new RetrySchedule()
})

describe('a schedule of retries', () => {
  it('gives out what is due in order of time, then of scheduling, and each only once', () => {
    schedule.schedule('slow', { ...at(NOW), strategy: fixedRetry({ delay: 3_000 }) })
    schedule.schedule('first', { ...at(NOW), strategy: fixedRetry({ delay: 1_000 }) })
    schedule.schedule('second', { ...at(NOW), strategy: fixedRetry({ delay: 1_000 }) })
    expect(schedule.nextDueAt).toBe(NOW + 1_000)
    expect(schedule.due(NOW + 999)).toEqual([])
    expect(ids(schedule.due(NOW + 1_000))).toEqual(['first', 'second'])
    expect(schedule.due(NOW + 1_000)).toEqual([])
    expect(schedule.nextDueAt).toBe(NOW + 3_000)
    expect(ids(schedule.due(NOW + 9_000))).toEqual(['slow'])
    expect(schedule.nextDueAt).toBeUndefined()
  })

  it('gives out no more than it was asked for and keeps the rest', () => {
    for (const id of ['a', 'b', 'c']) schedule.schedule(id, at(NOW))
    expect(ids(schedule.due(NOW + 5_000, 2))).toEqual(['a', 'b'])
    expect(ids(schedule.due(NOW + 5_000, 2))).toEqual(['c'])
  })

  it('keeps a strategy for each message, from its first failure to its last', () => {
    schedule.schedule('own', { ...at(NOW), strategy: fixedRetry({ delay: 10, retries: 2 }) })
    schedule.schedule('default', at(NOW))
    expect(ids(schedule.due(NOW + 10))).toEqual(['own'])
    // Another strategy that comes later changes nothing.
    expect(schedule.schedule('own', { ...at(NOW + 10), strategy: untilExpiry() })).toEqual({
      attempts: 2,
      nextAt: NOW + 20,
    })
    schedule.due(NOW + 20)
    expect(() => schedule.schedule('own', at(NOW + 20))).toThrow(AfpDeliveryError)
    expect(schedule.get('default')).toEqual({
      id: 'default',
      strategy: untilExpiry(),
      state: { attempts: 1, nextAt: NOW + 100 },
    })
  })

  it('throws when a message is exhausted, with the retries it had, and forgets it', () => {
    const context = { ...at(NOW), strategy: exponentialRetry({ retries: 5 }) }
    for (let retry = 1; retry <= 5; retry++) expect(schedule.schedule('m', context).attempts).toBe(retry)
    expect(() => schedule.schedule('m', context)).toThrow(
      expect.objectContaining({
        name: 'AfpDeliveryError',
        code: 'DELIVERY_FAILED',
        messageId: 'm',
        retries: 5,
        details: { reason: 'attempts-exhausted' },
      }),
    )
    expect(schedule.size).toBe(0)
    expect(schedule.nextDueAt).toBeUndefined()
    expect(schedule.get('m')).toBeUndefined()
  })

  it('throws when a message has expired', () => {
    expect(() => schedule.schedule('m', { ...at(NOW), expiresAt: NOW })).toThrow(
      expect.objectContaining({ code: 'MESSAGE_EXPIRED', retries: 0, details: { reason: 'expired' } }),
    )
  })

  it('never gives out what was cancelled, waiting or under way', () => {
    for (const id of ['a', 'b', 'c']) schedule.schedule(id, at(NOW))
    expect(schedule.cancel('b')).toBe(true)
    expect(schedule.cancel('b')).toBe(false)
    expect(ids(schedule.due(NOW + 1_000))).toEqual(['a', 'c'])
    expect(schedule.cancel('a')).toBe(true)
    expect(schedule.size).toBe(1)
    // What was cancelled begins anew.
    expect(schedule.schedule('a', at(NOW)).attempts).toBe(1)
  })

  it('goes on after a restart with the tries and times that were stored', () => {
    const strategy = fixedRetry({ delay: 1_000, retries: 3 })
    schedule.schedule('m', { ...at(NOW), strategy })
    schedule.due(NOW + 1_000)
    const stored = schedule.schedule('m', at(NOW + 1_000))
    const next = new RetrySchedule()
    next.restore('m', strategy, stored, NOW + 1_500)
    expect(next.nextDueAt).toBe(NOW + 2_000)
    expect(next.due(NOW + 2_000)).toEqual([{ id: 'm', strategy, state: { attempts: 2, nextAt: NOW + 2_000 } }])
    expect(next.schedule('m', at(NOW + 2_000)).attempts).toBe(3)
    expect(() => next.schedule('m', at(NOW + 3_000))).toThrow(expect.objectContaining({ retries: 3 }))
  })

  it('is due at most one pause later when the clock was set back over a restart', () => {
    schedule.restore('m', fixedRetry(), { attempts: 1, nextAt: NOW }, NOW - 86_400_000)
    expect(schedule.nextDueAt).toBe(NOW - 86_400_000 + 1_000)
  })

  it('does what a plain list does, whatever is asked of it', () => {
    const step = fc.oneof(
      fc.record({ op: fc.constant('schedule' as const), id: fc.nat(9), delay: fc.integer({ min: 1, max: 50 }) }),
      fc.record({ op: fc.constant('cancel' as const), id: fc.nat(9), delay: fc.constant(0) }),
      fc.record({ op: fc.constant('due' as const), id: fc.integer({ min: 1, max: 4 }), delay: fc.nat(20) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const real = new RetrySchedule()
        let model: { id: string; at: number }[] = []
        let now = NOW
        for (const { op, id, delay } of steps) {
          const name = `m${id}`
          if (op === 'schedule') {
            real.cancel(name)
            real.schedule(name, { ...at(now), strategy: fixedRetry({ delay }) })
            model = [...model.filter(entry => entry.id !== name), { id: name, at: now + delay }]
          } else if (op === 'cancel') {
            real.cancel(name)
            model = model.filter(entry => entry.id !== name)
          } else {
            now += delay
            const due = model
              .filter(entry => entry.at <= now)
              .sort((a, b) => a.at - b.at)
              .slice(0, id)
            expect(ids(real.due(now, id))).toEqual(ids(due))
            model = model.filter(entry => !due.includes(entry))
          }
          expect(real.nextDueAt).toBe(model.length === 0 ? undefined : Math.min(...model.map(entry => entry.at)))
        }
      }),
    )
  })
})
