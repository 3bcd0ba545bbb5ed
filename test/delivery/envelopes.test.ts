/** Envelopes of what waits: what of them is in memory, and how the others are read. */

import { beforeEach, describe, expect, it } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { Envelopes } from '../../src/delivery/envelopes.ts'
import type { Entry, OutEpoch } from '../../src/delivery/out-epoch.ts'
import { NEVER_TRIED } from '../../src/delivery/retry.ts'
import { outboxKey, putOutbox } from '../../src/delivery/rows.ts'
import { Staging } from '../../src/delivery/staging.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { RangeOptions, Row, Store } from '../../src/store/store.ts'

const MIB = 2 ** 20

let clock: DrivenClock
let store: Store
let errors: unknown[]
let reads: number
let broken: Error | undefined
let envelopes: Envelopes

const epochOf = (id: string): OutEpoch => ({ id, entries: new Map() }) as unknown as OutEpoch

beforeEach(() => {
  clock = new DrivenClock()
  store = memoryStore()
  errors = []
  reads = 0
  broken = undefined
  const range = async (table: string, options?: RangeOptions): Promise<Row[]> => {
    reads++
    if (broken !== undefined) throw broken
    return store.range(table, options)
  }
  const onError = (error: unknown): void => void errors.push(error)
  envelopes = new Envelopes({ store: { range }, author: 'ada', recipient: 'bob', clock, onError })
})

/** A message that is on the disk, with as many bytes as its number says. */
async function stored(epoch: OutEpoch, number: number): Promise<Entry> {
  const id = `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`
  const head = { messageId: id, guarantee: 'at-least-once', priority: 0, expiresAt: 1, createdAt: 0 } as const
  const row = { ...head, retry: NEVER_TRIED, strategy: undefined, fence: undefined }
  const frame = new Uint8Array(number).fill(number)
  await store.commit({ writes: [putOutbox(outboxKey('bob', epoch.id, number), { ...row, frame })] })
  const entry = { epoch, number, row, bytes: number } as unknown as Entry
  ;(epoch.entries as unknown as Map<number, Entry>).set(number, entry)
  return entry
}

const entryOf = (number: number): Entry => ({ number }) as unknown as Entry

describe('Envelopes', () => {
  it('are in memory only over a link, and no more of them than 2 MiB', () => {
    envelopes.keep(entryOf(1), new Uint8Array(10))
    expect(envelopes.held).toBe(0)
    envelopes.linked = true
    for (let number = 0; number < 100; number++) envelopes.keep(entryOf(number), new Uint8Array(MIB / 16))
    expect(envelopes.held).toBe(2 * MIB)
    envelopes.linked = false
    expect(envelopes.held).toBe(0)
  })

  it('leave memory as they are taken', () => {
    envelopes.linked = true
    const entry = entryOf(1)
    envelopes.keep(entry, Uint8Array.of(1, 2))
    expect(envelopes.take(entry)).toEqual(Uint8Array.of(1, 2))
    expect([envelopes.take(entry), envelopes.held]).toEqual([undefined, 0])
  })

  it('that follow one another are read at once, each as it was written', async () => {
    const [one, other] = [epochOf('one'), epochOf('other')]
    const numbers = [3, 4, 5, 9]
    const entries = await Promise.all([...numbers.map(n => stored(one, n)), ...numbers.map(n => stored(other, n))])
    const frames = await envelopes.read(entries)
    expect(entries.map(entry => frames.get(entry))).toEqual(
      entries.map(({ number }) => new Uint8Array(number).fill(number)),
    )
    expect(reads).toBe(4)
  })

  it('are read until the store gives them', async () => {
    const entry = await stored(epochOf('one'), 3)
    broken = new Error('the disk is away')
    const reading = envelopes.read([entry])
    await clock.advance(2_500)
    expect(errors).toEqual([broken, broken, broken])
    broken = undefined
    await clock.advance(1_000)
    expect((await reading).get(entry)).toEqual(new Uint8Array(3).fill(3))
  })

  it('whose rows are gone are told of, unless the messages are gone too', async () => {
    const epoch = epochOf('one')
    const [gone, over] = [await stored(epoch, 3), await stored(epoch, 4)]
    await store.commit({ writes: [{ op: 'deleteRange', table: 'outbox', range: {} }] })
    epoch.entries.delete(4)
    expect((await envelopes.read([gone, over])).size).toBe(0)
    expect(errors).toMatchObject([{ code: 'STORE_FAILED', reference: gone.row.messageId }])
  })
})

describe('What is staged', () => {
  it('is handed on in its order, some MiB at a time, and not at all once the link is gone', async () => {
    const epoch = epochOf('one')
    const handed: number[] = []
    const staging = new Staging({
      envelopes,
      hand: ({ number }, frame) => void handed.push(frame?.length === number ? number : -1),
      onRead: () => {},
    })
    for (const number of [5, 2, 9]) staging.add(await stored(epoch, number))
    void staging.read()
    staging.add(await stored(epoch, MIB))
    expect([staging.busy, staging.full]).toEqual([true, true])
    await clock.advance(0)
    expect(handed).toEqual([5, 2, 9])
    staging.clear()
    await staging.read()
    expect([handed.length, staging.busy]).toEqual([3, false])
  })
})
