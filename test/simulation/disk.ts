/** Disks of the simulation: each tells what is written on it of dead letters, those included that are gone again. */

import { type LetterEntry, type LetterSide, readEntry } from '../../src/delivery/dead-letter.ts'
import { readInbox, readOutbox } from '../../src/delivery/rows.ts'
import { decodeMessage } from '../../src/message/envelope.ts'
import { KEPT_LIMITS } from '../../src/message/validate.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch, Row, Store } from '../../src/store/store.ts'

/** Whose letter is owed. */
export interface Owed {
  readonly side: LetterSide
  readonly peer: string
  readonly messageId: string
}

/** What is told of a disk, once it is on it. */
export interface DiskNews {
  /** A letter is new, or has a new form. */
  letter(entry: LetterEntry, before: LetterEntry | undefined): void
  /** One is gone. */
  gone(entry: LetterEntry): void
  /** A message has its end, and its row is there for the letter alone. */
  owes(owed: Owed): void
  /** All of a batch was told. */
  told(): void
}

/** The letters of a disk. */
export class LetterBook {
  /** All that it ever had, as they were last. */
  readonly all = new Map<string, LetterEntry>()
  /** Ids of those that it has. */
  readonly there = new Set<string>()

  /** Those that nobody has retried, whether they are there or somebody has put them away. */
  get open(): LetterEntry[] {
    return [...this.all.values()].filter(isOpen)
  }

  /** Takes in a batch that is on the disk. */
  take({ writes }: Batch, news: DiskNews): void {
    for (const write of writes) {
      if (write.op === 'deleteRange') continue
      if (write.table !== 'dead-letters') {
        const owed = write.op === 'put' ? owedBy(write.table, write) : undefined
        if (owed !== undefined) news.owes(owed)
      } else if (write.key[0] === 'entry') {
        const id = String(write.key[1])
        const before = this.all.get(id)
        if (write.op === 'put') {
          const entry = readEntry(id, write.value)
          this.all.set(id, entry)
          this.there.add(id)
          news.letter(entry, before)
        } else if (this.there.delete(id) && before !== undefined) news.gone(before)
      }
    }
    news.told()
  }
}

/** A disk, and the letters on it. */
export function watchedDisk(news: DiskNews): { readonly disk: Store; readonly book: LetterBook } {
  const rows = memoryStore()
  const book = new LetterBook()
  const disk: Store = {
    durability: rows.durability,
    get: rows.get.bind(rows),
    range: rows.range.bind(rows),
    count: rows.count.bind(rows),
    commit: async batch => {
      await rows.commit(batch)
      book.take(batch, news)
    },
    close: async () => {},
  }
  return { disk, book }
}

/** What is noted on a letter that is put away. */
export const AWAY = 'put away'
/** Whether nobody has retried it with success; who has only put it away has not. */
export const isOpen = ({ notes }: LetterEntry): boolean => !notes.some(({ text }) => text !== AWAY)
/** Whether a retry has sent or handled its message again. */
export const isRetried = ({ notes }: LetterEntry): boolean => notes.some(({ text }) => text === 'retried')

/** Whose letter a row owes, if it does. */
export function owedBy(table: string, row: Row): Owed | undefined {
  if (table === 'outbox') {
    const { recipient, row: out } = readOutbox(row)
    return out.owes && { side: 'sender', peer: recipient, messageId: out.messageId }
  }
  if (table !== 'inbox') return undefined
  const { author, row: inbox } = readInbox(row)
  if (inbox.owes === undefined) return undefined
  const security = { level: 'high', authenticatedBy: 'signature', roles: [] } as const
  const { message } = decodeMessage(inbox.message, { sender: author, security, limits: KEPT_LIMITS })
  return { side: 'recipient', peer: author, messageId: message.id }
}
