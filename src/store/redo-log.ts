/**
 * The redo log of a SQLite store: what was committed and is not in the tables yet. A group of batches is one row of the
 * log, or a few, and not one of a table for each write; most of what is on its way is overwritten or deleted again
 * before it would have to go there. Here is what a row says and what is to be done yet; `sqlite-store.ts` does it.
 *
 * A row is 0x01, how many writes it has (32 bits), and each write: the table's place in the schema (from the lowest bit
 * but one on) and whether there is a value (the lowest bit), the length of the key and the key, and the length of the
 * value and the value. Lengths are LEB128.
 */

import { AfpDataStoreError } from '../common/errors.ts'
import { LastWrites, RowWrite } from './last-writes.ts'
import { TABLES } from './schema.ts'

/** How many bytes of the log are one row: what is done of it at a time, which has to find room on a full disk. */
const ROW_BYTES = 64 * 1024
const HEAD = 5
const FORMAT = 1

/** What a write takes beyond key and value, at most. */
const WRITE_BYTES = 11

/** The most that a write takes in the log. */
export const sizeOf = ({ name, value }: Pick<RowWrite, 'name' | 'value'>): number =>
  name.length + (value?.length ?? 0) + WRITE_BYTES

/** A row of the log with what it says. */
export interface RedoRow {
  readonly seq: number
  readonly bytes: number
  readonly writes: readonly RowWrite[]
}

const places: ReadonlyMap<string, number> = new Map(TABLES.map((table, at) => [table, at]))

/** Where rows are encoded: to get so much memory takes longer than a small commit. */
const shared = Buffer.allocUnsafeSlow(ROW_BYTES)

/** Encodes writes as rows of the log, the first of which is number `seq`, and hands each over; its bytes are good only then. */
export function encodeRows(
  writes: readonly RowWrite[],
  seq: number,
  use: (seq: number, bytes: Uint8Array) => void,
): RedoRow[] {
  const rows: RedoRow[] = []
  for (let from = 0; from < writes.length; ) {
    let place = shared
    let at = HEAD
    let to = from
    for (; to < writes.length; to++) {
      const write = writes[to] as RowWrite
      const end = at + sizeOf(write)
      if (to > from && end > ROW_BYTES) break
      // The first write of a row may be larger than a row should be.
      if (end > place.length) place = Buffer.allocUnsafeSlow(end)
      at = encodeWrite(write, place, at)
    }
    place[0] = FORMAT
    place.writeUInt32BE(to - from, 1)
    use(seq, place.subarray(0, at))
    rows.push({ seq: seq++, bytes: at, writes: writes.slice(from, to) })
    from = to
  }
  return rows
}

function encodeWrite({ table, name, value }: RowWrite, place: Buffer, at: number): number {
  place[at++] = ((places.get(table) as number) << 1) | (value === undefined ? 0 : 1)
  at = encodeLength(name.length, place, at)
  at += place.write(name, at, 'latin1')
  if (value === undefined) return at
  at = encodeLength(value.length, place, at)
  place.set(value, at)
  return at + value.length
}

function encodeLength(length: number, place: Buffer, at: number): number {
  for (; length >= 0x80; length = Math.floor(length / 0x80)) place[at++] = (length % 0x80) | 0x80
  place[at++] = length
  return at
}

/** What a row of the log says. @throws AfpDataStoreError STORE_FAILED, which names the row, when it is damaged */
export function decodeRow(seq: number, bytes: Uint8Array, path: string): RedoRow {
  const row = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = HEAD
  const damaged = (): AfpDataStoreError => damagedRow(seq, path)
  const length = (): number => {
    let value = 0
    for (let unit = 1; unit <= 0x80 ** 4; unit *= 0x80) {
      const byte = row[at++]
      if (byte === undefined) throw damaged()
      value += (byte & 0x7f) * unit
      if (byte < 0x80) return value
    }
    throw damaged()
  }
  const take = (): Buffer => {
    const size = length()
    at += size
    if (at > row.length) throw damaged()
    return row.subarray(at - size, at)
  }
  if (row.length < HEAD || row[0] !== FORMAT) throw damaged()
  const writes: RowWrite[] = []
  for (let left = row.readUInt32BE(1); left > 0; left--) {
    const head = row[at++]
    const table = TABLES[(head ?? 0xff) >> 1]
    if (head === undefined || table === undefined) throw damaged()
    const name = take().toString('latin1')
    writes.push(new RowWrite(table, name, (head & 1) === 0 ? undefined : new Uint8Array(take())))
  }
  if (at !== row.length || writes.length === 0) throw damaged()
  return { seq, bytes: row.length, writes }
}

export const damagedRow = (seq: number, path: string): AfpDataStoreError => {
  const why = `row ${seq} of the redo log of ${path} is damaged; it was left as it is`
  return new AfpDataStoreError('STORE_FAILED', why, { reference: `${path}/redo/${seq}` })
}

/** What the log holds: its rows in their order, and the last word on each row of a table that is among them. */
export class RedoLog {
  readonly #last = new LastWrites()
  #rows: RedoRow[] = []
  #bytes = 0
  #writes = 0
  /** The number of the next row. They are counted from 1 whenever the log is empty. */
  #next = 1

  /** Its bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** How many writes are in its rows. */
  get writes(): number {
    return this.#writes
  }

  /** Its rows, the oldest first. */
  get rows(): readonly RedoRow[] {
    return this.#rows
  }

  /** How many of its bytes say what others in it have superseded. */
  get superseded(): number {
    let bytes = 0
    for (const { writes } of this.#rows) for (const write of writes) if (write.superseded) bytes += sizeOf(write)
    return bytes
  }

  get nextSeq(): number {
    return this.#next
  }

  /** The last word on a row of a table; undefined when the log says nothing of it. */
  get(table: string, name: string): RowWrite | undefined {
    return this.#last.get(table, name)
  }

  /** The last words on rows of a table whose names are in `from <= name < to`, in their order. */
  range(table: string, from: string, to: string): RowWrite[] {
    const found: RowWrite[] = []
    for (const write of this.#last.of(table)) if (write.name >= from && write.name < to) found.push(write)
    return found.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** A row is in the log now. */
  add(row: RedoRow): void {
    for (const write of row.writes) this.#last.set(write)
    this.#rows.push(row)
    this.#bytes += row.bytes
    this.#writes += row.writes.length
    this.#next = row.seq + 1
  }

  /** The oldest rows are no longer in the log. */
  drop(count: number): void {
    for (const row of this.#rows.splice(0, count)) {
      for (const write of row.writes) this.#last.drop(write)
      this.#bytes -= row.bytes
      this.#writes -= row.writes.length
    }
    if (this.#rows.length === 0) this.#next = 1
  }
}
