import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { repeat, systemClock } from '../../src/common/clock.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'

describe('the platform clock', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('tells wall and monotonic time', () => {
    vi.setSystemTime(1_000_000)
    const before = systemClock.monotonic()
    expect(systemClock.now()).toBe(1_000_000)
    vi.advanceTimersByTime(250)
    expect(systemClock.now()).toBe(1_000_250)
    expect(systemClock.monotonic() - before).toBeCloseTo(250)
  })

  it('calls back once after the delay, unless cancelled', () => {
    const [kept, cancelled] = [vi.fn(), vi.fn()]
    systemClock.after(100, kept)
    const timer = systemClock.after(100, cancelled)
    vi.advanceTimersByTime(99)
    expect(kept).not.toHaveBeenCalled()
    timer.cancel()
    timer.cancel()
    vi.advanceTimersByTime(1_000)
    expect(kept).toHaveBeenCalledTimes(1)
    expect(cancelled).not.toHaveBeenCalled()
  })

  it('calls back in the next turn for a time that is over, without a warning', () => {
    const [set, delays] = [globalThis.setTimeout, [] as unknown[]]
    const watched = (callback: () => void, delay?: number) => {
      delays.push(delay)
      return set(callback, delay)
    }
    const called = vi.fn()
    // Not by a spy: it would be taken back once more later, and leave time that is driven to the files that come.
    globalThis.setTimeout = watched as typeof setTimeout
    try {
      systemClock.after(-215_745, called)
    } finally {
      globalThis.setTimeout = set
    }
    expect(called).not.toHaveBeenCalled()
    expect(delays).toEqual([0])
    vi.advanceTimersByTime(0)
    expect(called).toHaveBeenCalledTimes(1)
  })

  it('waits longer than setTimeout can, and can be cancelled after its first leg', () => {
    const days = 86_400_000
    const [kept, cancelled] = [vi.fn(), vi.fn()]
    systemClock.after(60 * days, kept)
    const timer = systemClock.after(60 * days, cancelled)
    vi.advanceTimersByTime(30 * days)
    timer.cancel()
    vi.advanceTimersByTime(30 * days - 1)
    expect(kept).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(kept).toHaveBeenCalledTimes(1)
    expect(cancelled).not.toHaveBeenCalled()
  })
})

describe('repeat', () => {
  it('calls back at each interval, which it asks for each time, until cancelled', async () => {
    const clock = new DrivenClock()
    const at: number[] = []
    let interval = 100
    const timer = repeat(
      clock,
      () => interval,
      () => {
        at.push(clock.monotonic())
      },
    )
    await clock.advance(200)
    interval = 1_000
    await clock.advance(1_100)
    expect(at).toEqual([100, 200, 300, 1_300])
    timer.cancel()
    timer.cancel()
    await clock.advance(10_000)
    expect(at).toHaveLength(4)
    expect(clock.pending).toBe(0)
  })

  it('can be cancelled by its own callback', async () => {
    const clock = new DrivenClock()
    let calls = 0
    const timer = repeat(
      clock,
      () => 10,
      () => {
        calls++
        if (calls === 3) timer.cancel()
      },
    )
    await clock.advance(1_000)
    expect(calls).toBe(3)
  })

  it('goes on after a callback that threw', async () => {
    const clock = new DrivenClock()
    let calls = 0
    const timer = repeat(
      clock,
      () => 10,
      () => {
        calls++
        if (calls === 1) throw new Error('once')
      },
    )
    await expect(clock.advance(10)).rejects.toThrow('once')
    await clock.advance(10)
    expect(calls).toBe(2)
    timer.cancel()
  })
})
