/**
 * What a handler may do between reading and writing: wait for the network and for timers, as long as it likes. Real ones,
 * since a transaction of IndexedDB ends at the first turn of the event loop that brings it nothing.
 */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { systemClock } from '../../src/common/clock.ts'
import { type Random, seededRandom } from '../../src/common/random.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import type { Store } from '../../src/store/store.ts'
import { SEED, saySeed } from '../seed.ts'
import { MemoryAgents } from './memory-agents.ts'

const AUTHORS = 3
const EACH = 6
const SUM = ['sum']

/** Fetches something and lets a timer run out, as handlers do that ask others. */
export async function fetchAndWait(url: string, random: Random): Promise<void> {
  const response = await fetch(url, { cache: 'no-store' })
  if (!response.ok || (await response.text()) === '') throw new Error(`nothing is at ${url}`)
  await new Promise<void>(resolve => systemClock.after(random.float() * 5, resolve))
}

/** Registers the suite. `open` gives an empty store each time, which the suite closes; `url` something to fetch. */
export function waitingHandlersContract(name: string, open: () => Promise<Store>, url: () => string): void {
  describe(`handlers over ${name} that wait for a fetch and a timer between reading and writing`, () => {
    const random = seededRandom(SEED)
    let store: Store
    let agents: MemoryAgents

    const join = (who: string, options: Partial<AgentOptions> = {}): Promise<Agent> => {
      const identity = options.store === undefined ? 'ephemeral' : undefined
      return agents.join(who, { identity, guarantee: 'exactly-once', ...options })
    }

    beforeEach(async context => {
      saySeed(context)
      agents = new MemoryAgents('waiting', random)
      store = await open()
    })
    afterEach(async () => {
      await agents.close()
      await store.close()
    })

    it('count each of many messages that contend for one value, once', async () => {
      // One try: a handler whose transaction did not outlive its wait would be a dead letter.
      const bob = await join('bob', { store, handlerRetry: fixedRetry({ retries: 0 }) })
      const met = Promise.withResolvers<void>()
      let runs = 0
      bob.handle<number>(async ({ content, id }, { transaction }) => {
        runs++
        const before = Number((await transaction.get(SUM)) ?? 0)
        // The first of each author have read the same by then, and all but one of them are too late.
        if (runs >= AUTHORS) met.resolve()
        await met.promise
        await fetchAndWait(url(), random)
        const counted = Number((await transaction.get(['counted', id])) ?? 0)
        await fetchAndWait(url(), random)
        transaction.put(['counted', id], counted + 1)
        transaction.put(SUM, before + content)
      })
      const authors = await Promise.all(Array.from({ length: AUTHORS }, (_, i) => join(`author ${i}`)))
      const amounts = authors.flatMap((author, i) =>
        Array.from({ length: EACH }, (_, n) => [author, i * 100 + n] as const),
      )
      const receipts = await Promise.all(amounts.map(([author, amount]) => author.send(bob.id, amount)))
      await Promise.all(receipts.map(({ processed }) => processed))

      const sum = amounts.reduce((total, [, amount]) => total + amount, 0)
      const kept = await bob.storage.list()
      const counts = receipts.map(({ id }) => ({ key: ['counted', id], value: 1 }))
      expect(kept).toEqual(expect.arrayContaining([{ key: SUM, value: sum }, ...counts]))
      expect(kept).toHaveLength(counts.length + 1)
      expect(runs).toBeGreaterThanOrEqual(receipts.length + AUTHORS - 1)
    })
  })
}
