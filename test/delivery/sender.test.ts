import { expect, it } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { CircuitBreaker } from '../../src/delivery/breaker.ts'
import type { Lines } from '../../src/delivery/lines.ts'
import type { Entry, OutEpoch } from '../../src/delivery/out-epoch.ts'
import { Sender } from '../../src/delivery/sender.ts'

/** A sender whose recipient never acknowledges anything, and what becomes of its messages. */
function lonely(clock: DrivenClock) {
  const sent: number[] = []
  const overdue: number[] = []
  const expired: number[] = []
  const lines = {
    send: async (_to: string, frame: Uint8Array) => void (frame.length > 1 && sent.push(frame[1] as number)),
    rtt: () => 10,
  } as unknown as Lines
  const sender: Sender = new Sender({
    recipient: 'bob',
    lines,
    clock,
    breaker: new CircuitBreaker('bob', clock),
    window: 10,
    states: () => undefined,
    waits: () => false,
    onHanded: () => {},
    onOverdue: entry => {
      overdue.push(entry.number)
      sender.again(entry, clock.now() + 500)
    },
    onExpired: entry => {
      expired.push(entry.number)
      sender.remove(entry)
    },
  })
  const epoch = { packet: new Uint8Array(0), order: 1 } as OutEpoch
  const add = (number: number, expiresAt: number): void => {
    const entry = { epoch, number, order: number, priority: 0, expiresAt, row: { frame: Uint8Array.of(16, number) } }
    sender.add(entry as unknown as Entry)
    sender.pump()
  }
  return { sender, add, sent, overdue, expired }
}

it.each([-3_600_000, -100_000, 3_600_000])('goes on at its pace when the clock is set by %i ms', async by => {
  const clock = new DrivenClock()
  const { sender, add, sent, overdue } = lonely(clock)
  sender.linked(false)
  add(1, clock.now() + 86_400_000)
  await clock.advance(100)
  expect(sent).toEqual([1])
  clock.jump(by)
  await clock.advance(2_000)
  expect(overdue).toEqual([1])
  clock.jump(by)
  await clock.advance(2_000)
  expect(sent).toEqual([1, 1, 1])
  sender.close()
})

it('ends messages by the time of day, whichever way it was set', async () => {
  const clock = new DrivenClock()
  const { sender, add, expired } = lonely(clock)
  add(1, clock.now() + 10_000)
  clock.jump(-5_000)
  await clock.advance(14_000)
  expect(expired).toEqual([])
  await clock.advance(2_000)
  expect(expired).toEqual([1])
  sender.close()
})
