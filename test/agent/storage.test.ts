/** What an agent keeps for its application, reached from outside of handlers. */

import { describe, expect, test } from 'vitest'
import type { Handler } from '../../src/agent/options.ts'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { failure } from './waiting.ts'
import { acquainted, ada, adaAndBob, bob, world } from './worlds.ts'

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

describe('a change while the end of a handler waits for room', () => {
  /** Has carl's handler run, and write, while there is room for changes and none for the end of its message. */
  async function changedMeanwhile(handler: Handler): Promise<readonly unknown[]> {
    const store: Store = memoryStore()
    const carl = await world.join('carl', { store })
    await world.during(acquainted([ada, carl]))
    const commit = store.commit.bind(store)
    const refused = Promise.withResolvers<void>()
    let full = false
    store.commit = async (batch, options) => {
      if (!full || batch.writes.every(({ table }) => table !== 'inbox' && table !== 'epochs'))
        return commit(batch, options)
      if (batch.writes.some(({ table }) => table === 'app')) refused.resolve()
      throw new AfpDataStoreError('STORE_FULL', 'there is no room')
    }
    let runs = 0
    carl.handle((message, context) => {
      // Not before: its message had to get in.
      full = ++runs === 1
      return handler(message, context)
    })
    const { processed } = await ada.send('carl', 'hello', { guarantee: 'at-least-once' })
    await world.during(refused.promise)
    await carl.storage.change(transaction => transaction.put(['key'], 'changed'))
    full = false
    await world.during(processed)
    const [row] = await carl.storage.list({ prefix: ['key'] })
    return [row?.value, runs]
  }

  test('of what the handler has read has the handler run again on it', async () => {
    const seen: unknown[] = []
    const kept = await changedMeanwhile(async (_, { transaction }) => {
      seen.push(await transaction.get(['key']))
      transaction.put(['key'], `${seen.at(-1)}, handled`)
    })
    expect(seen).toEqual([undefined, 'changed'])
    expect(kept).toEqual(['changed, handled', 2])
  })

  test('of what the handler only writes comes before it: the handler writes when its message is processed', async () => {
    const kept = await changedMeanwhile((_, { transaction }) => transaction.put(['key'], 'handled'))
    expect(kept).toEqual(['handled', 1])
  })
})

/** An agent with a change under way, whose work waits for the gate. */
async function changing() {
  const store: Store = Object.assign(memoryStore(), { close: async () => {} })
  const carl = await world.join('carl', { store })
  const gate = Promise.withResolvers<void>()
  const change = carl.storage.change(async transaction => {
    await gate.promise
    transaction.put(['last'], 'word')
  })
  return { store, carl, gate, change }
}

test('what was begun before the agent closes is written', async () => {
  const { store, carl, gate, change } = await changing()
  const closed = carl.close()
  await world.clock.advance(1_000)
  gate.resolve()
  await world.during(Promise.all([closed, change]))
  const again = await world.join('carl', { store })
  expect(await again.storage.list()).toEqual([{ key: ['last'], value: 'word' }])
})

test('a change whose work outlasts its agent writes nothing into the store that another has then', async () => {
  const { store, carl, gate, change } = await changing()
  const begun = failure(change)
  await world.during(carl.close())
  const again = await world.join('carl', { store })
  gate.resolve()
  expect(await begun).toMatchObject({ code: 'CLOSED' })
  expect(await again.storage.list()).toEqual([])
})

test('an agent that has closed lists and changes nothing', async () => {
  await world.during(ada.close())
  expect(await failure(ada.storage.list())).toMatchObject({ code: 'CLOSED' })
  expect(await failure(ada.storage.change(() => {}))).toMatchObject({ code: 'CLOSED' })
})
