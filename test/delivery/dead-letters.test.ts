import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { AfpDataStoreError, AfpDeliveryError } from '../../src/common/errors.ts'
import { letterMessage, MAX_NOTE_LENGTH, MAX_NOTES } from '../../src/delivery/dead-letter.ts'
import type { DeadLetterEvents } from '../../src/delivery/dead-letter-options.ts'
import type { DeadLetters, DeadLettersOptions } from '../../src/delivery/dead-letters.ts'
import { untilExpiry } from '../../src/delivery/retry.ts'
import { encode } from '../../src/message/codec.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { deadLettersContract, newLetter, openLetters } from '../contracts/dead-letters.ts'

deadLettersContract('memory', async () => {
  const store = memoryStore()
  return { store, reopen: async () => store }
})

const folder = mkdtempSync(join(tmpdir(), 'afp-letters-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0

deadLettersContract('SQLite', async () => {
  const path = join(folder, `${files++}.db`)
  let store = await sqliteStore(path)
  return {
    store,
    reopen: async () => {
      await store.close()
      store = await sqliteStore(path)
      return store
    },
  }
})

let clock: DrivenClock
let store: Store
let letters: DeadLetters
let told: string[]
beforeEach(async () => {
  clock = new DrivenClock()
  store = memoryStore()
  await open()
})

async function open(options: Partial<DeadLettersOptions> = {}): Promise<void> {
  letters = await openLetters(store, clock, options)
  told = []
  const types: (keyof DeadLetterEvents)[] = [
    'dead-letter:added',
    'dead-letter:refused',
    'dead-letter:processed',
    'dead-letter:removed',
    'dead-letter:retried',
    'dead-letter:retry-failed',
  ]
  for (const type of types) letters.addEventListener(type, () => told.push(type.slice('dead-letter:'.length)))
}

const add = async (fields: Parameters<typeof newLetter>[0] = {}): Promise<string> =>
  (await letters.add(newLetter(fields))).id

const ids = async (...args: Parameters<DeadLetters['list']>): Promise<string[]> =>
  (await letters.list(...args)).map(({ id }) => id)

describe('a list of dead letters', () => {
  it('takes filters, alone and together', async () => {
    const a = await add({ reason: 'expired', peer: 'bob' })
    await clock.advance(1_000)
    const b = await add({ reason: 'handler-error', side: 'recipient', peer: 'eve' })
    await clock.advance(1_000)
    const c = await add({ reason: 'expired', peer: 'eve' })
    await letters.markProcessed(a)
    expect(await ids({ processed: true })).toEqual([a])
    expect(await ids({ processed: false })).toEqual([c, b])
    expect(await ids({ reason: 'expired' })).toEqual([c, a])
    expect(await ids({ side: 'recipient' })).toEqual([b])
    expect(await ids({ peer: 'eve' })).toEqual([c, b])
    expect(await ids({ peer: 'eve', side: 'sender', processed: false })).toEqual([c])
    expect(await ids({ maxAge: 1_000 })).toEqual([c, b])
    expect(await ids({ olderThan: 999 })).toEqual([b, a])
    expect(await ids({ olderThan: 1_000 })).toEqual([a])
    expect(await ids({ limit: 0 })).toEqual([])
    expect(letters.count()).toBe(3)
    expect(letters.count({ reason: 'expired', processed: false })).toBe(1)
  })

  it('has all that are whole, and tells of those that are not', async () => {
    const errors: unknown[] = []
    await open({ onError: error => void errors.push(error) })
    const [first, halved, spoilt, last] = [await add(), await add(), await add(), await add()]
    await store.commit({
      writes: [
        { op: 'delete', table: 'dead-letters', key: ['message', halved] },
        { op: 'put', table: 'dead-letters', key: ['entry', spoilt], value: Uint8Array.of(255) },
      ],
    })
    expect(await ids()).toEqual([last, first])
    expect(errors).toMatchObject([spoilt, halved].map(reference => ({ code: 'STORE_FAILED', reference })))
    expect(await letters.discard(halved)).toBe(true)
    expect(await ids()).toEqual([last, first])
    expect(errors).toHaveLength(3)
  })

  it('fails where the store does', async () => {
    await add()
    vi.spyOn(store, 'get').mockRejectedValueOnce(
      new AfpDataStoreError('STORE_FAILED', 'disk', { reference: 'dead-letters' }),
    )
    await expect(letters.list()).rejects.toThrow('disk')
  })

  it('has 100 letters unless told otherwise, the newest', async () => {
    const all: string[] = []
    for (let i = 0; i < 103; i++) all.push(await add())
    expect(await ids()).toEqual(all.slice(3).reverse())
    for (const limit of [-1, 1.5, Number.NaN]) {
      await expect(letters.list({ limit })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    }
  })
})

describe('a dead letter', () => {
  it('that nobody knows is undefined, cannot be marked or discarded, and is an error to retry', async () => {
    expect(await letters.get('none')).toBeUndefined()
    expect(await letters.markProcessed('none', 'x')).toBe(false)
    expect(await letters.discard('none')).toBe(false)
    await expect(letters.retry('none')).rejects.toMatchObject({ name: 'AfpDeliveryError', code: 'UNKNOWN_LETTER' })
  })

  it('takes no note that is too long and not more than its bound', async () => {
    const id = await add()
    await expect(letters.markProcessed(id, 'x'.repeat(MAX_NOTE_LENGTH + 1))).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
    expect(await letters.get(id)).toMatchObject({ processed: false })
    for (let i = 0; i < MAX_NOTES; i++) await letters.markProcessed(id, 'x'.repeat(MAX_NOTE_LENGTH))
    await expect(letters.markProcessed(id, 'one more')).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    expect(await letters.markProcessed(id)).toBe(true)
    expect((await letters.get(id))?.notes).toHaveLength(MAX_NOTES)
  })

  it('loses no note when several are made at once', async () => {
    const id = await add()
    await Promise.all(['a', 'b', 'c'].map(note => letters.markProcessed(id, note)))
    expect((await letters.get(id))?.notes.map(({ text }) => text)).toEqual(['a', 'b', 'c'])
  })

  it('keeps of an error what it has room for, also when it was cut within a character', async () => {
    const id = await add({ lastError: { code: 'C'.repeat(100), message: `${'m'.repeat(1_023)}\u{1f600}` } })
    const { lastError } = (await letters.get(id)) ?? {}
    expect(lastError?.code).toBe('C'.repeat(64))
    expect(lastError?.message).toBe(`${'m'.repeat(1_023)}\ufffd`)
  })

  it('whose bytes are no message is kept, and told when it is read', async () => {
    const id = await add({ reason: 'undecryptable', message: Uint8Array.of(255) })
    const letter = await letters.get(id)
    expect(letter?.message).toEqual(Uint8Array.of(255))
    expect(() => letter && letterMessage(letter)).toThrow(expect.objectContaining({ code: 'MALFORMED' }))
  })

  it('is not changed by what the caller does to its bytes later', async () => {
    const bytes = Uint8Array.of(1, 2, 3)
    const staged = letters.stage(newLetter({ message: bytes }))
    bytes.fill(0)
    await store.commit({ writes: staged.writes })
    staged.committed()
    expect((await letters.get(staged.letter.id))?.message).toEqual(Uint8Array.of(1, 2, 3))
  })

  it('that was damaged in the store is told with STORE_FAILED, whatever the damage', async () => {
    const id = await add()
    const good = (await store.get('dead-letters', ['entry', id])) as Uint8Array
    const damage = [
      Uint8Array.of(255),
      encode('text'),
      encode([]),
      ...Array.from({ length: 15 }, (_, field) => {
        const fields: unknown[] = [
          0,
          'bob',
          0,
          null,
          'ada',
          null,
          ['none', 'none', []],
          1,
          null,
          false,
          1,
          null,
          [],
          null,
          1,
        ]
        fields[field] = new Map()
        return encode(fields)
      }),
    ]
    for (const value of damage) {
      await store.commit({ writes: [{ op: 'put', table: 'dead-letters', key: ['entry', id], value }] })
      await expect(letters.get(id)).rejects.toMatchObject({ code: 'STORE_FAILED', reference: id })
      await expect(openLetters(store, clock)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    }
    await store.commit({
      writes: [
        { op: 'put', table: 'dead-letters', key: ['entry', id], value: good },
        { op: 'delete', table: 'dead-letters', key: ['message', id] },
      ],
    })
    await expect(letters.get(id)).rejects.toMatchObject({ code: 'STORE_FAILED' })
  })
})

describe('purging', () => {
  it('takes processed letters only, unless told otherwise, and only those of the age asked for', async () => {
    const [a, b, c] = [await add(), await add(), await add()]
    await letters.markProcessed(a)
    await clock.advance(10_000)
    await letters.markProcessed(b)
    const young = await add()
    await letters.markProcessed(young)
    expect(await letters.purge({ olderThan: 10_000 })).toBe(0)
    expect(await letters.purge({ olderThan: 9_999 })).toBe(2)
    expect(await ids()).toEqual([young, c])
    expect(await letters.purge({ processed: false, olderThan: 60_000 })).toBe(0)
    expect(await letters.purge({ processed: false })).toBe(1)
    expect(await ids()).toEqual([young])
    expect(await letters.purge({ processed: 'any' })).toBe(1)
  })

  it('leaves everything as it was when the store fails', async () => {
    const id = await add()
    await letters.markProcessed(id)
    vi.spyOn(store, 'commit').mockRejectedValueOnce(new Error('disk'))
    await expect(letters.purge()).rejects.toThrow('disk')
    expect(await ids()).toEqual([id])
    expect(await letters.purge()).toBe(1)
  })
})

describe('the bound', () => {
  it('is kept by processed letters giving way, the oldest first', async () => {
    await open({ maxEntries: 3 })
    const [a, b, c] = [await add(), await add(), await add()]
    await letters.markProcessed(c)
    await letters.markProcessed(b)
    const d = await add()
    expect(await ids()).toEqual([d, c, a])
    const e = await add()
    expect(await ids()).toEqual([e, d, a])
    expect(await store.count('dead-letters')).toBe(6)
    expect(told.filter(each => each === 'removed')).toHaveLength(2)
  })

  it('refuses a new letter, and says so, when there is nothing that may go', async () => {
    await open({ maxEntries: 2 })
    const kept = [await add(), await add()]
    const refused = vi.fn()
    letters.addEventListener('dead-letter:refused', ({ detail }) => refused(detail))
    const error = await letters.add(newLetter({ reason: 'quota' })).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(AfpDeliveryError)
    expect(error).toMatchObject({ code: 'QUEUE_FULL', retries: 3, details: { reason: 'quota', peer: 'bob' } })
    expect(refused).toHaveBeenCalledExactlyOnceWith({
      letter: expect.objectContaining({ reason: 'quota', message: newLetter().message }),
      error,
    })
    expect(await ids()).toEqual(kept.toReversed())
    await letters.discard(kept[0] as string)
    await add()
  })

  it('holds for each side by itself', async () => {
    await open({ maxEntries: 1 })
    await add({ side: 'recipient' })
    await add({ side: 'sender' })
    await expect(letters.add(newLetter({ side: 'recipient' }))).rejects.toMatchObject({ code: 'QUEUE_FULL' })
  })

  it('is also one of bytes, and holds over a restart', async () => {
    await open({ maxBytes: 10_000 })
    const big = await add({ message: new Uint8Array(6_000) })
    const small = await add({ message: new Uint8Array(3_000) })
    await expect(letters.add(newLetter({ message: new Uint8Array(6_000) }))).rejects.toMatchObject({
      code: 'QUEUE_FULL',
    })
    await letters.markProcessed(big)
    await clock.advance(1)
    await open({ maxBytes: 10_000 })
    const next = await add({ message: new Uint8Array(6_000) })
    expect(await ids()).toEqual([next, small])
    await expect(letters.add(newLetter({ message: new Uint8Array(11_000) }))).rejects.toMatchObject({
      code: 'QUEUE_FULL',
    })
    await letters.markProcessed(small)
    // What could give way would not be enough, so it stays.
    await expect(letters.add(newLetter({ message: new Uint8Array(9_000) }))).rejects.toMatchObject({
      code: 'QUEUE_FULL',
    })
    expect(await ids()).toEqual([next, small])
  })

  it('counts letters that are staged, and gives their room back when they are abandoned', async () => {
    await open({ maxEntries: 2 })
    const old = await add()
    await letters.markProcessed(old)
    const first = letters.stage(newLetter())
    const second = letters.stage(newLetter())
    expect(() => letters.stage(newLetter())).toThrow(expect.objectContaining({ code: 'QUEUE_FULL' }))
    expect(letters.count()).toBe(0)
    second.abandoned()
    second.committed()
    expect(await ids()).toEqual([old])
    first.abandoned()
    await add()
    expect(letters.count()).toBe(2)
    expect(told.filter(each => each === 'removed')).toEqual([])
  })

  it('stores nothing and keeps its count when the store fails', async () => {
    await open({ maxEntries: 1 })
    const commit = vi.spyOn(store, 'commit').mockRejectedValueOnce(new Error('disk'))
    await expect(letters.add(newLetter())).rejects.toThrow('disk')
    expect(letters.count()).toBe(0)
    expect(told).toEqual([])
    commit.mockRestore()
    await add()
    expect(told).toEqual(['added'])
  })

  it('has to be a positive integer', async () => {
    for (const options of [{ maxEntries: 0 }, { maxBytes: Number.NaN }]) {
      await expect(openLetters(store, clock, options)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    }
  })
})

describe('a policy', () => {
  it('without an end, or without a way to retry, is refused', async () => {
    const retry = async (): Promise<'waiting'> => 'waiting'
    for (const options of [
      { policies: { expired: untilExpiry() }, retry },
      { policies: { expired: { kind: 'fixed', delay: 1, retries: 1 } as const } },
    ]) {
      await expect(openLetters(store, clock, options)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    }
  })
})
