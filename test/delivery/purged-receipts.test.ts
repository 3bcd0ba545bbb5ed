import { expect, it } from 'vitest'
import { loadReceipt, purgeReceipts, writeReceipt } from '../../src/delivery/receipt-rows.ts'
import { advance, type MessageReceipt, newReceipt } from '../../src/delivery/receipts.ts'
import { memoryStore } from '../../src/store/memory.ts'

const NOW = Date.UTC(2026, 0, 1)

it('Receipts that are over stay where their message is sent again while old ones are looked for', async () => {
  const store = memoryStore()
  const receipt = (id: string, expiresAt: number) =>
    writeReceipt(newReceipt({ id, guarantee: 'at-least-once', createdAt: NOW, expiresAt }, []))
  await store.commit({ writes: ['old', 'again', 'older'].map(id => receipt(id, NOW)) })
  const range = store.range.bind(store)
  const sentAgain = new Set<string>()
  store.range = async (...options) => {
    const rows = await range(...options)
    // What was read says nothing of it yet.
    await store.commit({ writes: [receipt('again', NOW + 9_000_000)] })
    sentAgain.add('again')
    return rows
  }
  expect(await purgeReceipts(store, NOW + 1, id => sentAgain.has(id))).toBe(2)
  expect((await range('receipts')).map(({ key }) => key)).toEqual([['again']])
  expect((await loadReceipt(store, 'again'))?.expiresAt).toBe(NOW + 9_000_000)
})

it('Receipts of what has its end are forgotten sooner beyond a number, but of messages that have not expired', async () => {
  const store = memoryStore()
  const done = (id: string, expiresAt: number): MessageReceipt => {
    const receipt = newReceipt({ id, guarantee: 'at-least-once', createdAt: NOW, expiresAt }, ['bob'])
    return advance(receipt, 'bob', { type: 'processed' }, NOW + 1) as MessageReceipt
  }
  const all = Array.from({ length: 1_200 }, (_, i) => done(`m${i}`, i % 3 === 0 ? NOW + 100 : NOW + 10))
  const open = newReceipt({ id: 'open', guarantee: 'at-least-once', createdAt: NOW, expiresAt: NOW + 10 }, ['bob'])
  await store.commit({ writes: [...all, open].map(writeReceipt) })
  const bound = { most: 1_000, now: NOW + 50 }
  expect(await purgeReceipts(store, NOW, undefined, bound)).toBe(200)
  expect(await purgeReceipts(store, NOW, undefined, bound)).toBe(0)
  expect(await purgeReceipts(store, NOW, undefined, { ...bound, most: 0 })).toBe(600)
  expect(await store.count('receipts')).toBe(401)
  for (const id of ['open', 'm0', 'm1197']) expect(await loadReceipt(store, id)).toBeDefined()
})
