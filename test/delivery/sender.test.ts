import { expect, it } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { CircuitBreaker } from '../../src/delivery/breaker.ts'
import type { Envelopes } from '../../src/delivery/envelopes.ts'
import { FrameType } from '../../src/delivery/frames.ts'
import type { Lines } from '../../src/delivery/lines.ts'
import type { Entry, OutEpoch } from '../../src/delivery/out-epoch.ts'
import { Sender } from '../../src/delivery/sender.ts'

/** A sender whose recipient acknowledges nothing by itself, and what becomes of its messages. */
function lonely(
  clock: DrivenClock,
  {
    pause = 500,
    breaker = new CircuitBreaker('bob', clock),
    answers = false,
    waits = (): boolean => false,
    told = (): void => {},
  } = {},
) {
  const sent: number[] = []
  const overdue: number[] = []
  const expired: number[] = []
  const entries = new Map<number, Entry>()
  /** Whether the connection takes frames. */
  const line = { busy: false }
  /** Whether the recipient, asked what it has, says that there is nothing new. */
  const recipient = { answers }
  const lines = {
    send: async (_to: string, frame: Uint8Array) => {
      if (line.busy) throw new Error('too much waits on the connection')
      if (frame.length > 1) sent.push(frame[1] as number)
      if (frame[0] === FrameType.states && recipient.answers)
        clock.after(10, () => sender.heard({ arrived: false, news: false }))
    },
    rtt: () => 10,
  } as unknown as Lines
  const sender: Sender = new Sender({
    recipient: 'bob',
    envelopes: {
      keep: () => {},
      take: ({ number }: Entry) => Uint8Array.of(FrameType.envelope, number),
    } as unknown as Envelopes,
    copy: async () => {},
    lines,
    clock,
    breaker,
    window: 10,
    states: () => {
      told()
      return Uint8Array.of(FrameType.states)
    },
    waits,
    onHanded: () => {},
    onOverdue: entry => {
      overdue.push(entry.number)
      sender.again(entry, clock.now() + pause)
    },
    onOver: entry => {
      expired.push(entry.number)
      sender.remove(entry)
    },
  })
  const epoch = { packet: new Uint8Array(0), order: 1 } as OutEpoch
  const add = (number: number, expiresAt = clock.now() + 86_400_000): void => {
    const entry = { epoch, number, order: number, priority: 0, expiresAt, bytes: 2 }
    entries.set(number, entry as unknown as Entry)
    sender.add(entry as unknown as Entry)
    sender.pump()
  }
  /** The recipient says that it has one. */
  const acknowledge = (number: number): void => {
    sender.heard({ arrived: true, news: false })
    sender.remove(entries.get(number) as Entry)
    sender.pump()
  }
  return { sender, breaker, epoch, entries, line, recipient, add, acknowledge, sent, overdue, expired }
}

/** One whose breaker has opened after five silences. */
async function silenced(clock: DrivenClock, pause?: number) {
  const bob = lonely(clock, { pause })
  bob.sender.linked(false)
  for (let number = 1; number <= 5; number++) {
    bob.add(number)
    await clock.advance(2_000)
  }
  expect(bob.breaker.state).toBe('open')
  bob.sent.length = 0
  return bob
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

/** How long a breaker stays open, ms. */
const RESET = 30_000

it('takes no try of its breaker for nothing: what waits for its time goes then', async () => {
  const clock = new DrivenClock()
  const bob = await silenced(clock, 4 * RESET)
  await clock.advance(2 * RESET)
  bob.sender.pump()
  expect(bob.sent).toEqual([])
  for (let i = 0; bob.sent.length === 0 && i < 1_000; i++) await clock.advance(100)
  expect(bob.sent).toEqual([1])
  bob.acknowledge(1)
  expect(bob.breaker.state).toBe('closed')
  await clock.advance(4 * RESET)
  expect(bob.sent).toEqual(expect.arrayContaining([2, 3, 4, 5]))
  bob.sender.close()
})

it('tries once more when the connection would not take the one message that its breaker let go', async () => {
  const clock = new DrivenClock()
  const bob = await silenced(clock)
  bob.line.busy = true
  await clock.advance(2 * RESET)
  expect(bob.sent).toEqual([])
  expect(bob.breaker.failureCount).toBe(5)
  bob.line.busy = false
  await clock.advance(1_000)
  expect(bob.sent).toEqual([1])
  bob.acknowledge(1)
  await clock.advance(1_000)
  expect(bob.sent).toEqual([1, 2, 3, 4, 5])
  bob.sender.close()
})

it.each<[string, (bob: ReturnType<typeof lonely>, tried: Entry) => void, number]>([
  ['has its end', ({ sender }, tried) => sender.remove(tried), 2],
  ['is not to leave any more', ({ sender }, tried) => sender.hold(tried), 2],
  ['was lost with its epoch', ({ sender, epoch }) => sender.forgotten([epoch]), 1],
])('tries with another when the one message that its breaker let go %s', async (_, happens, next) => {
  const clock = new DrivenClock()
  const bob = await silenced(clock)
  for (let i = 0; bob.sent.length === 0 && i < 1_000; i++) await clock.advance(100)
  expect(bob.sent).toEqual([1])
  happens(bob, bob.entries.get(1) as Entry)
  await clock.advance(200)
  expect(bob.sent).toEqual([1, next])
  bob.sender.close()
})

it('tries with another when the link goes over which the one message left that its breaker let go', async () => {
  const clock = new DrivenClock()
  const bob = await silenced(clock)
  await clock.advanceUntil(() => bob.sent.length > 0)
  expect(bob.breaker.state).toBe('half-open')
  bob.sender.unlinked()
  bob.sender.linked(false)
  await clock.advance(200)
  expect(bob.sent).toEqual([1, 1])
  bob.acknowledge(1)
  expect(bob.breaker.state).toBe('closed')
  bob.sender.close()
})

it('tries over a new link at once what waits for its time because another one failed', async () => {
  const clock = new DrivenClock()
  const bob = lonely(clock, { pause: 600_000 })
  bob.sender.linked(false)
  bob.add(1)
  await clock.advanceUntil(() => bob.overdue.length > 0)
  bob.sender.unlinked()
  await clock.advance(10_000)
  expect(bob.sent).toEqual([1])
  bob.sender.linked(false)
  await clock.advance(100)
  expect(bob.sent).toEqual([1, 1])
  bob.sender.close()
})

it('waits, and not in circles, while somebody else tries its breaker, and goes on when that ends', async () => {
  const clock = new DrivenClock()
  const bob = await silenced(clock)
  bob.sender.unlinked()
  await clock.advance(RESET)
  const call = bob.breaker.admit()
  expect(call).toBeDefined()
  let timers = 0
  const after = clock.after.bind(clock)
  clock.after = (delay, callback) => {
    if (++timers > 1_000) throw new Error('no end of timers')
    return after(delay, callback)
  }
  bob.sender.linked(false)
  await clock.advance(2_000)
  expect(bob.sent).toEqual([])
  // It tells nobody.
  call?.abandon()
  await clock.advance(200)
  expect(bob.sent).toEqual([1])
  bob.sender.close()
})

it.each([
  ['that answers stays closed, whatever becomes of one message', true],
  ['that says nothing any more opens', false],
])('the breaker of a recipient %s', async (_, answers) => {
  const clock = new DrivenClock()
  const bob = lonely(clock, { answers })
  const states: string[] = []
  bob.breaker.addEventListener('change', ({ detail }) => states.push(detail.to))
  bob.sender.linked(false)
  bob.add(0)
  for (let number = 1; number <= 30; number++) {
    bob.add(number)
    await clock.advance(10)
    bob.acknowledge(number)
  }
  await clock.advance(20_000)
  expect(bob.sent.filter(number => number > 0)).toHaveLength(30)
  if (answers) {
    expect(states).toEqual([])
    // It goes again at the pace of its strategy all the same.
    expect(bob.overdue.length).toBeGreaterThan(10)
  } else {
    expect(states).toEqual(['open'])
    // The first silence is none of the recipient's: it had spoken since.
    expect(bob.overdue).toHaveLength(6)
  }
  bob.sender.close()
})

it('tries with another when the recipient answers, and has not taken the one message that its breaker let go', async () => {
  const clock = new DrivenClock()
  const bob = await silenced(clock, RESET)
  const states: string[] = []
  bob.breaker.addEventListener('change', ({ detail }) => states.push(detail.to))
  bob.recipient.answers = true
  await clock.advanceUntil(() => bob.sent.length === 2)
  expect(bob.sent).toEqual([1, 2])
  expect(states).toEqual(['half-open'])
  bob.acknowledge(2)
  expect(states).toEqual(['half-open', 'closed'])
  bob.sender.close()
})

it('tells the states every 20 s however much news comes, and none while nothing waits', async () => {
  const clock = new DrivenClock()
  const told: number[] = []
  let waits = true
  const bob = lonely(clock, { waits: () => waits, told: () => void told.push(clock.monotonic()) })
  bob.sender.linked(false)
  const start = clock.monotonic()
  // One that waits for its time is what the recipient misses.
  bob.add(1_000)
  bob.sender.again(bob.entries.get(1_000) as Entry, clock.now() + 3_600_000)
  for (let number = 1; number <= 100; number++) {
    bob.add(number)
    await clock.advance(500)
    bob.acknowledge(number)
    await clock.advance(500)
  }
  const pauses = told.map((at, i) => at - (told[i - 1] ?? start)).slice(1)
  expect(told.length).toBeGreaterThanOrEqual(5)
  expect(Math.max(...pauses)).toBeLessThanOrEqual(20_000)
  expect(told.length).toBeLessThanOrEqual(10)
  waits = false
  const before = told.length
  await clock.advance(100_000)
  expect(told).toHaveLength(before)
  bob.sender.close()
})

it.each([false, true])('tells the states once when it is linked after a long time, asked for: %s', async ask => {
  const clock = new DrivenClock()
  const told: number[] = []
  const bob = lonely(clock, { waits: () => true, told: () => void told.push(clock.monotonic()) })
  bob.sender.linked(true)
  bob.sender.unlinked()
  await clock.advance(60_000)
  told.length = 0
  bob.sender.linked(ask)
  const from = clock.monotonic()
  await clock.advance(100)
  // Its answer, as an acknowledgement has it.
  bob.sender.heard({ arrived: false, news: false })
  bob.sender.credit(10)
  await clock.advance(3_900)
  expect(told).toEqual(ask ? [from] : [])
  bob.sender.close()
})
