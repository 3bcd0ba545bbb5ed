/** An agent that has closed, and the store that another one has after it. */

import { beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { NewDeadLetter } from '../../src/delivery/dead-letter.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { encodeMessage } from '../../src/message/envelope.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch, Store, Write } from '../../src/store/store.ts'
import { message } from '../message/messages.ts'
import { failure } from './waiting.ts'
import { adaAndBob, world } from './worlds.ts'

adaAndBob()

let store: Store
let gate: Promise<unknown> | undefined
let carl: Agent
let absent: string

/** A store whose writes to what is looked at here wait, where a test wants that. */
function gated(): Store {
  const inner = memoryStore()
  const commit = inner.commit.bind(inner)
  const isHeld = ({ table }: Write): boolean => table === 'dead-letters' || table === 'outbox'
  return Object.assign(inner, {
    commit: async (batch: Batch) => {
      if (batch.writes.some(isHeld)) await gate
      await commit(batch)
    },
  })
}

beforeEach(async () => {
  store = memoryStore()
  gate = undefined
  absent = (await createIdentity()).id
})

const join = async (): Promise<Agent> => {
  carl = await world.join('carl', { store, guarantee: 'at-least-once' })
  return carl
}

function newLetter(): NewDeadLetter {
  const sent = message({ content: 'by hand', recipients: [absent], guarantee: 'at-least-once' })
  const bytes = encodeMessage(sent, 'message')
  return { side: 'sender', peer: absent, reason: 'no-route', message: bytes, sender: carl.id, attempts: 0 }
}

test('An agent that has closed reads and writes nothing of what its successor keeps.', async () => {
  const { deadLetters, deliveries } = await join()
  const letter = await deadLetters.add(newLetter())
  const sent = await world.during(carl.send(absent, 'hello'))
  await world.during(carl.close())
  const next = await join()
  const { id } = letter
  for (const attempt of [
    deadLetters.add(newLetter()),
    deadLetters.get(id),
    deadLetters.list(),
    deadLetters.markProcessed(id),
    deadLetters.retry(id),
    deadLetters.discard(id),
    deadLetters.purge({ processed: 'any' }),
    deliveries.get(sent.id),
    deliveries.cancel(sent.id),
  ].map(attempt => failure(attempt))) {
    expect(await attempt).toMatchObject({ code: 'CLOSED' })
  }
  expect(deadLetters.count()).toBe(1)
  expect(await next.deadLetters.list()).toEqual([letter])
  expect(await next.deliveries.get(sent.id)).toMatchObject({ status: 'pending' })
  expect(await next.deliveries.cancel(sent.id)).toBe(true)
})

describe('What was called before an agent closes is written before another has its store', () => {
  test.each<[string, (letter: string, sent: string) => Promise<unknown>]>([
    ['a new letter', () => carl.deadLetters.add(newLetter())],
    ['a letter that is marked', letter => carl.deadLetters.markProcessed(letter)],
    ['a letter that is discarded', letter => carl.deadLetters.discard(letter)],
    ['letters that are purged', () => carl.deadLetters.purge({ processed: 'any' })],
    ['a message that is called off', (_, sent) => carl.deliveries.cancel(sent)],
  ])('%s', async (_what, change) => {
    store = gated()
    await join()
    const { id } = await carl.deadLetters.add(newLetter())
    const sent = await world.during(carl.send(absent, 'hello'))
    const opened = Promise.withResolvers<void>()
    gate = opened.promise
    const order: string[] = []
    const changed = change(id, sent.id).then(() => order.push('changed'))
    const closed = carl.close().then(() => order.push('closed'))
    await world.clock.advance(20_000)
    expect(order).toEqual([])
    opened.resolve()
    await world.during(Promise.all([changed, closed]))
    expect(order).toEqual(['changed', 'closed'])
  })
})
