import { beforeEach, describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { Deadlines } from '../../src/delivery/deadlines.ts'

let clock: DrivenClock
let deadlines: Deadlines
beforeEach(() => {
  clock = new DrivenClock()
  deadlines = new Deadlines(clock)
})

/** What a deadline fires with. */
function fired(at: number, outer?: AbortSignal): Promise<unknown> {
  const { signal } = deadlines.start(at, () => `${at} ms are over`, outer)
  return new Promise(resolve => {
    const tell = (): void => resolve(signal.reason)
    if (signal.aborted) tell()
    signal.addEventListener('abort', tell)
  })
}

describe('Deadlines', () => {
  test('fire each at its time, in whatever order they were set, and with one timer', async () => {
    const order: unknown[] = []
    for (const at of [200, 100, 300, 100]) {
      fired(at).then(reason => order.push([clock.monotonic(), reason]))
      expect(clock.pending).toBe(1)
    }
    await clock.advance(250)
    expect(order).toEqual([
      [100, '100 ms are over'],
      [100, '100 ms are over'],
      [200, '200 ms are over'],
    ])
    await clock.advance(50)
    expect(order).toHaveLength(4)
    expect(clock.pending).toBe(0)
  })

  test('that are ended in time never fire, and the timer that is left finds nothing', async () => {
    const outer = new AbortController()
    const ended = deadlines.start(100, () => 'late', outer.signal)
    const other = fired(200)
    ended.end()
    await clock.advance(200)
    expect(await other).toBe('200 ms are over')
    outer.abort('never mind')
    expect(ended.signal.aborted).toBe(false)
    expect(clock.pending).toBe(0)
  })

  test('give way to a signal of the caller, also to one that has fired', async () => {
    const outer = new AbortController()
    const waiting = fired(100, outer.signal)
    outer.abort('never mind')
    expect(await waiting).toBe('never mind')
    expect(await fired(100, outer.signal)).toBe('never mind')
  })

  test('that are over already fire as soon as there is time, not at once', async () => {
    const waiting = fired(-5)
    expect(deadlines.start(-5, () => 'late').signal.aborted).toBe(false)
    await clock.advance(0)
    expect(await waiting).toBe('-5 ms are over')
  })

  test('may be set while others fire', async () => {
    const again = fired(100).then(() => fired(150))
    await clock.advance(200)
    expect(await again).toBe('150 ms are over')
  })

  test('leave nothing ticking when they are closed', () => {
    void fired(100)
    deadlines.close()
    expect(clock.pending).toBe(0)
  })
})
