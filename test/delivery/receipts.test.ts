import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DEAD_REASONS } from '../../src/delivery/dead-letter.ts'
import {
  loadReceipt,
  openReceipts,
  purgeReceipts,
  readReceipt,
  receiptToWire,
  writeReceipt,
} from '../../src/delivery/receipt-rows.ts'
import {
  advance,
  hasFailed,
  type MessageReceipt,
  newReceipt,
  overallStatus,
  RECEIPT_STATES,
  type ReceiptEvent,
  type RecipientReceipt,
  STATUS_OF,
} from '../../src/delivery/receipts.ts'
import { encode } from '../../src/message/codec.ts'
import { memoryStore } from '../../src/store/memory.ts'

const NOW = Date.UTC(2026, 0, 1)
const ID = '019b7656-c000-7000-8000-000000000001'

const fresh = (...recipients: string[]): MessageReceipt =>
  newReceipt({ id: ID, guarantee: 'at-least-once', createdAt: NOW, expiresAt: NOW + 3_600_000 }, recipients)

/** What the events leave of one recipient; those that change nothing are passed over. */
function outcome(...events: ReceiptEvent[]): RecipientReceipt {
  let receipt = fresh('bob')
  for (const event of events) receipt = advance(receipt, 'bob', event, NOW + 1) ?? receipt
  return receipt.recipients.get('bob') as RecipientReceipt
}

const sent: ReceiptEvent = { type: 'sent' }
const stored: ReceiptEvent = { type: 'stored' }
const delivered: ReceiptEvent = { type: 'delivered' }
const processed: ReceiptEvent = { type: 'processed' }
const expired: ReceiptEvent = { type: 'expired' }
const cancelled: ReceiptEvent = { type: 'cancelled' }
const dead: ReceiptEvent = { type: 'dead', reason: 'attempts-exhausted' }
const refused: ReceiptEvent = { type: 'refused', reason: 'handler-error' }
const skipped: ReceiptEvent = { type: 'skipped' }
const queued: ReceiptEvent = { type: 'queued' }
const retry: ReceiptEvent = { type: 'retry', nextAt: NOW + 100 }
const expiredAt = (position: string): ReceiptEvent => ({ type: 'expired', position })
const skippedAt = (position: string): ReceiptEvent => ({ type: 'skipped', position })

const anyEvent = fc.constantFrom(
  sent,
  stored,
  delivered,
  processed,
  expired,
  cancelled,
  dead,
  refused,
  skipped,
  queued,
  retry,
  expiredAt('e 1'),
  skippedAt('e 1'),
  skippedAt('e 2'),
)

describe('a message on its way', () => {
  it('goes forward step by step', () => {
    expect(outcome()).toMatchObject({ state: 'queued', left: false, arrived: false, final: false, at: NOW })
    expect(outcome(sent)).toMatchObject({ state: 'sent', left: true, arrived: false, at: NOW + 1 })
    expect(outcome(sent, stored)).toMatchObject({ state: 'stored', arrived: false })
    expect(outcome(sent, stored, delivered)).toMatchObject({ state: 'delivered', arrived: true, final: false })
    expect(outcome(sent, stored, delivered, processed)).toMatchObject({
      state: 'processed',
      arrived: true,
      final: true,
    })
  })

  it('may leave steps out: whoever has it was sent it', () => {
    expect(outcome(delivered)).toMatchObject({ state: 'delivered', left: true })
    expect(outcome(processed)).toMatchObject({ state: 'processed', left: true, arrived: true })
  })

  it('never goes back over what comes late', () => {
    expect(outcome(sent, delivered, sent, stored)).toMatchObject({ state: 'delivered' })
    expect(outcome(processed, delivered, sent)).toMatchObject({ state: 'processed' })
    expect(outcome(delivered, queued)).toMatchObject({ state: 'delivered' })
  })

  it('counts its retries and keeps the last error', () => {
    const error = { code: 'NO_ROUTE', message: 'x'.repeat(2_000) }
    const state = outcome(retry, sent, { ...retry, error }, retry)
    expect(state).toMatchObject({ state: 'sent', retries: 3, error: { code: 'NO_ROUTE', message: 'x'.repeat(1_024) } })
    expect(outcome(delivered, retry)).toMatchObject({ retries: 0 })
  })

  it('stands where its tries do since it was queued, while its retries count them all', () => {
    const again: ReceiptEvent[] = [sent, retry, retry, { ...dead, attempts: 3 } as ReceiptEvent, skipped, queued]
    expect(outcome(...again.slice(0, 3))).toMatchObject({ retries: 2, retry: { attempts: 2, nextAt: NOW + 100 } })
    expect(outcome(...again)).toMatchObject({ retries: 3, retry: { attempts: 0, nextAt: 0 } })
    expect(outcome(...again, sent, retry)).toMatchObject({ retries: 4, retry: { attempts: 1, nextAt: NOW + 100 } })
  })

  it('takes a try back that was announced and not made', () => {
    const end = (attempts: number): ReceiptEvent => ({ type: 'expired', attempts })
    expect(outcome(end(0))).toMatchObject({ state: 'expired', retries: 0 })
    expect(outcome(sent, end(1))).toMatchObject({ retries: 0 })
    expect(outcome(sent, retry, end(1))).toMatchObject({ retries: 0 })
    expect(outcome(sent, retry, end(2))).toMatchObject({ retries: 1 })
    const second = [sent, retry, end(2), skipped, queued]
    expect(outcome(...second, end(0))).toMatchObject({ retries: 1 })
    expect(outcome(...second, sent, retry, end(1))).toMatchObject({ retries: 2 })
  })

  it('takes no event for somebody it was not for, also not by a name that objects have', () => {
    for (const name of ['eve', '__proto__', 'constructor']) {
      expect(advance(fresh('bob'), name, sent, NOW)).toBeUndefined()
    }
  })

  it('changes for one recipient and leaves the others and the old receipt alone', () => {
    const before = fresh('bob', 'eve')
    const next = advance(before, 'eve', delivered, NOW)
    expect([...(next?.recipients ?? [])].map(([name, { state }]) => `${name} ${state}`)).toEqual([
      'bob queued',
      'eve delivered',
    ])
    expect(before.recipients.get('eve')?.state).toBe('queued')
  })
})

describe('a message that is given up', () => {
  it.each([
    ['expired', expired, undefined],
    ['cancelled', cancelled, undefined],
    ['dead', dead, 'attempts-exhausted'],
  ] as const)('is %s, in doubt only if bytes have left', (state, event, reason) => {
    expect(outcome(event)).toMatchObject({ state, reason, inDoubt: false, final: false })
    expect(outcome(sent, event)).toMatchObject({ state, reason, inDoubt: true, final: false })
    expect(outcome(event, sent)).toMatchObject({ state, inDoubt: true })
    expect(outcome(sent, { ...event, inDoubt: false })).toMatchObject({ state, inDoubt: false })
    expect(outcome({ ...event, inDoubt: true })).toMatchObject({ state, inDoubt: true })
  })

  it('is so for one reason only: the first', () => {
    expect(outcome(expired, dead, cancelled)).toMatchObject({ state: 'expired' })
    expect(outcome(cancelled, expired, retry)).toMatchObject({ state: 'cancelled', retries: 0 })
  })

  it('cannot be once the recipient has it', () => {
    for (const event of [expired, cancelled, dead]) {
      expect(outcome(delivered, event)).toMatchObject({ state: 'delivered' })
      expect(outcome(processed, event)).toMatchObject({ state: 'processed' })
    }
  })

  it('was delivered after all if the recipient says so, and nothing is in doubt any more', () => {
    for (const event of [expired, cancelled, dead]) {
      expect(outcome(sent, event, delivered)).toMatchObject({
        state: 'delivered',
        reason: undefined,
        inDoubt: false,
        arrived: true,
      })
      expect(outcome(sent, event, processed)).toMatchObject({ state: 'processed', final: true })
      expect(outcome(sent, event, refused)).toMatchObject({ state: 'dead', reason: 'handler-error', final: true })
    }
  })

  it('is so for good once the recipient says that it skipped it', () => {
    expect(outcome(sent, expired, skipped)).toMatchObject({ state: 'expired', inDoubt: false, final: true })
    expect(outcome(sent, expired, skipped, delivered)).toMatchObject({ state: 'expired' })
    const unread: ReceiptEvent = { type: 'expired', final: true }
    for (const after of [[], [skipped], [delivered], [{ type: 'queued' }]] as ReceiptEvent[][]) {
      expect(outcome(sent, unread, ...after)).toMatchObject({ state: 'expired', inDoubt: true, final: true })
    }
    expect(outcome(sent, skipped)).toMatchObject({ state: 'sent', final: false })
  })

  it('is so by a word on the position that it was given up at, and on no other', () => {
    const over = { state: 'expired', inDoubt: false, final: true, position: undefined }
    expect(outcome(sent, expiredAt('e 2'), skippedAt('e 2'))).toMatchObject(over)
    expect(outcome(sent, expired, skippedAt('e 1'))).toMatchObject(over)
    const doubt = { state: 'expired', inDoubt: true, final: false, position: 'e 2' }
    expect(outcome(sent, expiredAt('e 2'), skippedAt('e 1'))).toMatchObject(doubt)
    expect(outcome(sent, expiredAt('e 1'), queued)).toMatchObject({ state: 'expired', position: 'e 1' })
    expect(outcome(expiredAt('e 1'), queued, sent, expiredAt('e 2'), skippedAt('e 1'))).toMatchObject(doubt)
    expect(outcome(sent, expiredAt('e 2'), delivered)).toMatchObject({ state: 'delivered', position: undefined })
    expect(outcome(sent, expiredAt('e 2'), refused)).toMatchObject({ state: 'dead', position: undefined })
  })

  it('is queued again only behind the fence: nothing is in doubt', () => {
    expect(outcome(sent, expired, queued)).toMatchObject({ state: 'expired' })
    expect(outcome(sent, expired, skipped, queued)).toMatchObject({
      state: 'queued',
      left: false,
      final: false,
      retries: 1,
    })
    expect(outcome(expired, queued)).toMatchObject({ state: 'queued' })
    expect(outcome(sent, expired, skipped, queued, delivered, processed)).toMatchObject({ state: 'processed' })
    expect(outcome(refused, queued, expired)).toMatchObject({ state: 'expired', inDoubt: false })
  })
})

describe('a message that the recipient refused', () => {
  it('is dead for the reason it gives, without doubt, also after it was delivered', () => {
    expect(outcome(sent, refused)).toMatchObject({
      state: 'dead',
      reason: 'handler-error',
      inDoubt: false,
      arrived: true,
    })
    expect(outcome(delivered, refused)).toMatchObject({ state: 'dead', arrived: true, final: true })
    expect(outcome(refused, delivered, processed)).toMatchObject({ state: 'dead' })
  })

  it('because it came too late has expired', () => {
    expect(outcome(sent, { type: 'refused', reason: 'expired' })).toMatchObject({
      state: 'expired',
      reason: undefined,
      inDoubt: false,
      final: true,
    })
  })
})

describe('any events in any order', () => {
  const RANK = ['queued', 'sent', 'stored', 'delivered', 'processed']

  it('never take progress back, end in doubt only without the recipient, and never change what is final', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 20 }), events => {
        let receipt = fresh('bob')
        for (const event of events) {
          const before = receipt.recipients.get('bob') as RecipientReceipt
          receipt = advance(receipt, 'bob', event, NOW) ?? receipt
          const now = receipt.recipients.get('bob') as RecipientReceipt
          const requeued = event.type === 'queued' && before !== now
          if (!hasFailed(before) && !hasFailed(now)) {
            expect(RANK.indexOf(now.state)).toBeGreaterThanOrEqual(RANK.indexOf(before.state))
          }
          if (before.final && !requeued) expect(now).toBe(before)
          if (requeued) expect(before.inDoubt).toBe(false)
          if (before.arrived && !requeued) expect(now.arrived).toBe(true)
          if (now.inDoubt) expect(hasFailed(now) && now.left && !now.final).toBe(true)
          expect(now.state === 'dead').toBe(now.reason !== undefined)
        }
      }),
    )
  })

  it('are stored and read back as they are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('bob', 'eve', '__proto__'), anyEvent), { maxLength: 20 }),
        fc.double({ min: 0, max: 1e15, noNaN: true }),
        (events, expiresAt) => {
          let receipt = { ...fresh('bob', 'eve', '__proto__'), expiresAt: expiresAt + 0 }
          for (const [recipient, event] of events) receipt = { ...receipt, ...advance(receipt, recipient, event, NOW) }
          expect(readReceipt(ID, encode(receiptToWire(receipt)))).toEqual(receipt)
        },
      ),
    )
  })
})

describe('the five statuses', () => {
  it('stand for the states as the table says', () => {
    expect(Object.keys(STATUS_OF).toSorted()).toEqual(RECEIPT_STATES.toSorted())
    expect(STATUS_OF).toEqual({
      queued: 'pending',
      sent: 'sent',
      stored: 'sent',
      delivered: 'delivered',
      processed: 'delivered',
      dead: 'failed',
      cancelled: 'failed',
      expired: 'expired',
    })
  })

  it('of several recipients are the worst of theirs', () => {
    let receipt = fresh('a', 'b', 'c', 'd', 'e')
    const seen = [overallStatus(receipt)]
    const steps: [string, ReceiptEvent][] = [
      ['a', delivered],
      ['b', processed],
      ['c', sent],
      ['d', delivered],
      ['e', stored],
      ['e', delivered],
      ['c', delivered],
    ]
    for (const [recipient, event] of steps) {
      receipt = advance(receipt, recipient, event, NOW) as MessageReceipt
      seen.push(overallStatus(receipt))
    }
    expect(seen).toEqual(['pending', 'pending', 'pending', 'pending', 'pending', 'sent', 'sent', 'delivered'])
    const late = advance(fresh('a', 'b', 'c'), 'a', expired, NOW) as MessageReceipt
    expect(overallStatus(late)).toBe('expired')
    expect(overallStatus(advance(late, 'b', cancelled, NOW) as MessageReceipt)).toBe('failed')
  })
})

describe('stored receipts', () => {
  it('keep the form that stores on disks have', () => {
    const error = { code: 'NO_ROUTE', message: 'nobody' }
    let receipt = fresh('bob', 'eve')
    receipt = advance(receipt, 'eve', sent, NOW + 1) as MessageReceipt
    receipt = advance(receipt, 'eve', { type: 'dead', reason: 'no-route', error }, NOW + 2) as MessageReceipt
    expect(receiptToWire(receipt)).toEqual([
      1,
      NOW,
      NOW + 3_600_000,
      [
        ['bob', 0, 0, 0, NOW, null, null],
        ['eve', 6, 5, 0, NOW + 2, DEAD_REASONS.indexOf('no-route'), ['NO_ROUTE', 'nobody']],
      ],
    ])
  })

  it('are read strictly', () => {
    const good = ['bob', 1, 1, 0, NOW, null, null]
    const bad: unknown[] = [
      null,
      [],
      [1, NOW, NOW],
      [1, NOW, NOW, [], 1],
      [3, NOW, NOW, [good]],
      [1, '1', NOW, [good]],
      [1, NOW, -1, [good]],
      [1, NOW, NOW, 'bob'],
      [1, NOW, NOW, [good, good]],
      ...[
        [7, 1, 1, 0, NOW, null, null],
        ['bob', 8, 1, 0, NOW, null, null],
        ['bob', 1, 16, 0, NOW, null, null],
        ['bob', 1, -1, 0, NOW, null, null],
        ['bob', 1, 1, 0.5, NOW, null, null],
        ['bob', 1, 1, 0, null, null, null],
        ['bob', 1, 1, 0, NOW, 3, null],
        ['bob', 6, 1, 0, NOW, null, null],
        ['bob', 6, 1, 0, NOW, 99, null],
        ['bob', 1, 5, 0, NOW, null, null],
        ['bob', 7, 13, 0, NOW, null, null],
        ['bob', 1, 1, 0, NOW, null, ['X']],
        ['bob', 1, 1, 0, NOW, null],
        ['bob', 1, 1, 1, NOW, null, null, null],
        ['bob', 1, 1, 1, NOW, null, null, [1]],
        ['bob', 1, 1, 1, NOW, null, null, [-1, NOW]],
        ['bob', 1, 1, 1, NOW, null, null, [1, NOW], null],
        ['bob', 1, 1, 1, NOW, null, null, [1, NOW], 'e 1', null],
      ].map(recipient => [1, NOW, NOW, [recipient]]),
    ]
    expect(readReceipt(ID, encode([1, NOW, NOW, [good]])).recipients.get('bob')?.state).toBe('sent')
    const tried = [...good.slice(0, 7), [1, NOW]]
    expect(readReceipt(ID, encode([1, NOW, NOW, [tried]])).recipients.get('bob')?.retry).toEqual({
      attempts: 1,
      nextAt: NOW,
    })
    for (const value of bad) {
      expect(() => readReceipt(ID, encode(value)), JSON.stringify(value)).toThrow(
        expect.objectContaining({ code: 'STORE_FAILED', reference: ID }),
      )
    }
    expect(() => readReceipt(ID, Uint8Array.of(255))).toThrow(expect.objectContaining({ code: 'STORE_FAILED' }))
  })

  it('are found by their message, those that are open all at once, and go when they are old', async () => {
    const store = memoryStore()
    expect(await loadReceipt(store, ID)).toBeUndefined()
    const done = advance(fresh('bob'), 'bob', processed, NOW) as MessageReceipt
    const all = Array.from({ length: 1_100 }, (_, i) => ({
      ...(i % 2 === 0 ? done : fresh('bob')),
      id: `m${i}`,
      expiresAt: NOW + i,
    }))
    await store.commit({ writes: all.map(writeReceipt) })
    expect(await loadReceipt(store, 'm7')).toEqual(all[7])
    const open: string[] = []
    for await (const { id } of openReceipts(store)) open.push(id)
    expect(open.toSorted()).toEqual(
      all
        .filter((_, i) => i % 2 === 1)
        .map(({ id }) => id)
        .toSorted(),
    )
    // Half of them have no end: what they may do yet is not forgotten so soon.
    expect(await purgeReceipts(store, NOW + 1_090)).toBe(545)
    expect(await store.count('receipts')).toBe(555)
    expect(await loadReceipt(store, 'm1090')).toEqual(all[1_090])
    expect(await purgeReceipts(store, NOW + 1_090 + 90 * 86_400_000)).toBe(550)
    expect(await loadReceipt(store, 'm1091')).toEqual(all[1_091])
  })
})
