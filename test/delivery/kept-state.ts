import { loadReceipt } from '../../src/delivery/receipt-rows.ts'
import type { ReceiptState } from '../../src/delivery/receipts.ts'
import { readOutbox } from '../../src/delivery/rows.ts'
import type { Store } from '../../src/store/store.ts'

/** How a message stands with a recipient by what is on the disk, as the next run reads it: by its receipt, or its row alone. */
export async function keptState(store: Store, id: string, recipient: string): Promise<ReceiptState | undefined> {
  const receipt = await loadReceipt(store, id)
  if (receipt !== undefined) return receipt.recipients.get(recipient)?.state
  const rows = (await store.range('outbox', { prefix: [recipient] })).map(readOutbox)
  return rows.some(({ row }) => row.messageId === id && row.fence === undefined) ? 'queued' : undefined
}
