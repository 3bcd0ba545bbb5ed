/** What an earlier run left in the store, as this run takes it up. */

import { AuthorFeed } from '../feed/index.ts'
import { decodeMessage } from '../message/envelope.ts'
import type { Limits } from '../message/validate.ts'
import { importKey } from '../security/aead.ts'
import type { Key, Store } from '../store/store.ts'
import { type Arrived, SEALED } from './arrived.ts'
import type { KeptEpoch } from './in-epoch.ts'
import type { Entry, OutEpoch } from './out-epoch.ts'
import type { Draft } from './outgoing-parts.ts'
import {
  type OpeningRow,
  type OutboxRow,
  readEpoch,
  readInbox,
  readOpeningRow,
  readOutbox,
  type Settled,
} from './rows.ts'

/** What is left towards one recipient. */
export interface OutgoingRemains {
  readonly epochs: readonly OutEpoch[]
  /** Messages without an epoch: there was no key for them. */
  readonly waiting: readonly { readonly key: Key; readonly draft: Draft }[]
}

/** What is left of one author. */
export interface IncomingRemains {
  readonly kept: readonly KeptEpoch[]
  readonly settled: readonly Settled[]
  readonly arrived: readonly Arrived[]
}

interface OutRow {
  readonly epoch: string
  readonly number: number
  readonly row: OutboxRow
}

/** By recipient. @throws AfpDataStoreError STORE_FAILED when a row is damaged */
export async function loadOutgoing(store: Store): Promise<Map<string, OutgoingRemains>> {
  const openings = Map.groupBy((await readAll(store, 'epochs', ['out'])).map(readOpeningRow), by('recipient'))
  const rows = Map.groupBy((await readAll(store, 'outbox')).map(readOutbox), by('recipient'))
  const remains = new Map<string, OutgoingRemains>()
  for (const recipient of new Set([...openings.keys(), ...rows.keys()])) {
    const byEpoch = Map.groupBy(rows.get(recipient) ?? [], by('epoch'))
    const mine = openings.get(recipient) ?? []
    const epochs = await Promise.all(mine.map(({ epoch, row }) => outEpoch(epoch, row, byEpoch.get(epoch) ?? [])))
    const waiting = (byEpoch.get('') ?? []).map(({ number, row }) => ({
      key: [recipient, '', number] as Key,
      draft: { ...row, payload: row.frame },
    }))
    remains.set(recipient, { epochs, waiting })
  }
  return remains
}

async function outEpoch(id: string, { packet, keyBytes, notAfter }: OpeningRow, rows: OutRow[]): Promise<OutEpoch> {
  const delivered = rows.filter(({ row }) => row.fence === 'delivered')
  const kept = rows.filter(({ row }) => row.fence === undefined)
  const fenced = rows.filter(({ row }) => row.fence !== undefined && row.fence !== 'delivered')
  const numbers = (list: readonly OutRow[]): number[] => list.map(({ number }) => number)
  const epoch: OutEpoch = {
    id,
    feed: AuthorFeed.restore(id, { kept: numbers(kept), fenced: numbers(fenced), delivered: numbers(delivered) }),
    key: await importKey(keyBytes),
    keyBytes,
    packet,
    prekey: undefined,
    notAfter,
    entries: new Map(),
    fences: new Map(),
    messages: new Map(rows.map(({ number, row }) => [number, row.messageId])),
    stored: true,
    unnumbered: 0,
  }
  const entryOf = ({ number, row }: OutRow): Entry => ({
    epoch,
    number,
    row,
    bytes: row.frame.length,
    retry: row.retry,
    // Bytes may have left in the earlier run.
    left: true,
    priority: row.priority,
    expiresAt: row.expiresAt,
    order: number,
  })
  for (const row of kept) epoch.entries.set(row.number, entryOf(row))
  for (const row of fenced) epoch.fences.set(row.number, entryOf(row))
  return epoch
}

/** By author. @throws AfpDataStoreError STORE_FAILED when a row is damaged */
export async function loadIncoming(store: Store, limits: Limits): Promise<Map<string, IncomingRemains>> {
  const epochs = Map.groupBy((await readAll(store, 'epochs', ['in'])).map(readEpoch), by('author'))
  const rows = Map.groupBy((await readAll(store, 'inbox')).map(readInbox), by('author'))
  const remains = new Map<string, IncomingRemains>()
  for (const [author, mine] of epochs) {
    const kept: KeptEpoch[] = []
    const settled: Settled[] = []
    for (const { epoch, row } of mine) {
      if ('floor' in row) settled.push(row)
      else kept.push({ id: epoch, ...row })
    }
    const arrived = (rows.get(author) ?? []).map(({ epoch, number, row }): Arrived => {
      const { message, kind } = decodeMessage(row.message, { sender: author, security: SEALED, limits })
      return { author, epoch, number, message, kind, row, late: false, redelivered: true }
    })
    remains.set(author, { kept, settled, arrived })
  }
  return remains
}

const readAll = (store: Store, table: string, prefix: Key = []): ReturnType<Store['range']> =>
  store.range(table, { prefix })

const by =
  <K extends string>(key: K) =>
  (item: Readonly<Record<K, string>>): string =>
    item[key]
