import { describe, expect, test } from 'vitest'
import { collect, touchy } from './waiting.ts'
import { acquainted, ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

describe('What fails on the way in through no fault of the sender', () => {
  const error = new TypeError('odd')

  test('drops that message, is refused as internal, and is told with the error', async () => {
    const carol = await world.join('carol', {
      hooks: {
        afterReceive: async message => {
          if (message.content === 'odd') Object.defineProperty(message, 'topic', { get: () => touchy(error).inside })
        },
      },
    })
    await world.during(acquainted([ada, bob]))
    await world.during(ada.waitFor('carol'))
    const refused = collect(carol, 'refused')
    const errors = collect(carol, 'handler:error')
    const { id } = await world.during(ada.send('carol', 'odd'))
    await world.during(ada.send('carol', 'even'))
    await world.pass()
    expect(refused).toEqual([{ peer: ada.id, reason: 'internal', detail: 'odd' }])
    expect(errors).toEqual([{ id, error }])
    expect(carol.metrics.counter('refused', { reason: 'internal' }).value).toBe(1)
    expect(carol.metrics.counter('messages.failed').value).toBe(1)
    expect(carol.receiveAll().map(({ content }) => content)).toEqual(['even'])
  })

  test('in a filter counts as no match, is told, and keeps the message from nobody else', async () => {
    const errors = collect(bob, 'handler:error')
    const refused = collect(bob, 'refused')
    const got: unknown[] = []
    const metadata = { a: touchy(error) as never }
    bob.subscribe({ metadata }, () => void got.push('odd'))
    bob.handle({ metadata }, () => void got.push('odd'))
    bob.subscribe({ metadata, contentType: /text/ }, () => void got.push('odd'))
    bob.subscribe({}, ({ content }) => void got.push(content))
    const { id } = await ada.send('bob', 'x', { metadata: { a: { inside: 1 } } })
    await world.pass()
    expect(got).toEqual(['x'])
    expect(errors).toEqual([
      { id, error },
      { id, error },
      { id, error },
    ])
    expect(refused).toEqual([])
  })
})
