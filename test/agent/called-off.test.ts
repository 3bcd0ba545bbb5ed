/** What a signal does to messages that are kept: up to the moment in which they are written, and no longer. */

import { describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import type { Message } from '../../src/message/message.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { paged } from '../../src/store/paged.ts'
import type { Store } from '../../src/store/store.ts'
import { refuseEnds } from '../delivery/refusing-disk.ts'
import { collect, failure, until } from './waiting.ts'
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

/** A disk that takes its time for what is written. */
function farDisk(): Store {
  const store: Store = memoryStore()
  const commit = store.commit.bind(store)
  store.commit = async (batch, options) => {
    await new Promise<void>(resolve => world.clock.after(200, resolve))
    return commit(batch, options)
  }
  return store
}

/** What a kill would leave of a store. */
async function copyOf(store: Store): Promise<Store> {
  const copy = memoryStore()
  for (const table of ['outbox', 'epochs', 'receipts', 'prekeys', 'dead-letters']) {
    for await (const { key, value } of paged(store, table, [])) {
      await copy.commit({ writes: [{ op: 'put', table, key, value }] })
    }
  }
  return copy
}

const carol = (options: Partial<AgentOptions> = {}): Promise<Agent> =>
  world.join('carol', { guarantee: 'at-least-once', ...options })

/** The agent learns the keys of one that goes again at once. */
async function meet(agent: Agent, machine: Partial<AgentOptions>): Promise<void> {
  const friend = await world.join('friend', machine)
  await world.during(agent.waitFor(friend.id))
  await world.during(friend.close())
}

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

  test('calls a request off also while it is written: it ends once the disk knows that it is cancelled', async () => {
    const { store, reached, letGo } = slowDisk()
    const agent = await carol({ store })
    const { id: away } = await createIdentity()
    const aborting = new AbortController()
    let ended = false
    const asking = failure(agent.request(away, 'x', { id, signal: aborting.signal })).finally(() => {
      ended = true
    })
    await world.during(reached)
    aborting.abort(reason)
    await world.pass()
    expect(ended).toBe(false)
    letGo()
    expect(await world.during(asking)).toBe(reason)
    expect((await agent.deliveries.get(id))?.recipients.get(away)?.state).toBe('cancelled')
    expect(await store.count('outbox')).toBe(0)
  })
})

describe('a kept request that nobody waits for any more', () => {
  /** What a recipient that comes later has handled, after another run of the asker has met it. */
  async function handledByTheNextRun(store: Store, identity: Identity, recipient: Identity): Promise<unknown[]> {
    const next = await carol({ store, identity })
    const late = await world.join('late', { identity: recipient, guarantee: 'at-least-once' })
    const handled: unknown[] = []
    late.handle(({ content }) => handled.push(content))
    await world.during((await world.during(next.send(late.id, 'the next'))).processed)
    return handled
  }

  test('has not left once it is called off, whatever becomes of the process', async () => {
    const [store, identity, away] = [farDisk(), await createIdentity(), await createIdentity()]
    const agent = await world.during(carol({ store, identity }))
    const aborting = new AbortController()
    const asking = failure(agent.request(away.id, 'transfer', { timeout: 600_000, signal: aborting.signal }))
    await world.clock.advance(1_000)
    expect(await store.count('outbox')).toBe(1)
    aborting.abort(reason)
    const left = asking.then(() => copyOf(store))
    expect(await world.during(asking)).toBe(reason)
    await world.during(agent.close())
    expect(await handledByTheNextRun(await left, identity, away)).toEqual(['the next'])
  })

  test('is called off by the end of its agent, before the disk is let go of', async () => {
    const [store, identity, away] = [farDisk(), await createIdentity(), await createIdentity()]
    const agent = await world.during(carol({ store, identity }))
    const asking = failure(agent.request(away.id, 'transfer', { timeout: 600_000 }))
    await world.clock.advance(1_000)
    const left = agent.close().then(() => copyOf(store))
    await world.during(left)
    expect(await asking).toMatchObject({ code: 'CLOSED' })
    expect(await handledByTheNextRun(await left, identity, away)).toEqual(['the next'])
  })

  test('ends with its own reason where the disk cannot be told, and ends the agent all the same', async () => {
    const [store, away] = [memoryStore(), await createIdentity()]
    const agent = await carol({ store })
    const aborting = new AbortController()
    const asking = failure(agent.request(away.id, 'x', { timeout: 600_000, signal: aborting.signal }))
    const open = failure(agent.request(away.id, 'y', { timeout: 600_000 }))
    await world.pass()
    const commit = store.commit.bind(store)
    store.commit = () => Promise.reject(new Error('no disk'))
    aborting.abort(reason)
    expect(await world.during(asking)).toBe(reason)
    store.commit = () => new Promise(() => {})
    await world.during(agent.close())
    store.commit = commit
    expect(await store.count('outbox')).toBe(2)
    expect(await open).toMatchObject({ code: 'CLOSED' })
  })

  test.each([
    ['sealed', true],
    ['not sealed yet', false],
  ])('does not leave where the disk fails just then, %s: that is told, and written later', async (_, sealed) => {
    const [store, away] = [memoryStore(), { identity: await createIdentity(), store: memoryStore() }]
    const agent = await carol({ store })
    if (sealed) await meet(agent, away)
    const aborting = new AbortController()
    const request = { id, timeout: 600_000, signal: aborting.signal }
    const asking = failure(agent.request(away.identity.id, 'transfer', request))
    await world.pass()
    const disk = await refuseEnds(store)
    const told = collect(agent, 'store:error')
    aborting.abort(reason)
    expect(await world.during(asking)).toBe(reason)
    expect(told).toEqual([{ error: disk.error }])
    const late = await world.join('friend', { ...away, guarantee: 'at-least-once' })
    const handled: unknown[] = []
    late.handle(({ content }) => handled.push(content))
    await world.during(agent.waitFor(late.id))
    await world.clock.advance(5_000)
    const written = until(agent, 'delivery:changed', ({ receipt }) => receipt.state === 'cancelled')
    disk.mend()
    expect((await world.during(written)).id).toBe(id)
    await world.during((await world.during(agent.send(late.id, 'the next'))).processed)
    expect(handled).toEqual(['the next'])
    await world.pass()
    expect(await store.count('outbox')).toBe(0)
  })

  test('is not written where a hook holds it up for longer than its time', async () => {
    const away = await createIdentity()
    const agent = await carol({ hooks: { beforeSend: () => new Promise(() => {}) } })
    expect(await world.during(failure(agent.request(away.id, 'x', { id, timeout: 1_000 })))).toMatchObject({
      code: 'TIMEOUT',
    })
    expect(await agent.deliveries.get(id)).toBeUndefined()
  })
})

describe('a kept request of a run that was killed', () => {
  /** The next run of an agent whose machine loses power now. */
  async function killed(agent: Agent, store: Store, identity: Identity): Promise<Agent> {
    const copy = await copyOf(store)
    world.net.crash(agent.id)
    return carol({ store: copy, identity })
  }

  test('does not leave in the next one, sealed or not; messages do', async () => {
    const [store, identity, stranger] = [memoryStore(), await createIdentity(), await createIdentity()]
    // Its keys stay, so that what is sealed to them does too.
    const away = { identity: await createIdentity(), store: memoryStore() }
    const friend = await world.join('friend', away)
    const agent = await carol({ store, identity })
    await world.during(agent.waitFor(friend.id))
    await world.during(friend.close())
    for (const to of [friend.id, stranger.id]) {
      agent.request(to, 'transfer', { timeout: 600_000 }).catch(() => {})
      await world.during(agent.send(to, 'a message'))
    }
    const next = await killed(agent, store, identity)
    const handled: unknown[] = []
    for (const [name, machine] of Object.entries({ friend: away, stranger: { identity: stranger } })) {
      const late = await world.join(name, { ...machine, guarantee: 'at-least-once' })
      late.handle(({ content, sender }) => handled.push([name, sender === next.id, content]))
      await world.during((await world.during(next.send(late.id, 'the next'))).processed)
    }
    expect(handled).toEqual(
      ['friend', 'stranger'].flatMap(name => [
        [name, true, 'a message'],
        [name, true, 'the next'],
      ]),
    )
  })

  test('that its recipient has is answered, and told of: nobody waits for the reply', async () => {
    const [store, identity] = [memoryStore(), await createIdentity()]
    const agent = await carol({ store, identity })
    await world.during(agent.waitFor(bob.id))
    const gate = Promise.withResolvers<string>()
    const taken = Promise.withResolvers<Message>()
    bob.handle(message => {
      taken.resolve(message)
      return gate.promise
    })
    agent.request(bob.id, 'slow', { id, timeout: 600_000 }).catch(() => {})
    const request = await world.during(taken.promise)
    const next = await killed(agent, store, identity)
    const refused = until(next, 'refused')
    const replied = until(bob, 'delivery:changed', ({ receipt }) => receipt.state === 'processed')
    await world.during(next.waitFor(bob.id))
    gate.resolve('done')
    const { peer, reason, detail } = await world.during(refused)
    expect([peer, reason]).toEqual([bob.id, 'unsolicited'])
    const reply = (await world.during(replied)).id
    expect(detail).toBe(`${reply} replies to ${request.id}`)
    await world.pass()
    expect((await next.deliveries.get(id))?.recipients.get(bob.id)).toMatchObject({ state: 'processed' })
  })

  test.each([
    ['sealed', true],
    ['not sealed yet', false],
  ])('stays called off where the disk has no room for that yet, %s', async (_, sealed) => {
    const [store, identity] = [memoryStore(), await createIdentity()]
    const away = { identity: await createIdentity(), store: memoryStore() }
    const agent = await carol({ store, identity })
    if (sealed) await meet(agent, away)
    agent.request(away.identity.id, 'transfer', { timeout: 600_000 }).catch(() => {})
    await world.pass()
    const copy = await copyOf(store)
    world.net.crash(agent.id)
    const disk = await refuseEnds(copy)
    const next = await carol({ store: copy, identity })
    const late = await world.join('friend', { ...away, guarantee: 'at-least-once' })
    const handled: unknown[] = []
    late.handle(({ content }) => handled.push(content))
    await world.during(next.waitFor(late.id))
    await world.clock.advance(5_000)
    expect(disk.refused).toBeGreaterThan(1)
    disk.mend()
    await world.during((await world.during(next.send(late.id, 'the next'))).processed)
    expect(handled).toEqual(['the next'])
  })
})
