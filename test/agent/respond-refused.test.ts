/** An answer that cannot be sent is none: the request it was for still waits. */

import { expect, test } from 'vitest'
import { ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

test.each([
  ['at-most-once', 'too long', 'x'.repeat(5_000_000), {}],
  ['at-least-once', 'too long', 'x'.repeat(5_000_000), {}],
  ['at-most-once', 'of no priority that there is', 'a', { priority: 99 }],
  ['at-least-once', 'of no priority that there is', 'a', { priority: 99 }],
] as const)(
  'a request, %s, whose answer was refused for being %s, has the next one',
  async (guarantee, _, content, options) => {
    const errors: unknown[] = []
    bob.subscribe({ sender: 'ada' }, async message => {
      await bob.respond(message, content, options as object).catch(error => errors.push(error))
      await bob.respond(message, 'sorry')
    })
    const reply = await world.during(ada.request(bob.id, 'q', { guarantee }))
    expect(reply.content).toBe('sorry')
    expect(errors).toHaveLength(1)
    expect(ada.receiveAll()).toEqual([])
  },
)
