/** What an agent keeps for its application, reached from outside of handlers. */

import { expect, test } from 'vitest'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { failure } from './waiting.ts'
import { ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

test('what handlers wrote is listed in the order of its keys, and nothing else of the store is', async () => {
  bob.handle(({ content }, { transaction }) => transaction.put(['said', Number(content)], { text: `${content}` }))
  for (const number of [10, 2, 1])
    await world.during((await ada.send('bob', number, { guarantee: 'at-least-once' })).processed)
  await bob.storage.change(transaction => transaction.put(['topics'], ['lobby']))

  expect(await bob.storage.list({ prefix: ['said'] })).toEqual([
    { key: ['said', 1], value: { text: '1' } },
    { key: ['said', 2], value: { text: '2' } },
    { key: ['said', 10], value: { text: '10' } },
  ])
  expect(await bob.storage.list({ prefix: ['said'], reverse: true, limit: 1 })).toMatchObject([{ key: ['said', 10] }])
  expect(await bob.storage.list()).toHaveLength(4)
})

test('a change is whole or not at all, and its result is what its work returned', async () => {
  expect(
    await ada.storage.change(async transaction => {
      transaction.put(['a'], new Uint8Array([1]))
      return transaction.get(['a'])
    }),
  ).toEqual(new Uint8Array([1]))
  const broken = ada.storage.change(transaction => {
    transaction.delete(['a'])
    throw new Error('half way')
  })
  expect(await failure(broken)).toMatchObject({ message: 'half way' })
  expect(await ada.storage.list()).toEqual([{ key: ['a'], value: new Uint8Array([1]) }])
})

test('changes that read what others write at the same time lose none of it', async () => {
  const add = (): Promise<void> =>
    ada.storage.change(async transaction => {
      const sum = ((await transaction.get(['sum'])) as number | undefined) ?? 0
      transaction.put(['sum'], sum + 1)
    })
  await Promise.all(Array.from({ length: 8 }, add))
  expect(await ada.storage.list()).toEqual([{ key: ['sum'], value: 8 }])
})

test('a change that always meets another one says so in the end', async () => {
  const store: Store = memoryStore()
  const carl = await world.join('carl', { store })
  let runs = 0
  const hopeless = carl.storage.change(async transaction => {
    await transaction.get(['sum'])
    await carl.storage.change(other => other.put(['sum'], ++runs))
    transaction.put(['mine'], 1)
  })
  expect(await failure(hopeless)).toMatchObject({ code: 'STORE_CONFLICT' })
  expect(await carl.storage.list()).toEqual([{ key: ['sum'], value: runs }])
})

test('what was begun before the agent closes is written', async () => {
  const store: Store = Object.assign(memoryStore(), { close: async () => {} })
  const carl = await world.join('carl', { store })
  const change = carl.storage.change(transaction => transaction.put(['last'], 'word'))
  await world.during(Promise.all([carl.close(), change]))
  const again = await world.join('carl', { store })
  expect(await again.storage.list()).toEqual([{ key: ['last'], value: 'word' }])
})

test('an agent that has closed lists and changes nothing', async () => {
  await world.during(ada.close())
  expect(await failure(ada.storage.list())).toMatchObject({ code: 'CLOSED' })
  expect(await failure(ada.storage.change(() => {}))).toMatchObject({ code: 'CLOSED' })
})
