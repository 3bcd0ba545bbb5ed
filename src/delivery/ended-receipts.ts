/**
 * Bounds what a store in memory keeps of messages that have their end. On a disk their receipts outlive their time to live
 * by a day; in memory they would be some 400 bytes of each message of that time, for a next run that there seldom is.
 */

import { AgeSet } from '../common/age-set.ts'
import type { Store } from '../store/store.ts'
import { deleteReceipt } from './receipt-rows.ts'

/** Rows that are deleted at a time. */
const PAGE = 256

/** What {@link EndedReceipts} needs. */
export interface EndedReceiptsParts {
  readonly store: Store
  /** How many stay, the newest. */
  readonly most: number
  /** Whether a receipt is asked for yet, by a dead letter or as its message was sent again: it stays beside them. */
  readonly wanted: (messageId: string) => boolean
}

/** See the head of this file. */
export class EndedReceipts {
  readonly #parts: EndedReceiptsParts
  readonly #ids = new AgeSet<string>()

  constructor(parts: EndedReceiptsParts) {
    this.#parts = parts
  }

  /** A message has its end, or waits for its recipient's last word alone, and is not followed any more. */
  add(id: string): void {
    const { store, most, wanted } = this.#parts
    // One that was sent again has ended just now.
    this.#ids.delete(id)
    this.#ids.add(id)
    if (this.#ids.size < most + PAGE) return
    const over: string[] = []
    for (const old of this.#ids) {
      if (over.length === PAGE) break
      over.push(old)
    }
    for (const old of over) this.#ids.delete(old)
    const [asked, unasked] = [over.filter(wanted), over.filter(old => !wanted(old))]
    // Behind what ended since: it goes once nobody asks.
    for (const old of asked) this.#ids.add(old)
    const writes = unasked.map(deleteReceipt)
    // It fails where the store is closed, and with it all that it kept is gone.
    if (writes.length > 0) store.commit({ writes }).catch(() => {})
  }
}
