/** What a handler may say of its reply: not whose reply it is, nor under which id it goes. */

import { describe, expect, test } from 'vitest'
import { reply } from '../../src/agent/handlers.ts'
import { messageIdFrom } from '../../src/message/ids.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { collect, failure } from './waiting.ts'
import { acquainted, drivenWorld } from './worlds.ts'

const id = messageIdFrom('same')

describe('A reply', () => {
  test.each([
    ['id', { id }],
    ['parentId', { parentId: id }],
    ['signal', { signal: AbortSignal.abort() }],
  ])('takes no %s', (name, options) => {
    expect(() => reply('answer', options as never)).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringContaining(`reply() has no option '${name}'`),
      }),
    )
  })

  test.each([
    ['of this run', false],
    ['of an earlier run', true],
  ])(
    'under the id of a message %s fails its request at once, and nothing of that message is touched',
    async (_, anew) => {
      const world = drivenWorld()
      // The same store outlives its agent.
      const store = Object.assign(memoryStore(), { close: async () => {} })
      const guarantee = 'at-least-once'
      const ada = await world.join('ada', { guarantee })
      let bob = await world.join('bob', { guarantee, store })
      await world.during(acquainted([ada, bob]))
      ada.handle(() => {})
      await world.during((await world.during(bob.send('ada', 'first', { id }))).processed)
      if (anew) {
        await world.during(bob.close())
        bob = await world.join('bob', { guarantee, store })
        await world.during(acquainted([ada, bob]))
      }
      const errors = collect(bob, 'store:error')
      bob.handle(({ content }, { transaction }) => {
        transaction.put(['last'], content)
        return reply('answer', { id } as never)
      })
      const started = world.clock.monotonic()
      expect(await world.during(failure(ada.request('bob', 'what?', { timeout: 600_000 })))).toMatchObject({
        code: 'HANDLER_FAILED',
        message: expect.stringContaining("reply() has no option 'id'"),
      })
      expect(world.clock.monotonic() - started).toBeLessThan(1_000)
      // Longer than what is over stays in memory.
      await world.clock.advance(400_000)
      await world.during((await world.during(bob.send('ada', 'another'))).processed)
      expect(errors).toEqual([])
      expect(await bob.deliveries.get(id)).toMatchObject({ status: 'delivered' })
      expect(await world.during(failure(bob.send('ada', 'second', { id })))).toMatchObject({
        code: 'DUPLICATE_MESSAGE',
      })
      await world.close()
    },
  )
})
