/** What an agent that closes leaves to the one that has its store next. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { Handler } from '../../src/agent/options.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch } from '../../src/store/store.ts'
import { acquainted, type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
let store: ReturnType<typeof memoryStore>
/** Rows that were written since it was asked for. */
let writes: string[] | undefined
let ada: Agent
let bob: Agent

beforeEach(async () => {
  world = drivenWorld()
  store = memoryStore()
  writes = undefined
  const commit = store.commit.bind(store)
  store.commit = (batch: Batch, options) => {
    writes?.push(...batch.writes.map(({ op, table }) => `${op} ${table}`))
    return commit(batch, options)
  }
  ada = await world.join('ada')
  bob = await world.join('bob', { store })
  await world.during(acquainted([ada, bob]))
})
afterEach(() => world.close())

const ONCE = { guarantee: 'exactly-once' } as const

const after = (ms: number): Promise<void> => new Promise(resolve => world.clock.after(ms, resolve))

/** A handler that counts what it handled in its transaction, and takes its time. */
const counting =
  (ms: number): Handler =>
  async ({ content }, { transaction }) => {
    const key = ['handled', content as number]
    const before = (await transaction.get<number>(key)) ?? 0
    if (ms > 0) await after(ms)
    transaction.put(key, before + 1)
  }

const handled = async (agent: Agent): Promise<unknown> =>
  (await agent.storage.list({ prefix: ['handled'] })).map(({ key, value }) => [key[1], value])

/** Bob's next run. */
async function again(): Promise<Agent> {
  const next = await world.join('bob', { store })
  await world.during(acquainted([ada, next]))
  return next
}

test('What comes while an agent closes is left to the next run, though a subscription looks on', async () => {
  bob.handle(counting(50))
  const seen: unknown[] = []
  bob.subscribe({}, ({ content }) => void seen.push(content))
  const receipts = await world.during(Promise.all([...Array(20).keys()].map(n => ada.send(bob.id, n, ONCE))))
  await world.clock.advance(200)
  // Something that closing waits for after its handlers have gone.
  const changed = bob.storage.change(async transaction => {
    await after(1_000)
    transaction.put(['note'], 1)
  })
  await world.during(Promise.all([bob.close(), changed]))
  const next = await again()
  next.handle(counting(0))
  await world.during(Promise.all(receipts.map(({ processed }) => processed)))
  expect(await handled(next)).toEqual([...Array(20).keys()].map(n => [n, 1]))
})

test.each([
  ['ends', () => {}],
  [
    'throws',
    () => {
      throw new Error('too late')
    },
  ],
])(
  'A handler that %s after its agent has closed writes nothing: the next run handles its message, once',
  async (_how, end) => {
    const slow = counting(30_000)
    bob.handle(async (message, context) => {
      await slow(message, context)
      end()
    })
    const receipt = await world.during(ada.send(bob.id, 0, ONCE))
    await world.clock.advance(500)
    await world.during(bob.close())
    const next = await again()
    next.handle(counting(0))
    await world.during(receipt.processed)
    await world.clock.advance(1_000)
    writes = []
    await world.clock.advance(60_000)
    expect(writes.filter(write => !write.includes('known'))).toEqual([])
    expect(await handled(next)).toEqual([[0, 1]])
    await world.during(next.close())
    const third = await again()
    third.handle(counting(0))
    await world.clock.advance(10_000)
    expect(await handled(third)).toEqual([[0, 1]])
  },
)

test('A store that was given rejects whatever a closed agent still asks of it', async () => {
  const { storage } = bob
  let asked: Promise<unknown> | undefined
  bob.handle(async (_message, { transaction }) => {
    await after(30_000)
    asked = transaction.get(['anything'])
    await asked
  })
  await world.during(ada.send(bob.id, 0, ONCE))
  await world.clock.advance(500)
  await world.during(bob.close())
  await world.clock.advance(60_000)
  await expect(asked).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(storage.list()).rejects.toMatchObject({ code: 'CLOSED' })
})

test.each(['receive', 'receiveAll'] as const)(
  'A kept request that waited over a restart, and that %s reads, is answered by respond',
  async how => {
    bob.handle(() => new Promise(() => {}))
    const answer = ada.request(bob.id, 'how are you?', { ...ONCE, timeout: 120_000 })
    await world.clock.advance(1_000)
    await world.during(bob.close())
    const next = await again()
    await world.clock.advance(1_000)
    const asked = how === 'receive' ? await world.during(next.receive()) : next.receiveAll()[0]
    if (asked === undefined) throw new Error('it was not there')
    await world.during(next.respond(asked, 'fine'))
    expect((await world.during(answer)).content).toBe('fine')
    expect(ada.receiveAll()).toEqual([])
  },
)
