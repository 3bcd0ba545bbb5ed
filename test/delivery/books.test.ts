/** What the books make of the end of a message, as its receipt has it. */

import { afterEach, expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { Books } from '../../src/delivery/books.ts'
import type { Fate } from '../../src/delivery/ledger.ts'
import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import { newReceipt } from '../../src/delivery/receipts.ts'
import { commitFates } from '../../src/delivery/recorder.ts'
import { NEVER_TRIED } from '../../src/delivery/retry.ts'
import { encodeMessage } from '../../src/message/envelope.ts'
import { DEFAULT_LIMITS } from '../../src/message/validate.ts'
import { DeliveryWorld, type Node } from './world.ts'

let world: DeliveryWorld
afterEach(() => world.close())

/** The books of a node, and the fate of a message that has expired there. */
async function expired(): Promise<{ ada: Node; books: Books; fate: Fate }> {
  world = new DeliveryWorld()
  const [ada, bob] = [await world.start(await world.machine()), await world.start(await world.machine())]
  const message = ada.message(bob, 'x')
  const { id, guarantee, priority, expiresAt } = message
  const payload = encodeMessage(message, 'message', DEFAULT_LIMITS)
  const now = world.clock.now()
  const about = { messageId: id, guarantee, priority, expiresAt, createdAt: now }
  const row = { ...about, retry: NEVER_TRIED, strategy: undefined, fence: undefined, frame: payload }
  const position = { messageId: id, recipient: bob.id, epoch: 'e', number: 1 }
  const fate: Fate = { ...position, status: 'expired', inDoubt: true, attempts: 1, ended: { row, payload } }
  return { ada, books: new Books({ self: ada.id, tracker: ada.tracker, deadLetters: ada.deadLetters }), fate }
}

const lettersIn = ({ writes }: ReturnType<Books['stage']>): number =>
  writes.filter(({ table }) => table === 'dead-letters').length

it('a message that was processed gets no dead letter for having expired as well', async () => {
  const { ada, books, fate } = await expired()
  const { messageId: id, recipient } = fate
  ada.tracker.track(newReceipt({ id, guarantee: 'at-least-once', createdAt: 0, expiresAt: 1 }, [recipient]))
  books.stage([{ ...fate, status: 'processed', ended: undefined }]).committed()
  expect(lettersIn(books.stage([fate]))).toBe(0)
})

it('one that waits gets one, and one that nobody follows any more as well', async () => {
  const { ada, books, fate } = await expired()
  const { messageId: id, recipient } = fate
  expect(lettersIn(books.stage([fate]))).toBeGreaterThan(0)
  ada.tracker.track(newReceipt({ id, guarantee: 'at-least-once', createdAt: 0, expiresAt: 1 }, [recipient]))
  expect(lettersIn(books.stage([fate]))).toBeGreaterThan(0)
})

it('an end that could not be written is as if it had not been, and gets its letter the next time', async () => {
  const { ada, books, fate } = await expired()
  const { messageId: id, recipient } = fate
  ada.tracker.track(newReceipt({ id, guarantee: 'at-least-once', createdAt: 0, expiresAt: 1 }, [recipient]))
  const ends: Fate[] = [
    { ...fate, inDoubt: false },
    { ...fate, status: 'skipped', ended: undefined },
  ]
  books.stage(ends).abandoned()
  expect(ada.tracker.latest(id)?.recipients.get(recipient)?.state).toBe('queued')
  expect(lettersIn(books.stage(ends))).toBeGreaterThan(0)
})

it('what a batch says of one recipient is not written with that of another before it, and not lost by it', async () => {
  const { ada, books, fate } = await expired()
  const { messageId: id, recipient: bob } = fate
  const { store } = ada.machine
  ada.tracker.track(newReceipt({ id, guarantee: 'exactly-once', createdAt: 0, expiresAt: 1 }, [bob, 'cid']))
  const writing = (...fates: Fate[]): Promise<boolean> =>
    commitFates({ store, ledger: books }, fates, () => ({ writes: [] }))
  const states = async (): Promise<unknown[]> =>
    [...((await loadReceipt(store, id))?.recipients.values() ?? [])].map(({ state }) => state)
  const commit = store.commit.bind(store)
  const asked = Promise.withResolvers<void>()
  store.commit = async () => {
    store.commit = commit
    await asked.promise
    throw new AfpDataStoreError('STORE_FULL', 'there is no room')
  }
  const ends = writing(fate)
  const processed = writing({ ...fate, recipient: 'cid', status: 'processed', ended: undefined })
  asked.resolve()
  await expect(ends).rejects.toMatchObject({ code: 'STORE_FULL' })
  await processed
  expect(await states()).toEqual(['queued', 'processed'])
  await writing(fate)
  expect(await states()).toEqual(['expired', 'processed'])
  expect(await ada.deadLetters.list()).toHaveLength(1)
})

it('a last word that comes while its message is being queued again is not lost where that fails', async () => {
  const { ada, books, fate } = await expired()
  const { messageId: id, recipient } = fate
  const { store } = ada.machine
  ada.tracker.track(newReceipt({ id, guarantee: 'exactly-once', createdAt: 0, expiresAt: 1 }, [recipient]))
  const writing = (fate: Fate): Promise<boolean> =>
    commitFates({ store, ledger: books }, [fate], () => ({ writes: [] }))
  await writing({ ...fate, inDoubt: false })
  const commit = store.commit.bind(store)
  store.commit = async () => {
    store.commit = commit
    throw new AfpDataStoreError('STORE_FULL', 'there is no room')
  }
  const again = writing({ ...fate, number: 2, status: 'queued', ended: undefined })
  const skipped = writing({ ...fate, status: 'skipped', ended: undefined })
  await expect(again).rejects.toMatchObject({ code: 'STORE_FULL' })
  await skipped
  const ended = { state: 'expired', inDoubt: false, final: true }
  expect(ada.tracker.latest(id)?.recipients.get(recipient)).toMatchObject(ended)
  expect((await loadReceipt(store, id))?.recipients.get(recipient)).toMatchObject(ended)
})

it('those that are written at once are all there in the end, and wait for nobody', async () => {
  const { ada, books, fate } = await expired()
  const { messageId: id, recipient: bob } = fate
  const { store } = ada.machine
  ada.tracker.track(newReceipt({ id, guarantee: 'exactly-once', createdAt: 0, expiresAt: 1 }, [bob, 'cid', 'dan']))
  let commits = 0
  const commit = store.commit.bind(store)
  store.commit = batch => {
    commits++
    return commit(batch)
  }
  const all = [bob, 'cid', 'dan'].map(recipient =>
    commitFates({ store, ledger: books }, [{ ...fate, recipient, status: 'delivered', ended: undefined }], () => ({
      writes: [],
    })),
  )
  expect(commits).toBe(3)
  await Promise.all(all)
  expect(commits).toBe(3)
  const receipt = await loadReceipt(store, id)
  expect([...(receipt?.recipients.values() ?? [])].map(({ state }) => state)).toEqual(Array(3).fill('delivered'))
})

it('those that fail for one another do not go on doing so', async () => {
  const { ada, books, fate } = await expired()
  const { messageId: id, recipient: bob } = fate
  const { store } = ada.machine
  ada.tracker.track(newReceipt({ id, guarantee: 'exactly-once', createdAt: 0, expiresAt: 1 }, [bob, 'cid']))
  const { clock } = world
  const commit = store.commit.bind(store)
  let commits = 0
  let free = 0
  // One takes 10 ms, they follow one another, and the first two are refused.
  store.commit = async batch => {
    const refused = ++commits <= 2
    free = Math.max(free, clock.monotonic()) + 10
    await new Promise<void>(resolve => clock.after(free - clock.monotonic(), resolve))
    if (refused) throw new AfpDataStoreError('STORE_FAILED', 'not just now')
    return commit(batch)
  }
  const says = (recipient: string, status: 'delivered' | 'processed'): Promise<boolean> =>
    commitFates({ store, ledger: books }, [{ ...fate, recipient, status, ended: undefined }], () => ({ writes: [] }))
  const refused = [says(bob, 'delivered'), says('cid', 'delivered')].map(said =>
    expect(said).rejects.toMatchObject({ code: 'STORE_FAILED' }),
  )
  const said = [says('cid', 'processed')]
  await clock.advance(15)
  said.push(says(bob, 'processed'))
  await clock.advance(1_000)
  await Promise.all([...refused, ...said])
  expect(commits).toBeLessThan(10)
  const receipt = await loadReceipt(store, id)
  expect([...(receipt?.recipients.values() ?? [])].map(({ state }) => state)).toEqual(['processed', 'processed'])
})

it('one that is refused has each that was made from it made once more, however many there are', async () => {
  const { ada, books, fate } = await expired()
  const { messageId: id } = fate
  const { store } = ada.machine
  const recipients = Array.from({ length: 100 }, (_, i) => `${i}`)
  ada.tracker.track(newReceipt({ id, guarantee: 'exactly-once', createdAt: 0, expiresAt: 1 }, recipients))
  const stage = books.stage.bind(books)
  let stages = 0
  books.stage = (...fates) => {
    stages++
    return stage(...fates)
  }
  const commit = store.commit.bind(store)
  store.commit = async () => {
    store.commit = commit
    throw new AfpDataStoreError('STORE_FULL', 'there is no room')
  }
  const written = await Promise.allSettled(
    recipients.map(recipient =>
      commitFates({ store, ledger: books }, [{ ...fate, recipient, status: 'delivered', ended: undefined }], () => ({
        writes: [],
      })),
    ),
  )
  expect(written.map(({ status }) => status)).toEqual(['rejected', ...Array(99).fill('fulfilled')])
  expect(stages).toBeLessThanOrEqual(2 * recipients.length)
  const states = [...((await loadReceipt(store, id))?.recipients.values() ?? [])].map(({ state }) => state)
  expect(states).toEqual(['queued', ...Array(99).fill('delivered')])
})

it('what later news has overtaken while it waited is not written, of its fates neither', async () => {
  const { ada, books, fate } = await expired()
  const { messageId: id, recipient: bob } = fate
  const { store } = ada.machine
  ada.tracker.track(newReceipt({ id, guarantee: 'exactly-once', createdAt: 0, expiresAt: 1 }, [bob, 'cid']))
  const commit = store.commit.bind(store)
  store.commit = async () => {
    store.commit = commit
    throw new AfpDataStoreError('STORE_FULL', 'there is no room')
  }
  const parts = { store, ledger: books }
  const delivered: Fate = { ...fate, recipient: 'cid', status: 'delivered', ended: undefined }
  const refused = expect(commitFates(parts, [delivered], () => ({ writes: [] }))).rejects.toThrow('no room')
  let asked = 0
  expect(await commitFates(parts, [fate], () => (asked++ === 0 ? { writes: [] } : undefined))).toBe(false)
  await refused
  expect(asked).toBe(2)
  expect(await loadReceipt(store, id)).toBeUndefined()
  expect(ada.tracker.changing(id)).toBe(false)
  expect(await ada.deadLetters.list()).toEqual([])
})
