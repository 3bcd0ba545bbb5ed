/** What a handler sends is outside of its transaction: it goes again when the handler runs again, but under an id of its own. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { AfpError } from '../../src/common/errors.ts'
import { seededRandom } from '../../src/common/random.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { isUuid, messageIdFrom } from '../../src/message/ids.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { MemoryAgents } from './memory-agents.ts'

/** The id of what a handler sends in one place of it. */
type Id = (idempotencyKey: string) => string | undefined

/** With an id that is always the same each is sent once, without one as often as its handler runs. */
const WAYS: readonly (readonly [how: string, id: Id, once: boolean])[] = [
  ['once, under an id made of the idempotency key', key => messageIdFrom(`${key} told`), true],
  ['at each run, without an id', () => undefined, false],
]

/** Passes over the one refusal that says that it was sent before. */
const unlessSent = (error: unknown): void => {
  if (!(error instanceof AfpError && error.code === 'DUPLICATE_MESSAGE')) throw error
}

/** Registers the suite. `open` gives an empty store each time, which the suite closes. */
export function sentByHandlersContract(name: string, open: () => Promise<Store>): void {
  describe(`what a handler sends, over ${name},`, () => {
    let store: Store
    let agents: MemoryAgents

    const join = (who: string, options: Partial<AgentOptions> = {}): Promise<Agent> =>
      agents.join(who, { store: memoryStore(), ...options })

    /** What comes to an agent, until somebody says that it was all. */
    function heard(agent: Agent): Promise<unknown[]> {
      const contents: unknown[] = []
      return new Promise(resolve => {
        agent.handle(({ content }) => {
          if (content === 'that was all') resolve(contents.toSorted())
          else contents.push(content)
        })
      })
    }

    beforeEach(async () => {
      agents = new MemoryAgents('sent', seededRandom(1))
      store = await open()
    })
    afterEach(async () => {
      await agents.close()
      await store.close()
    })

    it.each(WAYS)('goes %s, when another handler wrote what this one had read', async (_, id, once) => {
      const eve = await join('eve')
      const told = heard(eve)
      const bob = await join('bob', { store })
      const both = Promise.withResolvers<void>()
      let runs = 0
      bob.handle<string>(async ({ content }, { idempotencyKey, transaction }) => {
        const sum = (await transaction.get<number>(['sum'])) ?? 0
        // Both have read by then, and one of them is too late.
        if (++runs === 2) both.resolve()
        await both.promise
        await bob.send(eve.id, content, { id: id(idempotencyKey) }).catch(unlessSent)
        transaction.put(['sum'], sum + 1)
      })
      const askers = [await join('ada'), await join('carl')]
      const receipts = await Promise.all(askers.map(asker => asker.send(bob.id, `of ${asker.name}`)))
      await Promise.all(receipts.map(({ processed }) => processed))
      expect(runs).toBe(3)
      // It goes behind the others: nothing more comes after it.
      await bob.send(eve.id, 'that was all')
      expect(new Set(await told)).toEqual(new Set(['of ada', 'of carl']))
      expect(await told).toHaveLength(once ? 2 : 3)
      expect(await bob.storage.list()).toEqual([{ key: ['sum'], value: 2 }])
    })

    it.each(WAYS)('goes %s, when the agent ended before its handler was done', async (_, id, once) => {
      const eve = await join('eve')
      const told = heard(eve)
      const identity = await createIdentity()
      const start = () => join('bob', { identity, store, handlerRetry: fixedRetry({ delay: 1 }) })
      const first = await start()
      const sent = Promise.withResolvers<void>()
      first.handle(async (_message, { idempotencyKey, signal }) => {
        const ended = new Promise(resolve => signal.addEventListener('abort', resolve))
        const { processed } = await first.send(eve.id, 'thanks', { id: id(idempotencyKey) })
        // Then the next run knows of it by its receipt on the disk alone.
        await processed
        sent.resolve()
        await ended
        throw new Error('it has no time for the rest')
      })
      const ada = await join('ada')
      const receipt = await ada.send(first.id, 'a present')
      await sent.promise
      await first.close()

      const second = await start()
      second.handle(async (_message, { idempotencyKey }) => {
        await second.send(eve.id, 'thanks', { id: id(idempotencyKey) }).catch(unlessSent)
      })
      await receipt.processed
      await second.send(eve.id, 'that was all')
      expect(await told).toEqual(once ? ['thanks'] : ['thanks', 'thanks'])
    })

    it('has ids that are told apart by the place in the handler, by the message and by its author', async () => {
      const bob = await join('bob', { store })
      const keys: string[] = []
      bob.handle((_message, { idempotencyKey }) => void keys.push(idempotencyKey))
      const id = messageIdFrom('the same for both')
      for (const who of ['ada', 'carl']) {
        const author = await join(who)
        for (const options of [{ id }, {}]) await (await author.send(bob.id, 'x', options)).processed
      }
      // SHA-256 of 'abc' (FIPS 180-4), wherever this runs.
      expect(messageIdFrom('abc')).toBe('ba7816bf-8f01-8fea-8141-40de5dae2223')
      const ids = keys.flatMap(key => [messageIdFrom(`${key} told`), messageIdFrom(`${key} thanks`)])
      expect(ids.every(isUuid)).toBe(true)
      expect(new Set(ids).size).toBe(8)
    })
  })
}
