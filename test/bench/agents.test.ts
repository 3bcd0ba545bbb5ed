/** What is measured of agents: a run of kept messages is over when its rows are gone from both stores. */

import { expect, test, vi } from 'vitest'
import { memoryStore } from '../../src/store/memory.ts'
import { acquainted, drivenWorld } from '../agent/worlds.ts'
import { Arrivals, contentOf, pump, SendWindow } from './flow.ts'
import { sendMessages, takeMessages } from './peers/agents.ts'

test.each(['at-least-once', 'exactly-once'])('%s is over when nothing is left in either store', async guarantee => {
  const world = drivenWorld()
  const [from, to] = [memoryStore(), memoryStore()]
  const [ada, bob] = [await world.join('ada', { store: from }), await world.join('bob', { store: to })]
  await world.during(acquainted([ada, bob]))
  const [arrivals, window] = [new Arrivals(), new SendWindow()]
  const taking = await world.during(takeMessages(bob, to, () => arrivals.arrived()))
  const sending = sendMessages(ada, from, bob.id, window)
  arrivals.reset()
  window.reset(4)
  const counted = [vi.spyOn(from, 'count'), vi.spyOn(to, 'count')]

  expect(await world.during(pump(sending.flow(guarantee), window, contentOf(64), { count: 20 }))).toBe(20)
  await world.during(arrivals.end(20, taking.settled))

  for (const [at, table] of ['outbox', 'inbox'].entries()) {
    const { calls, results } = counted[at]?.mock ?? { calls: [], results: [] }
    expect(calls.at(-1)).toEqual([table])
    expect(await results.at(-1)?.value).toBe(0)
  }
  await world.close()
})
