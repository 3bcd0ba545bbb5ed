/** What a recipient's word on an epoch comes to: fates of messages, and what is written of them. */

import type { AckNews } from '../feed/index.ts'
import type { Write } from '../store/store.ts'
import { deleteRow, endedOf, fateOf, fateOfEnd, rowKeyOf } from './entries.ts'
import type { Envelopes } from './envelopes.ts'
import type { Fate } from './ledger.ts'
import type { OutRow } from './loading.ts'
import type { OutEpoch } from './out-epoch.ts'
import { owedRow } from './owed-letters.ts'
import { isKept } from './receipts.ts'
import { NO_BYTES, putOutbox } from './rows.ts'

/** See the head of this file. */
export interface Consequences {
  readonly fates: readonly Fate[]
  /** Rows of what has arrived and has no end yet, by position. */
  readonly arrived: ReadonlyMap<number, Write>
  /** Positions of what has its end. */
  readonly over: ReadonlySet<number>
  /** What takes their rows away. */
  readonly writes: readonly Write[]
  /** Those with a dead letter, each by itself: there may be room for one of them only. See {@link owedRow}. */
  readonly letters: readonly OutRow[]
}

export async function consequences(
  news: AckNews,
  epoch: OutEpoch,
  { envelopes, recipient }: { readonly envelopes: Envelopes; readonly recipient: string },
): Promise<Consequences> {
  const refused = new Map(news.refused)
  const skipped = new Set(news.skipped)
  const over = new Set([...news.processed, ...refused.keys(), ...skipped])
  const fates: Fate[] = []
  const arrived = new Map<number, Write>()
  const writes: Write[] = []
  const letters: OutRow[] = []
  for (const number of news.delivered) {
    const messageId = epoch.messages.get(number)?.messageId
    const before = epoch.entries.get(number)?.row ?? epoch.fences.get(number)
    if (messageId === undefined || before === undefined) continue
    // What it would not have is said with its letter alone: after a crash in between nobody would make one.
    const reason = refused.get(number)
    if (reason !== undefined && !isKept(reason)) continue
    fates.push(fateOf(recipient, epoch, number, messageId, 'delivered'))
    // Until its end is known the row says whose it is; its bytes are not needed any more.
    const row = { ...before, fence: 'delivered', frame: NO_BYTES } as const
    if (!over.has(number)) arrived.set(number, putOutbox(rowKeyOf(recipient, { epoch, number }), row))
  }
  for (const number of over) {
    const messageId = epoch.messages.get(number)?.messageId
    const entry = epoch.entries.get(number)
    const deletion = deleteRow(recipient, { epoch, number })
    if (messageId === undefined) {
      writes.push(deletion)
      continue
    }
    const reason = refused.get(number)
    const status = reason !== undefined ? 'refused' : skipped.has(number) ? 'skipped' : 'processed'
    // What the recipient kept is in its own dead letters; what it would not have at all, for whatever reason, in these.
    const keeps = reason === undefined || isKept(reason)
    // One that is being given up has its letter with that, unless that cannot be written.
    if (!keeps || entry?.owed) await entry?.giving?.catch(() => undefined)
    const lettered = keeps || entry === undefined || entry.awaited || entry.lettered
    const ended = lettered ? undefined : await endedOf(entry, envelopes)
    // Its recipient is quicker than whoever makes room for the letter.
    const owes = status === 'skipped' && !entry?.lettered ? entry?.owed : undefined
    const owed = entry && owes ? [await fateOfEnd(recipient, { ...entry, left: false }, owes, envelopes)] : []
    const end = [...owed, { ...fateOf(recipient, epoch, number, messageId, status), reason, ended }]
    const row = owedRow(end)
    if (row !== undefined) letters.push({ epoch: epoch.id, number, row })
    else {
      fates.push(...end)
      writes.push(deletion)
    }
  }
  return { fates, arrived, over, writes, letters }
}

/** What an epoch comes to that its recipient can never open, by its own signed word, but for what goes again. */
export interface LostEpoch {
  /** What was given up is that for good. */
  readonly fates: readonly Fate[]
  /** What takes their rows away. */
  readonly writes: readonly Write[]
  /** What takes the rows of those away that had arrived: once that is on the disk, of which they tell alone until then. */
  readonly arrived: readonly Write[]
}

/** @param epoch nothing is being written of it */
export function lostEpoch(epoch: OutEpoch, recipient: string): LostEpoch {
  const deleted = (numbers: Iterable<number>): Write[] =>
    Array.from(numbers, number => deleteRow(recipient, { epoch, number }))
  const isArrived = (number: number): boolean => !epoch.entries.has(number) && !epoch.fences.has(number)
  return {
    fates: [...epoch.fences].map(([number, { messageId }]) => fateOf(recipient, epoch, number, messageId, 'skipped')),
    writes: deleted(epoch.fences.keys()),
    arrived: deleted([...epoch.messages.keys()].filter(isArrived)),
  }
}
