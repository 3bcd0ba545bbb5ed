/** Dead letters and circuit breakers as an application has them. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { letterBytes, letterMessage, type NewDeadLetter } from '../../src/delivery/dead-letter.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { encodeMessage } from '../../src/message/envelope.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { message } from '../message/messages.ts'
import { collect, failure, until } from './waiting.ts'
import { acquainted, type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
beforeEach(() => {
  world = drivenWorld()
})
afterEach(() => world.close())

const letterOf = ({ id }: Agent, peer = id): NewDeadLetter => {
  const sent = message({ content: 'by hand', recipients: [peer], guarantee: 'at-least-once' })
  const bytes = encodeMessage(sent, 'message')
  return { side: 'sender', peer, reason: 'no-route', message: bytes, messageId: sent.id, sender: id, attempts: 0 }
}

const collectChanges = (breakers: Agent['breakers']): string[] => {
  const states: string[] = []
  breakers.addEventListener('change', ({ detail }) => states.push(detail.to))
  return states
}

describe('A dead letter that was in doubt', () => {
  test('can be retried once its recipient has said that the message never came, days and restarts later', async () => {
    const machines = await Promise.all(
      ['ada', 'bob'].map(async name => ({
        name,
        identity: await createIdentity(),
        // Closing an agent closes its store: what is in it has to outlive that here.
        store: Object.assign(memoryStore(), { close: async () => {} }),
      })),
    )
    const start = async (options: Partial<AgentOptions> = {}): Promise<Agent[]> => {
      const agents: Agent[] = []
      // One after the other: the later one dials the earlier one.
      for (const { name, ...kept } of machines)
        agents.push(await world.join(name, { ...kept, guarantee: 'at-least-once', ...options }))
      await world.during(acquainted(agents))
      return agents
    }
    const stop = async (agents: readonly Agent[]): Promise<void> => {
      await world.during(Promise.all(agents.map(agent => agent.close())))
    }
    // It leaves, and its recipient never gets to keep it.
    const first = await start({ hooks: { afterReceive: () => new Promise(() => {}) } })
    const [ada, bob] = first as [Agent, Agent]
    const { id } = await world.during(ada.send(bob.id, 'hello', { ttl: 10 }))
    const { letter } = await world.during(until(ada, 'dead-letter:added'))
    expect(letter).toMatchObject({ reason: 'expired', inDoubt: true, messageId: id })
    expect(await ada.deadLetters.retry(letter.id)).toBe('waiting')
    await stop(first)
    const second = await start()
    await world.clock.advance(60_000)
    const [{ deliveries }] = second as [Agent]
    expect((await deliveries.get(id))?.recipients.get(bob.id)).toMatchObject({ state: 'expired', inDoubt: false })
    await stop(second)
    await world.clock.advance(2 * 86_400_000)
    const third = await start()
    // Long enough that receipts which are over are looked for.
    await world.clock.advance(400_000)
    const [again, reader] = third as [Agent, Agent]
    expect(await world.during(again.deadLetters.retry(letter.id))).toBe('retried')
    expect((await world.during(reader.receive())).content).toBe('hello')
    // With the letter dealt with, the receipt is one like any other.
    await stop(third)
    await world.clock.advance(2 * 86_400_000)
    const [last] = (await start()) as [Agent]
    await world.clock.advance(400_000)
    expect(await last.deliveries.get(id)).toBeUndefined()
  })
})

describe('A policy', () => {
  test('sends what expired again, and no request: nobody waits for its reply', async () => {
    const ada = await world.join('ada', {
      guarantee: 'at-least-once',
      deadLetterRetry: { expired: fixedRetry({ delay: 30_000, retries: 3 }) },
    })
    const identity = await createIdentity()
    const bob = await world.join('bob', { identity })
    await world.during(ada.waitFor(bob.id))
    await world.during(bob.close())
    const retried = collect(ada, 'dead-letter:retried')
    const added = collect(ada, 'dead-letter:added')
    const asking = failure(ada.request(bob.id, 'what?', { ttl: 1, timeout: 20_000 }))
    await ada.send(bob.id, 'hello', { ttl: 1 })
    await world.clock.advance(10_000)
    expect(added).toHaveLength(2)
    await world.clock.advance(50_000)
    expect(await asking).toMatchObject({ code: 'TIMEOUT' })
    expect(retried.map(({ outcome }) => outcome).sort()).toEqual(['expired', 'retried'])
    const again = await world.join('bob', { identity })
    expect((await world.during(again.receive())).content).toBe('hello')
    await world.clock.advance(120_000)
    expect(again.metrics.counter('messages.received').value).toBe(1)
    const [letter] = await ada.deadLetters.list({ processed: false })
    expect(letter).toMatchObject({ reason: 'expired', retry: undefined })
  })
})

describe('What an agent shows', () => {
  test('of its dead letters is what an application may do with them, and nothing of what delivery does', async () => {
    const ada = await world.join('ada')
    const { deadLetters } = ada
    const asked = ['count', 'get', 'list', 'markProcessed', 'discard', 'purge', 'retry', 'nextDueAt', 'add']
    const members = [...asked, 'addEventListener', 'removeEventListener']
    expect(Object.keys(deadLetters).sort()).toEqual(members.sort())
    for (const hidden of ['stage', 'start', 'due', 'close', 'emit']) expect(hidden in deadLetters).toBe(false)
    expect(() => Object.assign(deadLetters, { retry: undefined })).toThrow(TypeError)
    const told: unknown[] = []
    const listener = ({ detail }: { detail: { id: string } }): void => void told.push(detail.id)
    deadLetters.addEventListener('dead-letter:processed', listener)
    const { id } = await deadLetters.add(letterOf(ada))
    expect(await deadLetters.markProcessed(id)).toBe(true)
    expect(told).toEqual([id])
    deadLetters.removeEventListener('dead-letter:processed', listener)
    expect(await deadLetters.markProcessed(id, 'again')).toBe(true)
    expect(told).toEqual([id])
    expect(deadLetters.nextDueAt).toBeUndefined()
  })

  test('of its circuit breakers is the same, as of now', async () => {
    const { breakers } = await world.join('ada')
    for (const hidden of ['borrow', 'giveBack', 'emit']) expect(hidden in breakers).toBe(false)
    const changes = collectChanges(breakers)
    breakers.getOrCreate('somebody').forceOpen()
    expect(breakers.size).toBe(1)
    expect([...breakers.states()]).toEqual([['somebody', 'open']])
    breakers.resetAll()
    expect(changes).toEqual(['open', 'closed'])
    expect(breakers.remove('somebody')).toBe(true)
    expect([breakers.size, breakers.get('somebody')]).toEqual([0, undefined])
  })
})

describe('A dead letter of the application', () => {
  test('is kept as others are, and can be retried', async () => {
    const [ada, bob] = [await world.join('ada'), await world.join('bob')]
    await world.during(acquainted([ada, bob]))
    const letter = await ada.deadLetters.add(letterOf(ada, bob.id))
    expect(await ada.deadLetters.list()).toEqual([letter])
    expect(await world.during(ada.deadLetters.retry(letter.id))).toBe('retried')
    expect((await world.during(bob.receive())).content).toBe('by hand')
  })

  test('has the id of its message where it is given none, after a restart too', async () => {
    const store = Object.assign(memoryStore(), { close: async () => {} })
    const ada = await world.join('ada', { store })
    const { messageId, ...fields } = letterOf(ada)
    for (const letter of [fields, { ...fields, messageId: undefined }])
      expect(await ada.deadLetters.add(letter)).toMatchObject({ messageId })
    await world.during(ada.close())
    const [one, two] = await (await world.join('ada', { store })).deadLetters.list()
    expect([one?.messageId, two?.messageId]).toEqual([messageId, messageId])
  })

  test.each([
    ['it could not send', 'sender'],
    ['it could not handle', 'recipient'],
  ] as const)('has for message what is made of content that %s', async (_what, side) => {
    const [ada, bob] = [await world.join('ada'), await world.join('bob')]
    await world.during(acquainted([ada, bob]))
    const [from, to] = side === 'sender' ? [ada, bob] : [bob, ada]
    const bytes = letterBytes(
      { order: 7 },
      { sender: from.id, recipient: to.id, metadata: { a: 1 }, clock: world.clock },
    )
    const fields = { side, peer: bob.id, sender: from.id, reason: 'rejected', attempts: 0, message: bytes } as const
    const letter = await ada.deadLetters.add(fields)
    const { message } = letterMessage(letter)
    expect(message).toMatchObject({ content: { order: 7 }, metadata: { a: 1 }, guarantee: 'at-least-once' })
    const taken = to.receive()
    expect(await world.during(ada.deadLetters.retry(letter.id))).toBe('retried')
    expect(await world.during(taken)).toMatchObject({ content: { order: 7 }, sender: from.id })
  })

  test('has a message of known options alone', () => {
    const wrong = { sender: 'ada', recipient: 'bob', topic: 'news' }
    expect(() => letterBytes('x', wrong)).toThrow("letterBytes() has no option 'topic'")
  })

  test('that is damaged is left out of the list, which tells of it', async () => {
    const store = memoryStore()
    const ada = await world.join('ada', { store })
    const errors = collect(ada, 'store:error')
    const [damaged, whole] = [await ada.deadLetters.add(letterOf(ada)), await ada.deadLetters.add(letterOf(ada))]
    await store.commit({ writes: [{ op: 'delete', table: 'dead-letters', key: ['message', damaged.id] }] })
    expect(await ada.deadLetters.list()).toEqual([whole])
    expect(errors).toMatchObject([{ error: { code: 'STORE_FAILED', reference: damaged.id } }])
  })

  test.each<[string, object]>([
    ['side', { side: 'left' }],
    ['side', { side: undefined }],
    ['peer', { peer: 'bob' }],
    ['reason', { reason: 'boredom' }],
    ['reason', { reason: undefined }],
    ['message', { message: 'text' }],
    ['message', { message: new Uint8Array(3) }],
    ['messageId', { messageId: 'one' }],
    ['messageId', { messageId: '0190163d-8694-739b-aea5-966c26f8ad91' }],
    ['attempts', { attempts: 1.5 }],
    ['attempts', { attempts: undefined }],
    ['security', { security: 'high' }],
    ['lastError', { lastError: 'gone' }],
    ['strategy', { strategy: { kind: 'fixed', delay: 'long' } }],
    ['sender', { sender: undefined }],
    ['content', { content: 'x' }],
    // What is inside these is seen when it is stored.
    ['', { security: { level: 'some' } }],
    ['', { lastError: { code: 5 } }],
  ])('is refused where its %s is none, by name, and nothing of it is kept: %o', async (name, wrong) => {
    const ada = await world.join('ada')
    const letter = { ...letterOf(ada), ...wrong } as ReturnType<typeof letterOf>
    const refused = { code: 'INVALID_OPTION', message: expect.stringContaining(name) }
    expect(await failure(ada.deadLetters.add(letter))).toMatchObject(refused)
    expect(ada.deadLetters.count()).toBe(0)
  })
})

test.each<[string, (agent: Agent, id: string) => Promise<unknown>]>([
  ['the note of deadLetters.markProcessed()', ({ deadLetters }, id) => deadLetters.markProcessed(id, 5 as never)],
  ['the id of deadLetters.markProcessed()', ({ deadLetters }) => deadLetters.markProcessed(undefined as never)],
  ['the id of deadLetters.get()', ({ deadLetters }) => deadLetters.get(5 as never)],
  ['the id of deadLetters.discard()', ({ deadLetters }) => deadLetters.discard({} as never)],
  ['the id of deadLetters.retry()', ({ deadLetters }) => deadLetters.retry(null as never)],
  ['the id of deliveries.get()', ({ deliveries }) => deliveries.get(undefined as never)],
  ['the id of deliveries.cancel()', ({ deliveries }) => deliveries.cancel(5 as never)],
])('What is no text is refused by name as %s.', async (name, call) => {
  const ada = await world.join('ada')
  const { id } = await ada.deadLetters.add(letterOf(ada))
  const refused = { code: 'INVALID_OPTION', message: expect.stringContaining(`${name} has to be a string`) }
  expect(await failure(call(ada, id))).toMatchObject(refused)
})

describe('The room for dead letters', () => {
  test('is what the agent was given, told when there is little of it, and made by age where that was asked for', async () => {
    const deadLetters = { maxEntries: 2, maxBytes: 300_000, maxAge: 3_600_000 }
    const ada = await world.join('ada', { guarantee: 'at-least-once', deadLetters })
    const low = collect(ada, 'dead-letter:low')
    const refused = collect(ada, 'dead-letter:refused')
    const removed = collect(ada, 'dead-letter:removed')
    const { id } = await createIdentity()
    for (let i = 0; i < 3; i++) await world.during(ada.send(id, i, { ttl: 10 }))
    await world.clock.advance(60_000)
    expect(ada.deadLetters.count()).toBe(2)
    expect(low).toMatchObject([{ side: 'sender', entries: 2, maxEntries: 2, maxBytes: 300_000 }])
    expect(refused).toHaveLength(1)
    expect(removed).toEqual([])
    await world.clock.advance(3_700_000)
    expect(ada.deadLetters.count()).toBe(2)
    expect(removed).toMatchObject([{ why: 'room' }])
  })

  test('may be asked for by any age, and kept for ever', async () => {
    const ada = await world.join('ada', { deadLetters: { maxAge: Number.POSITIVE_INFINITY } })
    expect(ada.deadLetters.count({ maxAge: Number.POSITIVE_INFINITY })).toBe(0)
    expect(await ada.deadLetters.purge({ olderThan: Number.POSITIVE_INFINITY })).toBe(0)
    expect(() => ada.deadLetters.count({ maxAge: Number.NaN })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    )
  })

  test.each<[object, string]>([
    [{ maxEntries: 0 }, 'maxEntries has to be a positive integer'],
    [{ maxAge: -1 }, 'maxAge has to be a number of milliseconds'],
    [{ entries: 1 }, "deadLetters has no option 'entries'"],
  ])('is refused as an option where it is none: %o', async (deadLetters, why) => {
    expect(await failure(world.join('ada', { deadLetters }))).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining(why),
    })
  })
})
