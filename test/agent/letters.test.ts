/** Dead letters and circuit breakers as an application has them. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
import { collect, failure } from './waiting.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
beforeEach(() => {
  world = drivenWorld()
})
afterEach(() => world.close())

describe('The room for dead letters', () => {
  test('is what the agent was given, told when there is little of it, and made by age where that was asked for', async () => {
    const deadLetters = { maxEntries: 2, maxBytes: 100_000, maxAge: 3_600_000 }
    const ada = await world.join('ada', { guarantee: 'at-least-once', deadLetters })
    const low = collect(ada, 'dead-letter:low')
    const refused = collect(ada, 'dead-letter:refused')
    const removed = collect(ada, 'dead-letter:removed')
    const { id } = await createIdentity()
    for (let i = 0; i < 3; i++) await world.during(ada.send(id, i, { ttl: 10 }))
    await world.clock.advance(60_000)
    expect(ada.deadLetters.count()).toBe(2)
    expect(low).toMatchObject([{ side: 'sender', entries: 2, maxEntries: 2, maxBytes: 100_000 }])
    expect(refused).toHaveLength(1)
    expect(removed).toEqual([])
    await world.clock.advance(3_700_000)
    expect(ada.deadLetters.count()).toBe(2)
    expect(removed).toMatchObject([{ why: 'room' }])
  })

  test.each<[object, string]>([
    [{ maxEntries: 0 }, 'maxEntries has to be a positive integer'],
    [{ maxAge: -1 }, 'maxAge has to be a number of milliseconds'],
    [{ entries: 1 }, "deadLetters has no option 'entries'"],
  ])('is refused as an option where it is none: %o', async (deadLetters, why) => {
    expect(await failure(world.join('ada', { deadLetters }))).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining(why),
    })
  })
})
