/**
 * What agents of earlier versions left on the disk, opened by an agent of this one. The stores are kept for ever; see the
 * README beside them. A digest that does not fit means that a file was changed: put it back.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import type { Store } from '../../src/store/store.ts'
import { failure } from '../agent/waiting.ts'
import { acquainted, type DrivenWorld, drivenWorld } from '../agent/worlds.ts'
import { BEGAN, people } from './golden-world.ts'

/** The stores that are kept. */
export type GoldenStore = 'schema-1' | `${Kept}-${'ada' | 'bob'}`
/** Those with messages: from the fourth on what waits for one recipient has no receipt of its own. */
type Kept = 'schema-2' | 'schema-4'
const KEPT: readonly Kept[] = ['schema-2', 'schema-4']

const id = (last: number): string => `01a20000-0000-7000-8000-${String(last).padStart(12, '0')}`

/** `open` opens a copy of a golden store. */
export function goldenStores(kind: string, open: (name: GoldenStore) => Promise<Store>): void {
  describe(`What earlier versions kept in ${kind}`, () => {
    let world: DrivenWorld
    let all: Awaited<ReturnType<typeof people>>
    let opened: Store[]
    beforeEach(async () => {
      all = await people()
      opened = []
      // An hour later, for what was written within the first.
      world = drivenWorld(1, BEGAN + 3_600_000)
    })
    afterEach(async () => {
      await world.close()
      for (const store of opened) await store.close()
    })
    const golden = async (name: GoldenStore): Promise<Store> => {
      const store = await open(name)
      opened.push(store)
      return store
    }
    const join = (name: string, options: Partial<AgentOptions>): Promise<Agent> =>
      world.join(name, { guarantee: 'at-least-once', ...options })

    test('names that the first version pinned stand for whom they did, and it can be written to', async () => {
      const store = await golden('schema-1')
      const ada = await join('ada', { identity: all.ada, store })
      // Whoever came before the one who is meant would have the name otherwise.
      const impostor = await join('bob', {})
      const bob = await join('bob', { identity: all.bob })
      await world.during(acquainted([ada, impostor, bob]))
      expect(await world.during(ada.waitFor('bob'))).toMatchObject({ card: { id: bob.id } })
      await world.during((await world.during(ada.send('bob', 'still you?'))).delivered)
      expect((await world.during(bob.receive())).content).toBe('still you?')
      expect(impostor.receiveAll()).toEqual([])
      expect((await ada.send('carol', 'and you')).recipients.has(all.carol.id)).toBe(true)
      // The number of its card goes on from what the earlier version had.
      expect(ada.card.seq).toBeGreaterThan(0x1a1ff77c13a)
    })

    test('belongs to the agent that opens it, from then on', async () => {
      const store = await golden('schema-2-ada')
      await world.during((await join('ada', { identity: all.ada, store })).close())
      const other = await failure(join('ada', { identity: all.zoe, store }))
      expect(other).toMatchObject({ code: 'STORE_MISMATCH', details: { owner: { id: all.ada.id } } })
      const ada = await join('ada', { identity: all.ada, store })
      expect(await world.during(ada.receive())).toMatchObject({ content: 'unread' })
    })

    describe.each(KEPT)('in %s', kept => {
      test('what waited goes on: sealed and unsealed messages in their order, and one that nobody had read', async () => {
        const ada = await join('ada', { identity: all.ada, store: await golden(`${kept}-ada`) })
        expect(await world.during(ada.receive())).toMatchObject({
          id: id(4),
          sender: all.bob.id,
          content: 'unread',
          guarantee: 'exactly-once',
          security: { level: 'high' },
        })
        expect((await ada.deliveries.get(id(5)))?.recipients.get(all.bob.id)).toMatchObject({ status: 'pending' })
        const bob = await join('bob', { identity: all.bob, store: await golden(`${kept}-bob`) })
        const zoe = await join('zoe', { identity: all.zoe })
        const got: unknown[] = []
        while (got.length < 3) got.push((await world.during(bob.receive())).content)
        expect(got).toEqual(['first for bob', 'second for bob', 'for zoe and bob'])
        expect(await world.during(zoe.receive())).toMatchObject({ id: id(7), content: 'for zoe and bob' })
        // What is new comes after it.
        const receipt = await world.during(ada.send('bob', 'third for bob'))
        expect((await world.during(bob.receive())).content).toBe('third for bob')
        await world.during(receipt.processed)
        expect((await ada.deliveries.get(id(5)))?.recipients.get(all.bob.id)).toMatchObject({ state: 'processed' })
      })

      test('what was over is told of: receipts, dead letters that can be retried, what a handler kept, pins', async () => {
        const ada = await join('ada', { identity: all.ada, store: await golden(`${kept}-ada`) })
        expect((await ada.deliveries.get(id(1)))?.recipients.get(all.bob.id)).toMatchObject({ state: 'processed' })
        expect(await ada.storage.list()).toEqual([
          { key: ['counted', 'from bob'], value: { content: 'count this', times: 1 } },
        ])
        const letters = await ada.deadLetters.list()
        expect(letters.toSorted((one, other) => one.createdAt - other.createdAt)).toMatchObject([
          { side: 'recipient', reason: 'handler-error', messageId: id(3), peer: all.bob.id, attempts: 1 },
          { side: 'sender', reason: 'expired', messageId: id(8), peer: all.bob.id, inDoubt: false },
        ])
        expect((await ada.send('carol', 'pinned by hand')).recipients.has(all.carol.id)).toBe(true)
        expect((await ada.send('bob', 'pinned by use')).recipients.has(all.bob.id)).toBe(true)
        const handled = Promise.withResolvers<unknown>()
        ada.handle({ metadata: { fail: true } }, ({ content }) => handled.resolve(content))
        const letter = letters.find(({ side }) => side === 'recipient')
        await world.during(ada.deadLetters.retry(letter?.id ?? ''))
        expect(await world.during(handled.promise)).toBe('fail at this')
      })
    })
  })
}
