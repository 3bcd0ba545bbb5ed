/** What dead letters have to do over every store. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { DEAD_REASONS, letterMessage, type NewDeadLetter } from '../../src/delivery/dead-letter.ts'
import { DeadLetters, type DeadLettersOptions } from '../../src/delivery/dead-letters.ts'
import { encodeMessage } from '../../src/message/envelope.ts'
import { createIds } from '../../src/message/ids.ts'
import type { Store } from '../../src/store/store.ts'
import { message } from '../message/messages.ts'

/** A letter of `bob`'s, with `fields` in place of the defaults. */
export function newLetter(fields: Partial<NewDeadLetter> = {}): NewDeadLetter {
  const sent = message({ recipients: ['bob'], guarantee: 'at-least-once' })
  return {
    side: 'sender',
    peer: 'bob',
    reason: 'no-route',
    message: encodeMessage(sent, 'message'),
    messageId: sent.id,
    sender: 'ada',
    attempts: 3,
    lastError: { code: 'NO_ROUTE', message: 'nobody is there' },
    inDoubt: true,
    ...fields,
  }
}

let runs = 0

/** Dead letters over a store, on a driven clock. */
export async function openLetters(
  store: Store,
  clock: DrivenClock,
  options: Partial<DeadLettersOptions> = {},
): Promise<DeadLetters> {
  const random = seededRandom(++runs)
  return DeadLetters.open({ store, clock, random, ids: createIds({ clock, random }), ...options })
}

/** Registers the suite. `open` gives an empty store each time; `reopen` closes it and opens it again. */
export function deadLettersContract(
  name: string,
  open: () => Promise<{ store: Store; reopen: () => Promise<Store> }>,
): void {
  describe(`dead letters over ${name}`, () => {
    let clock: DrivenClock
    let store: Store
    let reopen: () => Promise<Store>
    let letters: DeadLetters

    beforeEach(async () => {
      clock = new DrivenClock()
      ;({ store, reopen } = await open())
      letters = await openLetters(store, clock)
    })
    afterEach(() => store.close())

    /** As after a crash: nothing is closed but the store. */
    async function restart(options: Partial<DeadLettersOptions> = {}): Promise<void> {
      store = await reopen()
      letters = await openLetters(store, clock, options)
    }

    /** Adds letters, a second apart; their ids. */
    async function addSome(count: number, fields: Partial<NewDeadLetter> = {}): Promise<string[]> {
      const ids: string[] = []
      for (let i = 0; i < count; i++) {
        ids.push((await letters.add(newLetter(fields))).id)
        await clock.advance(1_000)
      }
      return ids
    }

    const listed = async (...args: Parameters<DeadLetters['list']>): Promise<string[]> =>
      (await letters.list(...args)).map(({ id }) => id)

    it('keep everything about a letter over a restart, its notes too', async () => {
      const fields = newLetter({
        side: 'recipient',
        topic: 'news',
        security: { level: 'medium', authenticatedBy: 'signature', roles: ['admin'] },
      })
      const added = await letters.add(fields)
      const createdAt = clock.now()
      await clock.advance(1_000)
      expect(await letters.markProcessed(added.id, 'looked into it')).toBe(true)
      await clock.advance(1_000)
      expect(await letters.markProcessed(added.id, 'again: 天気 \u{1f600}')).toBe(true)
      await restart()
      expect(await letters.get(added.id)).toEqual({
        ...fields,
        id: added.id,
        createdAt,
        processed: true,
        processedAt: createdAt + 1_000,
        notes: [
          { at: createdAt + 1_000, text: 'looked into it' },
          { at: createdAt + 2_000, text: 'again: 天気 \u{1f600}' },
        ],
        retry: undefined,
      })
    })

    it('keep letters of every reason, and what may be missing is missing again', async () => {
      const bare: NewDeadLetter = {
        side: 'sender',
        peer: 'bob',
        reason: 'expired',
        message: Uint8Array.of(1),
        sender: 'ada',
        attempts: 0,
      }
      for (const reason of DEAD_REASONS) await letters.add({ ...bare, reason })
      await restart()
      const all = await letters.list()
      expect(all.map(({ reason }) => reason)).toEqual(DEAD_REASONS.toReversed())
      expect(all.at(-1)).toMatchObject({
        messageId: undefined,
        topic: undefined,
        lastError: undefined,
        inDoubt: false,
        processedAt: undefined,
        notes: [],
        security: { level: 'none', authenticatedBy: 'none', roles: [] },
      })
    })

    it('give the message back as it was, with its proved sender', async () => {
      const { id } = await letters.add(newLetter())
      await restart()
      const letter = await letters.get(id)
      expect(letter && letterMessage(letter)).toMatchObject({
        kind: 'message',
        message: { sender: 'ada', recipients: ['bob'], content: 'hello', guarantee: 'at-least-once' },
      })
    })

    it('are listed newest first, and the limit is taken after that', async () => {
      const ids = await addSome(5)
      expect(await listed({ limit: 2 })).toEqual([ids[4], ids[3]])
      expect(await listed({ limit: 2, before: ids[3] })).toEqual([ids[2], ids[1]])
      expect(await listed({ limit: 2, before: ids[1] })).toEqual([ids[0]])
      await restart()
      expect(await listed()).toEqual(ids.toReversed())
    })

    it('are written in one batch with other rows, or not at all', async () => {
      await store.commit({ writes: [{ op: 'put', table: 'outbox', key: ['m'], value: Uint8Array.of(1) }] })
      const gone = letters.stage(newLetter())
      const check = { table: 'outbox', key: ['m'], value: Uint8Array.of(9) }
      await expect(store.commit({ checks: [check], writes: gone.writes })).rejects.toMatchObject({
        code: 'STORE_CONFLICT',
      })
      gone.abandoned()
      const staged = letters.stage(newLetter())
      await store.commit({ writes: [{ op: 'delete', table: 'outbox', key: ['m'] }, ...staged.writes] })
      staged.committed()
      await restart()
      expect(await store.count('outbox')).toBe(0)
      expect(await listed()).toEqual([staged.letter.id])
    })

    it('are gone for good once discarded or purged', async () => {
      const [first, second, third] = (await addSome(3)) as [string, string, string]
      expect(await letters.discard(first)).toBe(true)
      expect(await letters.discard(first)).toBe(false)
      await letters.markProcessed(second)
      expect(await letters.purge()).toBe(1)
      await restart()
      expect(await listed()).toEqual([third])
      // Both rows of a letter go: what is left are the two of the third.
      expect(await store.count('dead-letters')).toBe(2)
    })

    it('are all found after a restart, also when they are many', async () => {
      const staged = Array.from({ length: 1_203 }, () => letters.stage(newLetter()))
      await store.commit({ writes: staged.flatMap(({ writes }) => writes) })
      for (const each of staged) each.committed()
      await restart()
      expect(letters.count()).toBe(1_203)
      expect(await letters.purge({ processed: 'any' })).toBe(1_203)
      expect(await store.count('dead-letters')).toBe(0)
    })

    it('go on with their automatic retries after a restart where they were', async () => {
      const tries: number[] = []
      const options: Partial<DeadLettersOptions> = {
        policies: { 'no-route': { kind: 'fixed', delay: 10_000, retries: 2 } },
        retry: async () => {
          tries.push(clock.now() - began)
          throw new Error('still nobody')
        },
      }
      /** Lets time pass until the next retry, and that one fail: some stores take real time for it. */
      async function failure(ms: number): Promise<void> {
        const failed = new Promise(resolve => letters.addEventListener('dead-letter:retry-failed', resolve))
        letters.start()
        await clock.advance(ms)
        await failed
        await letters.close()
      }
      await restart(options)
      const began = clock.now()
      const { id } = await letters.add(newLetter())
      await failure(10_000)
      await clock.advance(2_000)
      await restart(options)
      expect(letters.nextDueAt).toBe(began + 20_000)
      await failure(8_000)
      await restart(options)
      expect(tries).toEqual([10_000, 20_000])
      expect(letters.nextDueAt).toBeUndefined()
      expect(await letters.get(id)).toMatchObject({
        processed: false,
        attempts: 5,
        lastError: { code: 'HANDLER_FAILED', message: 'still nobody' },
        retry: undefined,
      })
    })
  })
}
