/** Kept messages between agents whose clocks do not agree, for a while or for good. */

import { describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { collect, failure, until } from './waiting.ts'
import { adaAndBob, world } from './worlds.ts'

const DAY = 86_400_000

adaAndBob()

/** Two agents, the second of whom has a clock that can be off by so many ms. */
async function pair(options: Partial<AgentOptions> = {}): Promise<{ carl: Agent; dora: Agent; off: { by: number } }> {
  const { clock } = world
  const off = { by: 0 }
  const wrong = {
    now: () => clock.now() + off.by,
    monotonic: () => clock.monotonic(),
    after: clock.after.bind(clock),
  }
  const carl = await world.join('carl', { guarantee: 'at-least-once' })
  const dora = await world.join('dora', { guarantee: 'at-least-once', clock: wrong, ...options })
  await world.during(Promise.all([carl.waitFor(dora.id), dora.waitFor(carl.id)]))
  return { carl, dora, off }
}

describe('A kept message', () => {
  test.each([
    ['is behind', -150_000, 'clock-skew', /^made 150 s in the future, more than 120 s$/],
    ['is ahead', 3_700_000, 'expired', /envelope/],
  ])(
    'waits for a recipient whose clock %s, and comes once and in order when it is right again',
    async (_, by, reason, detail) => {
      const { carl, dora, off } = await pair()
      const handled: unknown[] = []
      dora.handle(({ content }) => handled.push(content))
      await world.during((await carl.send(dora.id, 'before')).processed)
      off.by = by
      const refused = collect(dora, 'refused')
      const receipts = [await carl.send(dora.id, 'meanwhile'), await carl.send(dora.id, 'and another')]
      await world.clock.advance(10_000)
      expect(refused).toContainEqual({ peer: carl.id, reason, detail: expect.stringMatching(detail) })
      expect(receipts.map(({ status }) => status)).toEqual(['sent', 'sent'])
      off.by = 0
      receipts.push(await carl.send(dora.id, 'after'))
      for (const { processed } of receipts) await world.during(processed)
      expect(handled).toEqual(['before', 'meanwhile', 'and another', 'after'])
      expect(await carl.deadLetters.count()).toBe(0)
    },
  )

  test('expires at its author where the clock of its recipient stays behind, and holds up nothing after that', async () => {
    const { carl, dora, off } = await pair()
    const handled: unknown[] = []
    dora.handle(({ content }) => handled.push(content))
    // In 60 s it is not yet within the 120 s that are allowed.
    off.by = -200_000
    const receipt = await carl.send(dora.id, 'too early', { ttl: 60 })
    const expired = until(carl, 'delivery:expired')
    await world.clock.advance(61_000)
    await expired
    expect(await failure(receipt.processed)).toMatchObject({ code: 'MESSAGE_EXPIRED' })
    expect(await carl.deadLetters.list()).toMatchObject([{ reason: 'expired', messageId: receipt.id }])
    off.by = 0
    await world.during((await carl.send(dora.id, 'after')).processed)
    expect(handled).toEqual(['after'])
  })

  test('that is refused for good is told of with what was wrong', async () => {
    const afterReceive = (): void => {
      throw new Error('not on Sundays')
    }
    const { carl, dora } = await pair({ hooks: { afterReceive } })
    const refused = until(dora, 'refused')
    const receipt = await carl.send(dora.id, 'x')
    await world.during(failure(receipt.processed))
    expect(receipt.recipients.get(dora.id)).toMatchObject({ state: 'dead', reason: 'rejected' })
    expect(await refused).toEqual({
      peer: carl.id,
      reason: 'hook',
      detail: 'a hook refused the message: not on Sundays',
    })
  })
})

test('Receipts go a day after their messages have expired, though the clock was a year ahead for a while', async () => {
  const store = memoryStore()
  const { carl, dora, off } = await pair({ store })
  await world.during(carl.close())
  off.by = 365 * DAY
  await world.clock.advance(600_000)
  off.by = 0
  const expired = until(dora, 'delivery:expired')
  await dora.send(carl.id, 'x', { ttl: 60 })
  await world.during(expired)
  expect(await store.count('receipts')).toBe(1)
  off.by = 2 * DAY
  await world.clock.advance(3_600_000)
  expect(await store.count('receipts')).toBe(0)
})
