/** Copies of what is waited for, over a connection that takes none, or not yet: what is sealed, and when it is again. */

import { beforeEach, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { AfpRoutingError } from '../../src/common/errors.ts'
import { seededRandom } from '../../src/common/random.ts'
import { CircuitBreaker } from '../../src/delivery/breaker.ts'
import { Envelopes } from '../../src/delivery/envelopes.ts'
import type { Lines } from '../../src/delivery/lines.ts'
import { type Entry, newEntry, type OutEpoch, openEpoch } from '../../src/delivery/out-epoch.ts'
import { type Draft, headOf } from '../../src/delivery/outgoing-parts.ts'
import { outboxKey, putOutbox } from '../../src/delivery/rows.ts'
import { sealFrame } from '../../src/delivery/sealing.ts'
import { Sender } from '../../src/delivery/sender.ts'
import { createIdentity, type Identity, publicKeyOf } from '../../src/identity/keys.ts'
import { PrekeyRing } from '../../src/security/prekeys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'

const MESH = 'demo'
const random = seededRandom(1)

let clock: DrivenClock
let ada: Identity
let bob: Identity
let epoch: OutEpoch
let store: Store
/** When a copy came to the connection, ms since the link came up, and which message it was of. */
let copied: { at: number; id: string }[]
/** What the connection does with a copy, and with a frame that has a number. */
let takeCopy: () => Promise<void>
let takeFrame: () => Promise<void>
let sender: Sender
let linkedAt: number
/** How often a message was opened to be sealed anew. */
let opened: number

const refusal = (code: 'QUEUE_FULL' | 'NO_ROUTE' | 'MESSAGE_TOO_LARGE') => new AfpRoutingError(code, 'not taken')

beforeEach(async () => {
  clock = new DrivenClock()
  ada = await createIdentity(undefined, random)
  bob = await createIdentity(undefined, random)
  const ring = new PrekeyRing({ store: memoryStore(), random })
  await ring.rotate(clock.now())
  epoch = await openEpoch({
    now: clock.now(),
    author: ada,
    mesh: MESH,
    recipient: bob.id,
    prekey: ring.current() as NonNullable<ReturnType<PrekeyRing['current']>>,
    earlier: [],
    random,
  })
  copied = []
  opened = 0
  store = memoryStore()
  takeCopy = async () => {}
  takeFrame = async () => {}
  const lines = {
    send: (_: string, frame: Uint8Array) => (frame === epoch.packet ? Promise.resolve() : takeFrame()),
    rtt: () => 10,
  } as unknown as Lines
  sender = new Sender({
    recipient: bob.id,
    envelopes: new Envelopes({
      store: {
        range: (...args) => {
          opened++
          return store.range(...args)
        },
      },
      author: ada.id,
      recipient: bob.id,
      clock,
      onError: error => expect.unreachable(String(error)),
    }),
    copy: ({ messageId }: Draft) => {
      copied.push({ at: clock.monotonic() - linkedAt, id: messageId })
      return takeCopy()
    },
    lines,
    clock,
    breaker: new CircuitBreaker(bob.id, clock),
    window: 10,
    states: () => undefined,
    waits: () => false,
    onHanded: () => {},
    onOverdue: entry => sender.again(entry, clock.now() + 3_600_000),
    onOver: entry => sender.remove(entry),
  })
})

/** Replies that wait, to somebody who has no room for them. */
async function replies(count: number, spoil?: number): Promise<Entry[]> {
  const entries: Entry[] = []
  for (let number = 1; number <= count; number++) {
    const draft: Draft = {
      messageId: `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`,
      guarantee: 'at-least-once',
      priority: 0,
      expiresAt: clock.now() + 3_600_000,
      strategy: undefined,
      payload: Uint8Array.of(number),
      awaited: true,
    }
    const destination = publicKeyOf(bob.id) as Uint8Array
    const frame = await sealFrame(epoch, draft, { number, prev: 0, numbered: true }, { mesh: MESH, destination })
    if (number === spoil) frame[frame.length - 1] = (frame.at(-1) as number) ^ 1
    const row = headOf(draft, clock.now())
    await store.commit({ writes: [putOutbox(outboxKey(bob.id, epoch.id, number), { ...row, frame })] })
    entries.push(newEntry(epoch, number, row, { bytes: 1, order: number }))
  }
  sender.linked(false)
  linkedAt = clock.monotonic()
  sender.credit(0)
  for (const entry of entries) sender.add(entry)
  return entries
}

const ids = (entries: readonly Entry[]): string[] => entries.map(({ row }) => row.messageId)

test.each(['QUEUE_FULL', 'NO_ROUTE'] as const)('after %s the others are not tried, and the pauses grow', async code => {
  takeCopy = () => Promise.reject(refusal(code))
  const entries = await replies(20)
  sender.pump()
  await clock.advance(25_000)
  // Whatever else there is to do meanwhile.
  sender.pump()
  await clock.advance(1)
  const at = [0, 100, 300, 700, 1_500, 3_100, 6_300, 11_300, 16_300, 21_300]
  expect(copied).toEqual(at.map(each => ({ at: each, id: entries[0]?.row.messageId })))
  expect(opened).toBe(at.length)
  takeCopy = async () => {}
  copied = []
  await clock.advance(5_000)
  expect(copied.map(({ id }) => id)).toEqual(ids(entries))
  sender.close()
})

test('the pause is short again after one that was taken, and over another link', async () => {
  takeCopy = () => Promise.reject(refusal('QUEUE_FULL'))
  const entries = await replies(2)
  sender.pump()
  await clock.advance(6_500)
  copied = []
  takeCopy = () => (copied.length === 1 ? Promise.resolve() : Promise.reject(refusal('QUEUE_FULL')))
  await clock.advance(5_000)
  const [first, second] = ids(entries)
  expect(copied.slice(0, 4)).toEqual([
    { at: 11_300, id: first },
    { at: 11_300, id: second },
    { at: 11_400, id: second },
  ])
  await clock.advance(20_000)
  sender.unlinked()
  sender.linked(false)
  linkedAt = clock.monotonic()
  copied = []
  takeCopy = () => Promise.reject(refusal('QUEUE_FULL'))
  sender.credit(0)
  await clock.advance(150)
  expect(copied.map(({ at }) => at)).toEqual([0, 100])
  sender.close()
})

test('one that cannot be opened, and one that is too large, hold up nobody and are not tried again', async () => {
  const entries = await replies(3, 1)
  takeCopy = () => (copied.length === 1 ? Promise.reject(refusal('MESSAGE_TOO_LARGE')) : Promise.resolve())
  sender.pump()
  await clock.advance(20_000)
  sender.pump()
  await clock.advance(20_000)
  expect(copied.map(({ id }) => id)).toEqual(ids(entries).slice(1))
  expect(opened).toBe(3)
  expect(entries.map(({ left }) => left)).toEqual([false, false, true])
  sender.close()
})

test('nothing leaves any more once its sender has closed', async () => {
  await replies(3)
  sender.pump()
  expect(opened).toBe(1)
  sender.close()
  await clock.advance(20_000)
  expect(copied).toEqual([])
})

test.each(['before', 'after'])('no timer is left where a copy is refused %s its sender closes', async when => {
  const over = Promise.withResolvers<void>()
  takeCopy = () => over.promise
  await replies(2)
  sender.pump()
  await clock.advance(1)
  if (when === 'after') sender.close()
  over.reject(refusal('QUEUE_FULL'))
  await clock.advance(1)
  if (when === 'before') sender.close()
  expect(copied).toHaveLength(1)
  expect(clock.pending).toBe(0)
})

test('has not left when the link goes while it is opened', async () => {
  const [entry] = await replies(1)
  sender.pump()
  expect(opened).toBe(1)
  sender.unlinked()
  await clock.advance(20_000)
  expect(copied).toEqual([])
  expect(entry?.left).toBe(false)
  sender.close()
})

test.each(['left', 'was lost'])('goes at once over another link, though it %s while that came up', async before => {
  const over = Promise.withResolvers<void>()
  const [entry] = await replies(1)
  takeCopy = () => over.promise
  sender.pump()
  await clock.advance(1)
  expect(copied).toHaveLength(1)
  sender.unlinked()
  sender.linked(false)
  linkedAt = clock.monotonic()
  sender.credit(0)
  takeCopy = async () => {}
  if (before === 'left') over.resolve()
  else over.reject(refusal('NO_ROUTE'))
  await clock.advance(50)
  expect(copied.slice(1)).toEqual([{ at: 0, id: entry?.row.messageId }])
  await clock.advance(20_000)
  expect(copied).toHaveLength(2)
  sender.close()
})

test.each(['copy', 'numbered frame'])(
  'has left for good, though its %s was too large: the other has',
  async refused => {
    const gone = Promise.withResolvers<void>()
    const [entry] = await replies(1)
    takeCopy = () => gone.promise
    takeFrame = () => gone.promise
    if (refused === 'copy') takeFrame = async () => {}
    else takeCopy = async () => {}
    sender.pump()
    await clock.advance(1)
    expect(copied).toHaveLength(1)
    // There is room, and with it the numbered one goes.
    sender.credit(5)
    await clock.advance(1)
    gone.reject(refusal('MESSAGE_TOO_LARGE'))
    await clock.advance(1)
    expect(entry?.left).toBe(true)
    sender.close()
  },
)
