import { describe, expect, test } from 'vitest'
import { collect, failure, touchy } from './waiting.ts'
import { ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

describe('Content', () => {
  const error = new TypeError('not for you')

  test('that throws when it is read is refused with what it threw as the cause, and nothing is sent', async () => {
    const content = touchy(error) as never
    const before = ada.metrics.counter('messages.sent').value
    for (const attempt of [
      ada.send('bob', content),
      ada.request('bob', content),
      ada.publish('news', content),
      ada.broadcast(content),
      ada.send('bob', 'x', { metadata: { content } }),
    ].map(attempt => failure(attempt))) {
      expect(await attempt).toMatchObject({ name: 'AfpMessageError', cause: error })
    }
    await world.pass()
    expect(bob.receiveAll()).toEqual([])
    expect(ada.metrics.counter('messages.sent').value).toBe(before)
  })

  test('that throws in a reply fails the handler, and its requester is told at once', async () => {
    const errors = collect(bob, 'handler:error')
    bob.handle(() => touchy(error))
    expect(await world.during(failure(ada.request('bob', 'x')))).toMatchObject({
      code: 'HANDLER_FAILED',
      details: { code: 'INVALID_CONTENT' },
    })
    expect(errors).toMatchObject([{ error: { code: 'INVALID_CONTENT', cause: error } }])
  })

  test('that is JSON is copied when it is sent: what one does with it next is not what others get', async () => {
    const counter = { count: 0 }
    const sends = [1, 2, 3].map(count => {
      counter.count = count
      return ada.send('bob', counter)
    })
    await world.during(Promise.all(sends))
    await world.pass()
    expect(bob.receiveAll().map(({ content }) => content)).toEqual([{ count: 1 }, { count: 2 }, { count: 3 }])
  })
})
