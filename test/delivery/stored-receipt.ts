import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import { type MessageReceipt, newReceipt } from '../../src/delivery/receipts.ts'
import { readOutbox } from '../../src/delivery/rows.ts'
import type { Store } from '../../src/store/store.ts'

/**
 * The receipt of a message by what is on the disk, as the next run reads it: a row of its own, or that the message waits, be it
 * for room for its dead letter alone.
 */
export async function storedReceipt(store: Store, id: string): Promise<MessageReceipt | undefined> {
  const receipt = await loadReceipt(store, id)
  if (receipt !== undefined) return receipt
  for (const stored of await store.range('outbox')) {
    const { recipient, row } = readOutbox(stored)
    const waits = row.fence === undefined || row.frame.length > 0
    if (row.messageId === id && waits) return newReceipt({ ...row, id }, [recipient])
  }
  return undefined
}
