/** What a signal does to messages that are kept: up to the moment in which they are written, and no longer. */

import { describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import type { Message } from '../../src/message/message.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { failure } from './waiting.ts'
import { adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

const reason = new Error('never mind')
const id = '0198f7a0-0000-7000-8000-000000000001'

/** A disk on which nothing new gets into the outbox before it is let. */
function slowDisk(): { store: Store; reached: Promise<void>; letGo: () => void } {
  const store: Store = memoryStore()
  const reached = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const commit = store.commit.bind(store)
  store.commit = async (batch, options) => {
    if (batch.writes.some(({ op, table }) => op === 'put' && table === 'outbox')) {
      reached.resolve()
      await gate.promise
    }
    return commit(batch, options)
  }
  return { store, reached: reached.promise, letGo: gate.resolve }
}

const carol = (options: Partial<AgentOptions> = {}): Promise<Agent> =>
  world.join('carol', { guarantee: 'at-least-once', ...options })

describe('the signal of a message that is kept', () => {
  test('calls it off while its recipient is looked up: nothing of it is kept', async () => {
    const agent = await carol()
    const aborting = new AbortController()
    const sending = failure(agent.send('nobody yet', 'x', { id, signal: aborting.signal }))
    aborting.abort(reason)
    expect(await sending).toBe(reason)
    expect(await agent.deliveries.get(id)).toBeUndefined()
  })

  test('calls it off while a hook is at work on it, or on one before it', async () => {
    const hook = Promise.withResolvers<void>()
    const hooked = Promise.withResolvers<void>()
    const beforeSend = ({ content }: Message): Promise<void> | void => {
      if (content === 'slow') return hook.promise
      hooked.resolve()
    }
    const agent = await carol({ hooks: { beforeSend } })
    const aborting = new AbortController()
    const { signal } = aborting
    const slow = failure(agent.send(bob.id, 'slow', { signal }))
    const behind = failure(agent.send(bob.id, 'behind', { id, signal }))
    await hooked.promise
    aborting.abort(reason)
    expect([await slow, await behind]).toEqual([reason, reason])
    hook.resolve()
    await world.during(agent.drain())
    expect(await agent.deliveries.get(id)).toBeUndefined()
  })

  test('does nothing once it is being written, nor when it is; deliveries.cancel does', async () => {
    const { store, reached, letGo } = slowDisk()
    const agent = await carol({ store })
    const { id: away } = await createIdentity()
    const aborting = new AbortController()
    const sending = agent.send(away, 'x', { id, signal: aborting.signal })
    await world.during(reached)
    aborting.abort(reason)
    letGo()
    expect((await world.during(sending)).status).toBe('pending')
    await world.pass()
    expect(await agent.deliveries.get(id)).toMatchObject({ status: 'pending' })
    expect(await world.during(agent.deliveries.cancel(id))).toBe(true)
    expect((await agent.deliveries.get(id))?.recipients.get(away)?.state).toBe('cancelled')
  })

  test('calls a request off also while it is written: once it is, it is cancelled', async () => {
    const { store, reached, letGo } = slowDisk()
    const agent = await carol({ store })
    const { id: away } = await createIdentity()
    const aborting = new AbortController()
    const asking = failure(agent.request(away, 'x', { id, signal: aborting.signal }))
    await world.during(reached)
    aborting.abort(reason)
    expect(await asking).toBe(reason)
    letGo()
    await world.during(agent.drain())
    await world.pass()
    expect((await agent.deliveries.get(id))?.recipients.get(away)?.state).toBe('cancelled')
  })
})
