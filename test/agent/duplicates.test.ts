import { describe, expect, test } from 'vitest'
import type { Message } from '../../src/message/message.ts'
import { failure } from './waiting.ts'
import { acquainted, ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

describe('known faults of the example code in the published specification', () => {
  test('nobody chooses what another takes for a duplicate of a message of somebody else', async () => {
    const eve = await world.join('eve')
    await world.during(acquainted([ada, bob, eve]))
    const id = '019b7656-c000-7000-8000-00000000000c'
    await eve.send('bob', 'first with this id', { id })
    await ada.send('bob', 'the honest one', { id })
    await ada.send('bob', 'the same again', { id })
    await world.pass()
    expect(bob.receiveAll().map(({ content }) => content)).toEqual(['first with this id', 'the honest one'])
    expect(bob.metrics.counter('refused', { reason: 'duplicate' }).value).toBe(1)
  })

  test('nobody answers for another by asking under the same id', async () => {
    const eve = await world.join('eve')
    await world.during(acquainted([ada, bob, eve]))
    const id = '019b7656-c000-7000-8000-00000000000d'
    const asked = new Map<string, Message>()
    bob.subscribe({}, message => void asked.set(message.sender, message))
    const honest = ada.request('bob', 'ada asks', { id })
    await world.pass()
    const other = eve.request('bob', 'eve asks', { id })
    await world.pass()
    await bob.respond(asked.get(eve.id) as Message, 're: eve')
    await bob.respond(asked.get(ada.id) as Message, 're: ada')
    expect((await world.during(Promise.all([honest, other]))).map(({ content }) => content)).toEqual([
      're: ada',
      're: eve',
    ])
  })

  test('a priority is a whole number from 0 to 9', async () => {
    for (const priority of [-1, 10, 1.5, Number.NaN]) {
      expect(await failure(ada.send('bob', 'x', { priority }))).toMatchObject({ code: 'INVALID_PRIORITY' })
    }
    for (const priority of [0, 9]) await ada.send('bob', 'x', { priority })
    await world.pass()
    expect(bob.receiveAll().map(({ priority }) => priority)).toEqual([0, 9])
  })
})
