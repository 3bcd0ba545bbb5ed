/** What the books make of the end of a message, as its receipt has it. */

import { afterEach, expect, it } from 'vitest'
import { Books } from '../../src/delivery/books.ts'
import type { Fate } from '../../src/delivery/ledger.ts'
import { newReceipt } from '../../src/delivery/receipts.ts'
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
