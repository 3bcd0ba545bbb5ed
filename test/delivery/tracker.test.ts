import { beforeEach, describe, expect, it, vi } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { AfpDeliveryError } from '../../src/common/errors.ts'
import { loadReceipt, writeReceipt } from '../../src/delivery/receipt-rows.ts'
import {
  advance,
  type MessageReceipt,
  newReceipt,
  type ReceiptEvent,
  type RecipientReceipt,
} from '../../src/delivery/receipts.ts'
import { type ReceiptChange, Tracker, type TrackerEvents, type TrackerOptions } from '../../src/delivery/tracker.ts'
import type { Guarantee } from '../../src/message/message.ts'
import { memoryStore } from '../../src/store/memory.ts'

let clock: DrivenClock
let tracker: Tracker
let told: string[]
beforeEach(() => {
  clock = new DrivenClock()
  make()
})

function make(options: Partial<TrackerOptions> = {}): void {
  tracker = new Tracker({ clock, ...options })
  told = []
  const types: (keyof TrackerEvents)[] = ['delivery:delivered', 'delivery:retry', 'delivery:expired', 'delivery:failed']
  for (const type of types) {
    tracker.addEventListener(type, ({ detail }) =>
      told.push(`${type.slice('delivery:'.length)} ${detail.id} ${detail.recipient} (${detail.status})`),
    )
  }
}

const receipt = (id: string, recipients: string[], guarantee: Guarantee = 'at-least-once'): MessageReceipt =>
  newReceipt({ id, guarantee, createdAt: clock.now(), expiresAt: clock.now() + 3_600_000 }, recipients)

const change = (id: string, recipient: string, event: ReceiptEvent): ReceiptChange => {
  const made = tracker.apply(id, recipient, event)
  expect(made).toBeDefined()
  return made as ReceiptChange
}

/** Makes a change and commits it. */
const happen = (id: string, recipient: string, event: ReceiptEvent | ReceiptEvent['type']): void =>
  change(id, recipient, (typeof event === 'string' ? { type: event } : event) as ReceiptEvent).committed()

/** Whether a promise is settled, and how. */
async function fate(promise: Promise<unknown>): Promise<unknown> {
  const open = Symbol('open')
  return Promise.race([
    promise.then(
      () => 'resolved',
      (error: unknown) => error,
    ),
    clock.advance(0).then(() => open),
  ]).then(result => (result === open ? 'open' : result))
}

describe('the promises of a message', () => {
  it('are kept when all recipients have it, and when all are done with it', async () => {
    const { delivered, processed } = tracker.track(receipt('m', ['bob', 'eve']))
    happen('m', 'bob', 'sent')
    happen('m', 'bob', 'delivered')
    happen('m', 'bob', 'processed')
    expect(await fate(delivered)).toBe('open')
    happen('m', 'eve', 'delivered')
    expect([...(await delivered)].map(([name, { state }]) => `${name} ${state}`)).toEqual([
      'bob processed',
      'eve delivered',
    ])
    expect(await fate(processed)).toBe('open')
    happen('m', 'eve', 'processed')
    expect(await fate(processed)).toBe('resolved')
  })

  it('are broken when one recipient will not get it, and the error says which, why, and what is in doubt', async () => {
    const { delivered, processed } = tracker.track(receipt('m', ['bob', 'eve']))
    happen('m', 'bob', 'delivered')
    happen('m', 'eve', { type: 'retry', nextAt: 1 })
    happen('m', 'eve', 'sent')
    happen('m', 'eve', { type: 'dead', reason: 'attempts-exhausted', error: { code: 'NO_ROUTE', message: 'gone' } })
    for (const promise of [delivered, processed]) {
      const error = await fate(promise)
      expect(error).toBeInstanceOf(AfpDeliveryError)
      expect(error).toMatchObject({
        code: 'DELIVERY_FAILED',
        messageId: 'm',
        guarantee: 'at-least-once',
        retries: 1,
        details: {
          recipient: 'eve',
          reason: 'attempts-exhausted',
          inDoubt: true,
          error: { code: 'NO_ROUTE', message: 'gone' },
        },
      })
    }
  })

  it('are broken with MESSAGE_EXPIRED when its time was up, and by a cancellation', async () => {
    const late = tracker.track(receipt('late', ['bob']))
    const off = tracker.track(receipt('off', ['bob']))
    happen('late', 'bob', 'expired')
    happen('off', 'bob', 'cancelled')
    expect(await fate(late.delivered)).toMatchObject({ code: 'MESSAGE_EXPIRED', details: { reason: 'expired' } })
    expect(await fate(off.delivered)).toMatchObject({ code: 'DELIVERY_FAILED', details: { reason: 'cancelled' } })
  })

  it('differ when a recipient has it and cannot handle it', async () => {
    const { delivered, processed } = tracker.track(receipt('m', ['bob', 'eve']))
    happen('m', 'bob', 'delivered')
    happen('m', 'bob', { type: 'refused', reason: 'handler-error' })
    expect(await fate(processed)).toMatchObject({ details: { reason: 'handler-error', inDoubt: false } })
    expect(await fate(delivered)).toBe('open')
    happen('m', 'eve', 'delivered')
    expect(await fate(delivered)).toBe('resolved')
  })

  it('stay broken when the recipient had it after all, but the receipt says so', async () => {
    const tracking = tracker.track(receipt('m', ['bob']))
    const { delivered } = tracking
    happen('m', 'bob', 'sent')
    happen('m', 'bob', 'expired')
    happen('m', 'bob', 'delivered')
    expect(await fate(delivered)).toBeInstanceOf(AfpDeliveryError)
    expect(tracking.status).toBe('delivered')
    expect(told).toEqual(['expired m bob (expired)', 'delivered m bob (delivered)'])
  })

  it('tell whoever asks for them later how it stands by then', async () => {
    const tracking = tracker.track(receipt('m', ['bob']))
    happen('m', 'bob', 'expired')
    happen('m', 'bob', 'delivered')
    expect(await fate(tracking.delivered)).toBe('resolved')
    expect(await fate(tracking.processed)).toBe('open')
    tracker.close()
    expect(await fate(tracking.delivered)).toBe('resolved')
    expect(await fate(tracking.processed)).toMatchObject({ code: 'CLOSED' })
    const late = tracker.track(receipt('n', ['bob']))
    tracker.forget('n', new AfpDeliveryError('CLOSED', 'nothing was kept'))
    expect(await fate(late.delivered)).toMatchObject({ message: 'nothing was kept' })
  })

  it('of an at-most-once message are kept when it was handed over; nobody says that it was processed', async () => {
    const { delivered, processed } = tracker.track(receipt('m', ['bob', 'eve'], 'at-most-once'))
    expect(await fate(processed)).toMatchObject({ name: 'AfpDeliveryError', code: 'GUARANTEE_UNSUPPORTED' })
    happen('m', 'bob', 'sent')
    expect(await fate(delivered)).toBe('open')
    happen('m', 'eve', 'sent')
    expect(await fate(delivered)).toBe('resolved')
  })

  it('of a message of an earlier run are kept or broken at once where they can be', async () => {
    const done = tracker.track(receipt('done', ['bob']))
    happen('done', 'bob', 'processed')
    const expired = tracker.track(receipt('expired', ['bob']))
    happen('expired', 'bob', 'expired')
    const next = new Tracker({ clock })
    expect(await fate(next.track(done.receipt).processed)).toBe('resolved')
    expect(await fate(next.track(expired.receipt).delivered)).toMatchObject({ code: 'MESSAGE_EXPIRED' })
  })

  it('are broken when the agent closes, and nobody has to listen', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    try {
      const { delivered } = tracker.track(receipt('m', ['bob']))
      tracker.track(receipt('nobody listens', ['bob'], 'at-most-once'))
      tracker.track(receipt('nor here', ['bob']))
      happen('nor here', 'bob', 'expired')
      tracker.close()
      expect(await fate(delivered)).toMatchObject({ name: 'AfpDeliveryError', code: 'CLOSED' })
      await clock.advance(0)
      expect(unhandled).not.toHaveBeenCalled()
    } finally {
      process.off('unhandledRejection', unhandled)
    }
  })
})

describe('a change', () => {
  it('is heard of only once it was committed', async () => {
    const tracking = tracker.track(receipt('m', ['bob']))
    const made = change('m', 'bob', { type: 'delivered' })
    expect(made).toMatchObject({ before: { state: 'queued' }, after: { state: 'delivered' } })
    expect(made.receipt.recipients.get('bob')?.state).toBe('delivered')
    expect(tracker.latest('m')).toBe(made.receipt)
    expect(tracking.status).toBe('pending')
    expect((await tracker.get('m'))?.recipients.get('bob')?.state).toBe('queued')
    expect(await fate(tracking.delivered)).toBe('open')
    expect(told).toEqual([])
    made.committed()
    made.committed()
    expect(await fate(tracking.delivered)).toBe('resolved')
    expect(told).toEqual(['delivered m bob (delivered)'])
  })

  it('that could not be committed can be made again', async () => {
    const tracking = tracker.track(receipt('m', ['bob']))
    const lost = change('m', 'bob', { type: 'delivered' })
    expect(tracker.apply('m', 'bob', { type: 'delivered' })).toBeUndefined()
    lost.abandoned()
    lost.committed()
    expect(tracking.status).toBe('pending')
    happen('m', 'bob', 'delivered')
    expect(await fate(tracking.delivered)).toBe('resolved')
  })

  it('is made from the one before, committed or not, and one that is abandoned late takes nothing with it', () => {
    const tracking = tracker.track(receipt('m', ['bob', 'eve']))
    const first = change('m', 'bob', { type: 'sent' })
    const second = change('m', 'bob', { type: 'delivered' })
    const other = change('m', 'eve', { type: 'sent' })
    second.committed()
    first.abandoned()
    other.committed()
    const states = (from: MessageReceipt | undefined): string[] =>
      [...(from?.recipients.values() ?? [])].map(({ state }) => state)
    expect(states(tracking.receipt)).toEqual(['delivered', 'sent'])
    expect(states(tracker.latest('m'))).toEqual(['delivered', 'sent'])
  })

  it('that is abandoned after the one it was made from leaves nothing of either', () => {
    const tracking = tracker.track(receipt('m', ['bob']))
    const [first, second] = [change('m', 'bob', { type: 'delivered' }), change('m', 'bob', { type: 'processed' })]
    first.abandoned()
    second.abandoned()
    expect(tracker.latest('m')?.recipients.get('bob')?.state).toBe('queued')
    expect(tracker.changing('m')).toBe(false)
    happen('m', 'bob', 'delivered')
    expect(tracking.status).toBe('delivered')
  })

  it('that is on its way to the disk keeps its message in memory, and brings back one that was forgotten', () => {
    make({ limit: 1 })
    for (const id of ['a', 'b']) {
      tracker.track(receipt(id, ['bob']))
      happen(id, 'bob', 'delivered')
    }
    expect(tracker.tracking('a')).toBeUndefined()
    const stored = advance(receipt('a', ['bob']), 'bob', { type: 'delivered' }, 1)
    const [last, back] = [
      change('b', 'bob', { type: 'processed' }),
      tracker.apply('a', 'bob', { type: 'processed' }, stored),
    ]
    tracker.track(receipt('c', ['bob']))
    happen('c', 'bob', 'delivered')
    expect(['a', 'b', 'c'].map(id => tracker.tracking(id)?.status)).toEqual(Array(3).fill('delivered'))
    const state = (id: string): unknown => tracker.tracking(id)?.receipt.recipients.get('bob')?.state
    back?.committed()
    expect(state('a')).toBe('processed')
    last.committed()
    expect(state('b')).toBe('processed')
    expect(tracker.size).toBe(2)
  })

  it('that is committed after a newer one says nothing any more', () => {
    const tracking = tracker.track(receipt('m', ['bob']))
    const first = change('m', 'bob', { type: 'sent' })
    const second = change('m', 'bob', { type: 'delivered' })
    second.committed()
    first.committed()
    expect(tracking.receipt.recipients.get('bob')?.state).toBe('delivered')
  })

  it('is none for a message that is not followed, a stranger, or an event that comes late', () => {
    expect(tracker.apply('none', 'bob', { type: 'sent' })).toBeUndefined()
    tracker.track(receipt('m', ['bob']))
    expect(tracker.apply('m', 'eve', { type: 'sent' })).toBeUndefined()
    happen('m', 'bob', 'delivered')
    expect(tracker.apply('m', 'bob', { type: 'sent' })).toBeUndefined()
    expect(told).toEqual(['delivered m bob (delivered)'])
  })
})

describe('events', () => {
  it('tell of delivery, each retry, expiry and failure, with the status over all recipients', () => {
    const retries: number[] = []
    tracker.addEventListener('delivery:retry', ({ detail }) => retries.push(detail.nextAt))
    const changed: RecipientReceipt[] = []
    tracker.addEventListener('delivery:changed', ({ detail }) => changed.push(detail.receipt))
    tracker.track(receipt('m', ['bob', 'eve', 'kim']))
    happen('m', 'bob', { type: 'retry', nextAt: 100 })
    happen('m', 'bob', { type: 'retry', nextAt: 300 })
    happen('m', 'bob', 'delivered')
    happen('m', 'bob', 'processed')
    happen('m', 'eve', 'expired')
    happen('m', 'kim', { type: 'dead', reason: 'no-route' })
    happen('m', 'kim', 'skipped')
    expect(told).toEqual([
      'retry m bob (pending)',
      'retry m bob (pending)',
      'delivered m bob (pending)',
      'expired m eve (expired)',
      'failed m kim (failed)',
    ])
    expect(retries).toEqual([100, 300])
    expect(changed.map(({ state }) => state)).toEqual([
      'queued',
      'queued',
      'delivered',
      'processed',
      'expired',
      'dead',
      'dead',
    ])
  })

  it('tell of a delivery that skipped the steps before it once', () => {
    tracker.track(receipt('m', ['bob']))
    happen('m', 'bob', 'processed')
    expect(told).toEqual(['delivered m bob (delivered)'])
  })
})

describe('memory', () => {
  const settle = (id: string): void => {
    tracker.track(receipt(id, ['bob']))
    happen(id, 'bob', 'processed')
  }

  it('forgets a message some time after the last word about it; its receipt is read from the store', async () => {
    const store = memoryStore()
    make({ keep: 60_000, load: id => loadReceipt(store, id) })
    tracker.track(receipt('m', ['bob']))
    const made = change('m', 'bob', { type: 'processed' })
    await store.commit({ writes: [writeReceipt(made.receipt)] })
    made.committed()
    await clock.advance(59_999)
    settle('next')
    expect(tracker.tracking('m')?.status).toBe('delivered')
    await clock.advance(1)
    settle('one more')
    expect(tracker.tracking('m')).toBeUndefined()
    expect(await tracker.get('m')).toEqual(made.receipt)
    expect(await tracker.get('never was')).toBeUndefined()
  })

  it('keeps no more settled messages than its limit, the newest', () => {
    make({ limit: 3 })
    for (let i = 0; i < 100; i++) settle(`m${i}`)
    expect(tracker.size).toBe(3)
    expect(tracker.tracking('m97')).toBeDefined()
  })

  it('never forgets what is under way, however long and however many', async () => {
    make({ limit: 1, keep: 0 })
    const trackings = ['a', 'b', 'c'].map(id => tracker.track(receipt(id, ['bob', 'eve'])))
    for (const { id } of trackings) happen(id, 'bob', 'delivered')
    await clock.advance(86_400_000)
    settle('other')
    for (const { id, delivered } of trackings) {
      happen(id, 'eve', 'delivered')
      expect(await fate(delivered)).toBe('resolved')
    }
  })

  it('waits for a last word as long as there is room, then says that it does not any more', async () => {
    make({ limit: 2 })
    const [oldest, doubtful, newest] = ['a', 'b', 'c'].map(id => tracker.track(receipt(id, ['bob'])))
    happen('a', 'bob', 'delivered')
    happen('b', 'bob', 'sent')
    happen('b', 'bob', 'expired')
    await clock.advance(86_400_000)
    settle('other')
    expect(await fate(oldest?.processed as Promise<unknown>)).toBe('open')
    happen('c', 'bob', 'delivered')
    expect(await fate(oldest?.processed as Promise<unknown>)).toMatchObject({
      name: 'AfpDeliveryError',
      code: 'QUEUE_FULL',
    })
    expect(tracker.tracking('a')).toBeUndefined()
    happen('b', 'bob', 'processed')
    expect(doubtful?.status).toBe('delivered')
    expect(await fate(newest?.processed as Promise<unknown>)).toBe('open')
  })

  it('holds on to a message that is queued again, with new promises', async () => {
    make({ keep: 60_000 })
    const first = tracker.track(receipt('m', ['bob'])).delivered
    happen('m', 'bob', { type: 'refused', reason: 'rejected' })
    happen('m', 'bob', 'queued')
    await clock.advance(60_000)
    settle('other')
    const again = tracker.tracking('m')?.delivered as Promise<unknown>
    expect(await fate(again)).toBe('open')
    happen('m', 'bob', 'delivered')
    expect(await fate(again)).toBe('resolved')
    expect(await fate(first)).toBeInstanceOf(AfpDeliveryError)
  })

  it('refuses to follow a message twice, and options that make no sense', () => {
    tracker.track(receipt('m', ['bob']))
    expect(() => tracker.track(receipt('m', ['bob']))).toThrow(expect.objectContaining({ code: 'DUPLICATE_MESSAGE' }))
    for (const options of [{ keep: -1 }, { keep: Number.NaN }, { limit: 0 }]) {
      expect(() => new Tracker({ clock, ...options })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    }
  })
})
