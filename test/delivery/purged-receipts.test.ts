import { expect, it } from 'vitest'
import { loadReceipt, purgeReceipts, writeReceipt } from '../../src/delivery/receipt-rows.ts'
import { newReceipt } from '../../src/delivery/receipts.ts'
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
