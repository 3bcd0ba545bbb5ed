import { describe, expect, test } from 'vitest'
import { collect, failure } from './waiting.ts'
import { acquainted, ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

describe('Names', () => {
  test('a name stands for who was meant by it first; a later claimant is an event and changes nothing', async () => {
    await world.during(ada.send('bob', 'first'))
    const conflicts = collect(ada, 'name:conflict')
    const impostor = await world.join('bob')
    await world.during(acquainted([ada, bob, impostor]))
    expect(conflicts).toEqual([{ name: 'bob', pinned: bob.id, claimant: impostor.id }])
    await world.during(ada.send('bob', 'second'))
    await world.pass()
    expect(bob.receiveAll().map(({ content }) => content)).toEqual(['first', 'second'])
    expect(impostor.receiveAll()).toEqual([])
  })

  test('two unused claims to a name are ambiguous until one is pinned', async () => {
    const twins = [await world.join('twin'), await world.join('twin')] as const
    await world.during(acquainted([ada, ...twins]))
    expect(await failure(ada.send('twin', 'x'))).toMatchObject({
      code: 'AMBIGUOUS_NAME',
      recipients: expect.arrayContaining([twins[0].id, twins[1].id]),
    })
    ada.pin('twin', twins[1].id)
    await world.during(ada.send('twin', 'x'))
    expect((await world.during(twins[1].receive())).sender).toBe(ada.id)
    expect(ada.unpin('twin')).toBe(true)
    expect(ada.unpin('twin')).toBe(false)
    expect(await failure(ada.send('twin', 'x'))).toMatchObject({ code: 'AMBIGUOUS_NAME' })
    expect(() => ada.pin('two', 'twin')).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(() => ada.pin('', twins[0].id)).toThrow(expect.objectContaining({ code: 'INVALID_NAME' }))
  })

  test('a filter by name means who had the name when it was made', async () => {
    const got: unknown[] = []
    ada.subscribe({ sender: 'bob' }, ({ content }) => void got.push(content))
    const impostor = await world.join('bob')
    await world.during(acquainted([ada, bob, impostor]))
    await world.during(impostor.send('ada', 'I am bob'))
    await world.during(bob.send('ada', 'I am'))
    await world.pass()
    expect(got).toEqual(['I am'])
  })

  test('a filter shows the senders that were asked for, and the predicate that was given', () => {
    const where = (): boolean => true
    expect(ada.subscribe({ sender: 'bob', where }).filter).toMatchObject({ sender: 'bob', where })
    expect(ada.subscribe({ sender: ['dan', bob.id] }).filter).toMatchObject({
      sender: ['dan', bob.id],
      where: undefined,
    })
    expect(ada.subscriptions.list().map(({ filter }) => filter.sender)).toEqual(['bob', ['dan', bob.id]])
  })

  test('a filter by name and pattern keeps nothing from others waiting while the pattern is being compiled', async () => {
    const got: unknown[] = []
    ada.subscribe({ sender: 'dan', contentType: /text/ }, ({ content }) => void got.push(content))
    // Taken from ada's own inbox at once: that it is not from dan is known before the pattern is.
    await ada.send('ada', 'x')
    await world.pass()
    expect(ada.receiveAll().map(({ content }) => content)).toEqual(['x'])
    expect(got).toEqual([])
  })

  test('a filter by a name that nobody has yet means the first who comes with it', async () => {
    const got: unknown[] = []
    ada.subscribe({ sender: ['dan', bob.id] }, ({ content }) => void got.push(content))
    const dan = await world.join('dan')
    await world.during(acquainted([ada, bob, dan]))
    for (const agent of [dan, bob]) await world.during(agent.send('ada', agent.name))
    await world.pass()
    expect(got).toEqual(['dan', 'bob'])
  })
})
