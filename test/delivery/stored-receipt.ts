import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import { type MessageReceipt, newReceipt } from '../../src/delivery/receipts.ts'
import { readOutbox } from '../../src/delivery/rows.ts'
import type { Store } from '../../src/store/store.ts'

/** The receipt of a message by what is on the disk, as the next run reads it: a row of its own, or that the message waits. */
export async function storedReceipt(store: Store, id: string): Promise<MessageReceipt | undefined> {
  const receipt = await loadReceipt(store, id)
  if (receipt !== undefined) return receipt
  for (const stored of await store.range('outbox')) {
    const { recipient, row } = readOutbox(stored)
    if (row.messageId === id && row.fence === undefined) return newReceipt({ ...row, id }, [recipient])
  }
  return undefined
}
