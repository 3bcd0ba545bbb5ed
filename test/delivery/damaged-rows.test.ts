import { expect, test } from 'vitest'
import { loadIncoming, loadOutgoing } from '../../src/delivery/loading.ts'
import { readInbox } from '../../src/delivery/rows.ts'
import { encode } from '../../src/message/codec.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Key, Store } from '../../src/store/store.ts'

const loadAll = async (store: Store): Promise<void> => {
  await loadOutgoing(store, { now: 0, follows: () => true })
  await loadIncoming(store)
}

/** Of one that is given up. */
const OUTBOX = encode([new Uint8Array(16), 1, 0, 1, 1, [0, 0], null, 1, new Uint8Array()])

test('Whole rows are read', async () => {
  const store = memoryStore()
  await store.commit({ writes: [{ op: 'put', table: 'outbox', key: ['bob', 'e1', 7], value: OUTBOX }] })
  await loadAll(store)
})

test.each([
  ['outbox', ['bob', 'e1', 7], encode([1, 2])],
  ['outbox', ['bob', 'e1', 7], encode(Array(9).fill(null))],
  ['epochs', ['out', 'bob', 'e1'], Uint8Array.of(0xff)],
  ['epochs', ['in', 'bob', 'e1'], encode([1])],
  ['inbox', ['bob', 'e1', 7], encode(Array(6).fill(0))],
  // What is wrong is in the key.
  ['outbox', ['bob', 'e1', 1.5], OUTBOX],
  ['outbox', ['bob', 'e1', 0], OUTBOX],
  ['outbox', ['bob', 1, 7], OUTBOX],
] as [table: string, key: Key, value: Uint8Array][])(
  'A damaged row is named by who cannot start on it: of %s, at %j',
  async (table, key, value) => {
    const store = memoryStore()
    await store.commit({ writes: [{ op: 'put', table, key, value }] })
    await expect(loadAll(store)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: `the row ${JSON.stringify(key)} of "${table}" in the store is damaged; it was left as it is`,
      reference: `${table}/${key.join('/')}`,
    })
  },
)

test('What a row of the inbox owes is what it was, or the row is damaged', () => {
  const owing = (owes: unknown): unknown => {
    const value = encode([0, 0, 0, 0, [0, 0], new Uint8Array(1), owes])
    return readInbox({ key: ['bob', 'e1', 7], value }).row.owes
  }
  expect(owing(['expired'])).toEqual(['expired'])
  expect(owing(['handler-error', 'CODE', 'why'])).toEqual(['handler-error', 'CODE', 'why'])
  for (const owes of [0, [], ['late'], ['handler-error', 1, 'why'], 'expired']) {
    expect(() => owing(owes)).toThrow(TypeError)
  }
})
