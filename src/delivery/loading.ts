/** What an earlier run left in the store, as this run takes it up. */

import { type NextTask, Slices } from '../common/slices.ts'
import { Underway } from '../common/underway.ts'
import { AuthorFeed, type SettledEpoch } from '../feed/index.ts'
import { decodeMessage } from '../message/envelope.ts'
import { KEPT_LIMITS } from '../message/validate.ts'
import { importKey } from '../security/aead.ts'
import { earlierIn } from '../security/opening.ts'
import { paged } from '../store/paged.ts'
import type { Key, Row, Store } from '../store/store.ts'
import { wholeRow } from '../store/whole-row.ts'
import { type Arrived, SEALED } from './arrived.ts'
import { KEEP_ENDED, type KeptEpoch } from './in-epoch.ts'
import { Entries, type Entry, type OutEpoch } from './out-epoch.ts'
import {
  type FenceReason,
  NO_BYTES,
  type OpeningRow,
  type OutboxHead,
  type OutboxRow,
  readEpoch,
  readInbox,
  readOpeningRow,
  readOutbox,
} from './rows.ts'

/** What is left towards one recipient. */
export interface OutgoingRemains {
  readonly epochs: readonly OutEpoch[]
  /** Messages without an epoch: there was no key for them. */
  readonly waiting: readonly Waiting[]
  /** What has its end and owes a dead letter, whether or not its epoch is there. */
  readonly owed: readonly OutRow[]
  /** Messages whose epoch is not there, as in a store that was damaged: with its key nobody can read them any more. */
  readonly unreadable: readonly OutRow[]
  /**
   * Positions of which nobody asks for their recipient's word any more, or that wait for it since so long ago that it
   * has none.
   */
  readonly forgotten: readonly OutRow[]
}

/** A message without an epoch. */
export interface Waiting {
  readonly number: number
  readonly row: OutboxHead
  /** How many it has. */
  readonly bytes: number
}

/** What is left of one author. */
export interface IncomingRemains {
  readonly kept: readonly KeptEpoch[]
  readonly settled: readonly SettledEpoch[]
  readonly arrived: readonly Arrived[]
}

/** A row of the outbox. */
export interface OutRow {
  readonly epoch: string
  readonly number: number
  /** Without its bytes where it has no end: they are read again when they are needed. */
  readonly row: OutboxRow
}

interface ReadRow extends OutRow {
  readonly recipient: string
  /** How many bytes there are of its envelope. */
  readonly bytes: number
}

/**
 * By recipient.
 * @param follows whether anybody asks what became of a message
 * @throws AfpDataStoreError STORE_FAILED when a row is damaged
 */
export async function loadOutgoing(
  store: Store,
  { now, follows, next }: { now: number; follows: (messageId: string) => boolean; next?: NextTask | undefined },
): Promise<Map<string, OutgoingRemains>> {
  const openings = Map.groupBy(await readAll(store, 'epochs', ['out'], next, readOpeningRow), by('recipient'))
  const rows = Map.groupBy(await readAll(store, 'outbox', [], next, readHead), by('recipient'))
  const remains = new Map<string, OutgoingRemains>()
  const slices = new Slices(next)
  for (const recipient of new Set([...openings.keys(), ...rows.keys()])) {
    const [owed, others] = partition(rows.get(recipient) ?? [], ({ row }) => row.owes !== undefined)
    const [forgotten, mine] = partition(others, read => {
      const { row } = read
      if (row.fence === undefined || isOwed(read)) return false
      if (row.expiresAt + KEEP_ENDED < now) return true
      return (isGivenUp(row) || row.awaited === true) && !follows(row.messageId)
    })
    const byEpoch = Map.groupBy(mine, by('epoch'))
    const epochs: OutEpoch[] = []
    for (const { epoch, row } of openings.get(recipient) ?? []) {
      epochs.push(await outEpoch(epoch, row, byEpoch.get(epoch) ?? []))
      if (slices.did()) await slices.pause()
    }
    const waiting = byEpoch.get('') ?? []
    const opened = new Set(['', ...epochs.map(({ id }) => id)])
    const unreadable = mine.filter(({ epoch }) => !opened.has(epoch))
    remains.set(recipient, { epochs, waiting, owed, unreadable, forgotten })
    if (slices.did(0, 1 + owed.length + others.length)) await slices.pause()
  }
  return remains
}

async function outEpoch(id: string, { packet, keyBytes, notAfter }: OpeningRow, rows: ReadRow[]): Promise<OutEpoch> {
  const delivered = rows.filter(({ row }) => row.fence === 'delivered')
  const kept = rows.filter(({ row }) => row.fence === undefined)
  const fenced = rows.filter(({ row }) => isGivenUp(row))
  const numbers = (list: readonly OutRow[]): number[] => list.map(({ number }) => number)
  const epoch: OutEpoch = {
    id,
    order: 0,
    earlier: earlierIn(packet),
    feed: AuthorFeed.restore(id, { kept: numbers(kept), fenced: numbers(fenced), delivered: numbers(delivered) }),
    key: await importKey(keyBytes),
    keyBytes,
    packet,
    prekey: undefined,
    notAfter,
    entries: new Entries(),
    fences: new Map(),
    messages: new Map(rows.map(({ number, row }) => [number, row])),
    stored: true,
    told: Number.POSITIVE_INFINITY,
    writing: new Underway(),
    recording: new Underway(),
    lost: false,
    unnumbered: 0,
  }
  const entryOf = ({ number, row, bytes }: ReadRow): Entry => ({
    epoch,
    number,
    row,
    bytes,
    retry: row.retry,
    tries: 0,
    awaited: row.awaited === true,
    // Bytes may have left in the earlier run.
    left: true,
    priority: row.priority,
    expiresAt: row.expiresAt,
    order: number,
  })
  for (const row of kept) epoch.entries.add(entryOf(row))
  for (const given of fenced) {
    const { number, row } = given
    if (isOwed(given)) epoch.entries.add({ ...entryOf(given), owed: row.fence as FenceReason })
    else epoch.fences.set(number, row)
  }
  return epoch
}

/** By author. @throws AfpDataStoreError STORE_FAILED when a row is damaged */
export async function loadIncoming(store: Store, next?: NextTask): Promise<Map<string, IncomingRemains>> {
  const remains = new Map<string, { kept: KeptEpoch[]; settled: SettledEpoch[]; arrived: Arrived[] }>()
  for await (const entry of paged(store, 'epochs', ['in'], next)) {
    const { author, epoch, row } = wholeRow('epochs', entry.key, () => readEpoch(entry))
    const mine = remains.get(author) ?? { kept: [], settled: [], arrived: [] }
    remains.set(author, mine)
    if ('floor' in row) mine.settled.push(row)
    else mine.kept.push({ id: epoch, ...row })
  }
  for await (const entry of paged(store, 'inbox', [], next)) {
    const { author, epoch, number, row, message, kind } = wholeRow('inbox', entry.key, () => readArrived(entry))
    const mine = remains.get(author) ?? { kept: [], settled: [], arrived: [] }
    // What owes a letter does so also where nothing else is left of its author.
    if (row.owes !== undefined) remains.set(author, mine)
    mine.arrived.push({ author, epoch, number, message, kind, row, late: false, redelivered: true })
  }
  return remains
}

/** Whether its letter has found no room. */
const isOwed = ({ row, bytes }: ReadRow): boolean => isGivenUp(row) && bytes > 0

const isGivenUp = ({ fence }: OutboxRow): boolean => fence !== undefined && fence !== 'delivered'

function partition<T>(items: readonly T[], is: (item: T) => boolean): [T[], T[]] {
  const { yes = [], no = [] } = Object.groupBy(items, item => (is(item) ? 'yes' : 'no'))
  return [yes, no]
}

async function readAll<T>(
  store: Store,
  table: string,
  prefix: Key,
  next: NextTask | undefined,
  read: (row: Row) => T,
): Promise<T[]> {
  const all: T[] = []
  for await (const row of paged(store, table, prefix, next)) all.push(wholeRow(table, row.key, () => read(row)))
  return all
}

/** Of what waits not the bytes: there is as much of it as the outbox has room for. */
function readHead(stored: Row): ReadRow {
  const read = readOutbox(stored)
  const { row } = read
  const bytes = row.frame.length
  return { ...read, row: row.owes === undefined ? { ...row, frame: NO_BYTES } : row, bytes }
}

function readArrived(row: Row): ReturnType<typeof readInbox> & Pick<Arrived, 'message' | 'kind'> {
  const read = readInbox(row)
  const about = { sender: read.author, security: SEALED, limits: KEPT_LIMITS }
  return { ...read, ...decodeMessage(read.row.message, about) }
}

const by =
  <K extends string>(key: K) =>
  (item: Readonly<Record<K, string>>): string =>
    item[key]
