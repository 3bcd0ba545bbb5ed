import { describe, expect, it } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'

describe('a driven clock', () => {
  it('stands still until it is moved', async () => {
    const clock = new DrivenClock(1_000)
    expect([clock.now(), clock.monotonic()]).toEqual([1_000, 0])
    await clock.advance(250)
    expect([clock.now(), clock.monotonic()]).toEqual([1_250, 250])
    expect(new DrivenClock().now()).toBe(Date.UTC(2026, 0, 1))
  })

  it('fires timers in order of their time, then of their making, at their time', async () => {
    const clock = new DrivenClock()
    const fired: string[] = []
    const note = (name: string) => () => fired.push(`${name}@${clock.monotonic()}`)
    clock.after(20, note('c'))
    clock.after(10, note('a'))
    clock.after(20, note('d'))
    clock.after(10, note('b'))
    clock.after(-5, note('now'))
    clock.after(21, note('later'))
    await clock.advance(20)
    expect(fired).toEqual(['now@0', 'a@10', 'b@10', 'c@20', 'd@20'])
    expect(clock.pending).toBe(1)
  })

  it('does not wait for timers that make one another at one moment for ever', async () => {
    const clock = new DrivenClock()
    const again = (): void => void clock.after(0, again)
    again()
    await expect(clock.advance(1)).rejects.toThrow('time did not move on')
  })

  it('fires timers that timers and promises make on the way', async () => {
    const clock = new DrivenClock()
    const fired: number[] = []
    const wait = (ms: number): Promise<void> => new Promise(resolve => clock.after(ms, resolve))
    const loop = (async () => {
      for (let i = 0; i < 5; i++) {
        await wait(10)
        fired.push(clock.monotonic())
      }
    })()
    await clock.advance(50)
    await loop
    expect(fired).toEqual([10, 20, 30, 40, 50])
  })

  it('forgets a timer that was cancelled, also twice or after it fired', async () => {
    const clock = new DrivenClock()
    let fired = 0
    const first = clock.after(10, () => {
      fired++
      second.cancel()
    })
    const second = clock.after(10, () => {
      fired += 100
    })
    clock.after(30, () => {
      fired++
    })
    await clock.advance(10)
    first.cancel()
    second.cancel()
    await clock.advance(20)
    expect(fired).toBe(2)
  })

  it('jumps in wall time without timers or monotonic time noticing', async () => {
    const clock = new DrivenClock(0)
    let fired = false
    clock.after(100, () => {
      fired = true
    })
    clock.jump(3_600_000)
    expect([clock.now(), clock.monotonic(), fired]).toEqual([3_600_000, 0, false])
    clock.jump(-7_200_000)
    await clock.advance(100)
    expect([clock.now(), clock.monotonic(), fired]).toEqual([-3_599_900, 100, true])
  })

  it('advances timer by timer until something holds', async () => {
    const clock = new DrivenClock()
    let n = 0
    const again = (): void => {
      n++
      clock.after(1_000, again)
    }
    clock.after(1_000, again)
    await clock.advanceUntil(() => n === 3)
    expect(clock.monotonic()).toBe(3_000)
    await clock.advanceUntil(() => true)
    expect(clock.monotonic()).toBe(3_000)
  })

  it('gives up when that is not reached within the limit or no timer is left', async () => {
    const clock = new DrivenClock()
    await expect(clock.advanceUntil(() => false)).rejects.toThrow('not reached')
    clock.after(101, () => {})
    await expect(clock.advanceUntil(() => false, 100)).rejects.toThrow('not reached within 100 ms')
    expect(clock.monotonic()).toBe(0)
  })
})
