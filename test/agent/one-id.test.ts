/** Two that want to be kept under one id at the same time: one of them is, or both are the same. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { letterBytes } from '../../src/delivery/dead-letter.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { messageIdFrom } from '../../src/message/ids.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

const id = messageIdFrom('one')

let world: DrivenWorld
let ada: Agent
let bobs: Identity
beforeEach(async () => {
  world = drivenWorld()
  bobs = await createIdentity()
})
afterEach(() => world.close())

const start = async (options: Partial<AgentOptions> = {}): Promise<void> => {
  ada = await world.join('ada', { guarantee: 'at-least-once', store: memoryStore(), ...options })
}

const letterTo = async ({ id: peer }: Identity, content = 'of the letter'): Promise<string> => {
  const message = letterBytes(content, { sender: ada.id, recipient: peer, id, clock: world.clock })
  const letter = { side: 'sender', peer, sender: ada.id, message, reason: 'rejected', attempts: 0 } as const
  return (await ada.deadLetters.add(letter)).id
}

const outcome = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    value => (typeof value === 'string' ? value : 'sent'),
    error => error.code,
  )

/** What comes to somebody who is there from now on. */
const got = async (name: string, identity: Identity): Promise<unknown[]> => {
  const agent = await world.join(name, { identity })
  await world.clock.advance(10_000)
  return agent.receiveAll().map(({ content }) => content)
}

describe('Under one id', () => {
  test('letters to one recipient that are retried at once are one message', async () => {
    await start()
    const letters = [await letterTo(bobs), await letterTo(bobs)]
    const retrying = letters.map(letter => outcome(ada.deadLetters.retry(letter)))
    expect(await world.during(Promise.all(retrying))).toEqual(['retried', 'retried'])
    expect(await got('bob', bobs)).toEqual(['of the letter'])
  })

  test('letters of which there is room for none both stay, though the second one waits for the first', async () => {
    await start({ outbox: { messages: 1 } })
    const eves = await createIdentity()
    const other = await world.during(ada.send(eves.id, 'is in the way'))
    const letters = [await letterTo(bobs), await letterTo(bobs)]
    const retrying = letters.map(letter => outcome(ada.deadLetters.retry(letter)))
    expect(await world.during(Promise.all(retrying))).toEqual(['QUEUE_FULL', 'QUEUE_FULL'])
    expect(ada.deadLetters.count({ processed: false })).toBe(2)
    expect(await ada.deliveries.get(id)).toBeUndefined()
    await world.during(ada.deliveries.cancel(other.id))
    expect(await outcome(world.during(ada.deadLetters.retry(letters[1] as string)))).toBe('retried')
  })

  test('letters to several that are retried at once stand in one receipt', async () => {
    await start()
    const eves = await createIdentity()
    const letters = [await letterTo(bobs), await letterTo(eves)]
    const retrying = letters.map(letter => outcome(ada.deadLetters.retry(letter)))
    expect(await world.during(Promise.all(retrying))).toEqual(['retried', 'retried'])
    const { recipients } = (await ada.deliveries.get(id)) ?? {}
    expect([...(recipients?.keys() ?? [])].sort()).toEqual([bobs.id, eves.id].sort())
    expect(await got('bob', bobs)).toEqual(['of the letter'])
    expect(await got('eve', eves)).toEqual(['of the letter'])
  })

  test.each([
    ['a letter is retried as another message is sent', false],
    ['that message is held up while the letter is retried', true],
  ])('one of two is kept, and the other one refused and left where it is: %s', async (_, held) => {
    // The hook has its time: whether the id is free was asked before.
    let go = (): void => {}
    const hooked = new Promise<void>(resolve => {
      go = resolve
    })
    await start({ hooks: { beforeSend: () => (held ? hooked : undefined) } })
    const letter = await letterTo(bobs)
    const work = [() => outcome(ada.send(bobs.id, 'of the send', { id })), () => outcome(ada.deadLetters.retry(letter))]
    const both = work.map(begin => begin())
    await world.clock.advance(50)
    go()
    const outcomes = await world.during(Promise.all(both))
    const refused = outcomes.indexOf('DUPLICATE_MESSAGE')
    expect(outcomes.toSpliced(refused, 1)).toEqual([refused === 0 ? 'retried' : 'sent'])
    expect(ada.deadLetters.count({ processed: false })).toBe(refused)
    expect(await got('bob', bobs)).toEqual([refused === 0 ? 'of the letter' : 'of the send'])
  })

  test('a letter stays where it is when the message that was in its way is not kept after all', async () => {
    const store = memoryStore()
    const commit = store.commit.bind(store)
    let asked = (): void => {}
    const writing = new Promise<void>(resolve => {
      asked = resolve
    })
    const disk = Promise.withResolvers<void>()
    store.commit = async (batch, options) => {
      if (batch.writes.some(({ table }) => table === 'outbox')) {
        asked()
        await disk.promise
      }
      return commit(batch, options)
    }
    await start({ store })
    const letter = await letterTo(bobs)
    const sending = outcome(ada.send(bobs.id, 'of the send', { id }))
    await world.during(writing)
    expect(await outcome(ada.deadLetters.retry(letter))).toBe('DUPLICATE_MESSAGE')
    disk.reject(Object.assign(new Error('no room'), { code: 'STORE_FULL' }))
    expect(await world.during(sending)).toBe('STORE_FULL')
    expect(ada.deadLetters.count({ processed: false })).toBe(1)
  })
})
