/** What may happen between the call of `close` and the moment at which an agent's store is another's. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions, Handler } from '../../src/agent/options.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch } from '../../src/store/store.ts'
import { acquainted, type DrivenWorld, drivenWorld } from './worlds.ts'

const ONCE = { guarantee: 'exactly-once' } as const
const BALANCE = ['balance']

let world: DrivenWorld
let store: ReturnType<typeof memoryStore>
/** How long the disk takes for a commit, ms. */
let slow: number
let ada: Agent
let bob: Agent
let log: unknown[]

const pass = (ms: number): Promise<void> => new Promise(resolve => world.clock.after(ms, resolve))

async function begin(options: Partial<AgentOptions> = {}): Promise<void> {
  const commit = store.commit.bind(store)
  store.commit = async (batch: Batch, given) => {
    if (slow > 0) await pass(slow)
    return commit(batch, given)
  }
  ada = await world.join('ada')
  bob = await world.join('bob', { store, ...options })
  await world.during(acquainted([ada, bob]))
}

beforeEach(() => {
  world = drivenWorld()
  store = memoryStore()
  slow = 0
  log = []
})
afterEach(() => world.close())

/** The next run, with a handler. */
async function nextRun(handler: Handler, options: Partial<AgentOptions> = {}): Promise<Agent> {
  const next = await world.join('bob', { store, ...options })
  next.handle(handler)
  await world.during(acquainted([ada, next]))
  return next
}

const LOOKERS: Record<string, () => void> = {
  'a subscription with a callback': () => void bob.subscribe({}, ({ content }) => void log.push(content)),
  'a loop': () => {
    void (async () => {
      for await (const { content } of bob.subscribe()) log.push(content)
    })()
  },
  nobody: () => {},
}

describe.each(Object.keys(LOOKERS))('A handler that is overtaken as its agent closes, while %s looks on,', looker => {
  /** It has read what somebody else then writes; another change takes a while. */
  const paying: Handler = async (_, { transaction }) => {
    log.push('runs')
    const before = (await transaction.get<number>(BALANCE)) ?? 0
    await pass(50)
    transaction.put(BALANCE, before + 100)
    return 'paid'
  }

  async function overtaken<T>(send: () => Promise<T>): Promise<T> {
    await begin()
    bob.handle(paying)
    LOOKERS[looker]?.()
    await world.clock.advance(500)
    slow = 20
    const sent = send()
    while (!log.includes('runs')) await world.clock.advance(1)
    const changes = [
      bob.storage.change(transaction => transaction.put(BALANCE, 1)),
      bob.storage.change(async transaction => {
        await pass(1_000)
        transaction.put(['note'], 1)
      }),
    ]
    await world.during(Promise.all([...changes, bob.close()]))
    slow = 0
    const next = await nextRun(paying)
    const result = await world.during(sent)
    await world.clock.advance(1_000)
    expect(await next.storage.list({ prefix: BALANCE })).toMatchObject([{ value: 101 }])
    return result
  }

  test('has its effect', async () => {
    const { processed } = await overtaken(() => ada.send(bob.id, 'pay', ONCE))
    await processed
  })

  test('answers what it was asked', async () => {
    const reply = await overtaken(() => ada.request(bob.id, 'pay', { ...ONCE, timeout: 60_000 }))
    expect(reply.content).toBe('paid')
  })
})

test.each(Object.keys(LOOKERS))(
  'A letter that is due while its agent closes is left to the next run, while %s looks on',
  async looker => {
    const options = {
      handlerRetry: fixedRetry({ delay: 100, retries: 0 }),
      deadLetterRetry: { 'handler-error': fixedRetry({ delay: 1_000, retries: 1 }) },
    }
    await begin(options)
    bob.handle(() => {
      throw new Error('a bad day')
    })
    await world.clock.advance(500)
    const { processed } = await world.during(ada.send(bob.id, 'pay', ONCE))
    await expect(world.during(processed)).rejects.toThrow()
    LOOKERS[looker]?.()
    const change = bob.storage.change(() => pass(3_000))
    await world.during(Promise.all([change, bob.close()]))
    expect(log).toEqual([])
    await nextRun(({ content }) => void log.push(`handles ${content}`), options)
    await world.clock.advance(30_000)
    expect(log).toEqual(['handles pay'])
  },
)

describe('What a reader has not taken when its agent closes', () => {
  test.each(['after that', 'meanwhile'])('it does not get %s: it is for the next run', async when => {
    await begin()
    const subscription = bob.subscribe()
    const numbers = [1, 2, 3, 4, 5, 6]
    const receipts = await world.during(Promise.all(numbers.map(number => ada.send(bob.id, number, ONCE))))
    await world.clock.advance(500)
    const read = async (): Promise<void> => {
      for await (const { content } of subscription) {
        log.push(content)
        await pass(30)
      }
    }
    const reading = when === 'meanwhile' ? read() : undefined
    await world.clock.advance(40)
    await world.during(bob.close())
    await world.during(reading ?? read())
    const taken = log.length
    await nextRun(({ content }) => void log.push(content))
    await world.during(Promise.all(receipts.map(({ processed }) => processed)))
    expect(log).toEqual(numbers)
    expect(taken).toBe(when === 'meanwhile' ? 2 : 0)
  })

  test('no callback begins with after that', async () => {
    await begin()
    const eve = await world.join('eve')
    await world.during(acquainted([eve, bob]))
    bob.subscribe({}, async ({ content }) => {
      log.push(`${content} begins`)
      await pass(6_000)
    })
    const receipts = [await world.during(ada.send(bob.id, 'ada', ONCE))]
    await world.clock.advance(300)
    receipts.push(await world.during(eve.send(bob.id, 'eve', ONCE)))
    await world.clock.advance(300)
    await world.during(bob.close())
    await world.clock.advance(20_000)
    expect(log).toEqual(['ada begins'])
    const next = await nextRun(({ content }) => void log.push(content))
    await world.during(acquainted([eve, next]))
    await world.during(Promise.all(receipts.map(({ processed }) => processed)))
    expect(log).toContain('eve')
  })
})
