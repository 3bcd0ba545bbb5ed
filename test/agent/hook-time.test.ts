/** A hook that never ends, as one that waits for itself, holds up nothing for ever. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { collect, failure } from './waiting.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

const guarantees = ['at-most-once', 'at-least-once'] as const

let world: DrivenWorld
let bob: Agent
beforeEach(async () => {
  world = drivenWorld()
  bob = await world.join('bob')
})
afterEach(() => world.close())

/** An agent whose hook sends a copy of each message to where that goes, and waits for it; what became of the copies. */
async function copying(guarantee: (typeof guarantees)[number]): Promise<{ ada: Agent; copies: Promise<unknown>[] }> {
  const copies: Promise<unknown>[] = []
  const ada = await world.join('ada', {
    guarantee,
    handlerTimeout: 60_000,
    hooks: {
      beforeSend: async ({ content, recipients }) => {
        if (content !== 'order') return
        await null
        const copy = ada.send(recipients, 'copy')
        copies.push(copy)
        await copy
      },
    },
  })
  await world.during(ada.waitFor('bob'))
  return { ada, copies }
}

test.each(guarantees)(
  'A hook that waits for what it sends to where its message goes fails in time: %s',
  async guarantee => {
    const { ada, copies } = await copying(guarantee)
    const got: unknown[] = []
    bob.handle(({ content }) => void got.push(content))
    const refused = collect(ada, 'handler:error')
    const sent = failure(ada.send('bob', 'order'))
    const behind = ada.send('bob', 'behind')
    await world.clock.advance(59_000)
    expect(got).toEqual([])
    await world.clock.advance(2_000)
    expect(await sent).toMatchObject({ code: 'TIMEOUT', timeoutSeconds: 60 })
    await world.during(Promise.all([behind, ...copies]))
    await world.pass()
    expect(got).toEqual(['behind', 'copy'])
    expect(refused).toEqual([])
  },
)

test.each(guarantees)('It fails with the end of its agent, which it does not outlive: %s', async guarantee => {
  const { ada } = await copying(guarantee)
  const sent = failure(ada.send('bob', 'order'))
  await world.pass()
  await world.during(ada.close())
  expect(await sent).toMatchObject({ code: 'CLOSED' })
})
