/** A store in memory: for agents that need not survive, for tests and for simulations. */

import type { AbortOptions } from '../common/abort.ts'
import { COUNT, checkOptions } from '../common/check-options.ts'
import { AfpDataStoreError } from '../common/errors.ts'
import {
  type BatchCodec,
  type Bytes,
  closedError,
  conflictError,
  copy,
  type EncodedWrite,
  encodeBatch,
  holds,
  knownLimit,
  knownTable,
} from './batch.ts'
import { decodeKey, encodeRange, withKey } from './key.ts'
import { TABLES } from './schema.ts'
import type { Batch, Key, KeyRange, RangeOptions, Row, Store } from './store.ts'

/** Options of {@link memoryStore}. */
export interface MemoryStoreOptions {
  /** The most that keys and values may take together, in bytes; beyond it commits fail with STORE_FULL. Default: no limit. */
  readonly maxBytes?: number | undefined
}

interface Entry {
  /** Its encoded key as text, each byte a character: names order as the bytes do, and cost a third of them. */
  readonly name: string
  readonly value: Bytes
}

/** A range of names. */
interface NameRange {
  readonly from: string
  readonly to: string
}

/** Not spread: that would go through an iterator, which takes several times as long. */
const nameOfBytes = (bytes: Uint8Array): string => String.fromCharCode.apply(undefined, bytes as unknown as number[])
const nameOf = (key: Key): string => withKey(key, (bytes, length) => nameOfBytes(bytes.subarray(0, length)))
const bytesOf = (name: string): Uint8Array => Uint8Array.from(name, character => character.charCodeAt(0))

function rangeOf(range?: KeyRange): NameRange {
  const { from, to } = encodeRange(range)
  return { from: nameOfBytes(from), to: nameOfBytes(to) }
}

const CODEC: BatchCodec<string, NameRange> = { key: nameOf, range: rangeOf, value: copy }

/** Sorted by key. An array: most keys arrive in order and are appended, and moving the rest is one `memmove`. */
type Table = Entry[]

/**
 * Opens an empty store that lives as long as the object does. Commits take effect at the call, so a simulation with a
 * driven clock stays deterministic.
 *
 * @throws AfpError INVALID_OPTION
 */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  checkOptions('memoryStore()', options, { maxBytes: COUNT })
  return new MemoryStore(options.maxBytes ?? Number.POSITIVE_INFINITY)
}

class MemoryStore implements Store {
  readonly durability = 'memory'
  readonly #maxBytes: number
  readonly #tables = new Map<string, Table>(TABLES.map(name => [name, []]))
  #bytes = 0
  #closed = false

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  async get(table: string, key: Key): Promise<Uint8Array | undefined> {
    const value = find(this.#table(table), nameOf(key))?.value
    return value && copy(value)
  }

  async range(table: string, options: RangeOptions = {}): Promise<Row[]> {
    const rows = this.#table(table)
    const limit = knownLimit(options) ?? rows.length
    const [start, end] = bounds(rows, rangeOf(options))
    const found = options.reverse
      ? rows.slice(Math.max(start, end - limit), end).reverse()
      : rows.slice(start, Math.min(end, start + limit))
    return found.map(({ name, value }) => ({ key: decodeKey(bytesOf(name)), value: copy(value) }))
  }

  async count(table: string, range?: KeyRange): Promise<number> {
    const [start, end] = bounds(this.#table(table), rangeOf(range))
    return end - start
  }

  async commit(batch: Batch, options: AbortOptions = {}): Promise<void> {
    if (this.#closed) throw closedError()
    options.signal?.throwIfAborted()
    const { checks, writes } = encodeBatch(batch, CODEC)
    for (const { table, key, value } of checks) {
      const held = find(this.#table(table), key)?.value
      if (!holds(held, value)) throw conflictError(table)
    }
    const before = this.#bytes
    const undo: (() => void)[] = []
    for (const write of writes) undo.push(this.#apply(write))
    // Only growth is refused, so that a full store can still be emptied.
    if (this.#bytes <= this.#maxBytes || this.#bytes <= before) return
    for (const revert of undo.reverse()) revert()
    throw new AfpDataStoreError('STORE_FULL', `the store in memory has no room beyond ${this.#maxBytes} bytes`)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#tables.clear()
  }

  /** Makes a change; the function that is returned takes it back. */
  #apply(write: EncodedWrite<string, NameRange>): () => void {
    const rows = this.#table(write.table)
    const range = write.op === 'deleteRange' ? write.range : { from: write.key, to: write.key }
    const start = lowerBound(rows, range.from)
    const end = write.op === 'deleteRange' ? bounds(rows, range)[1] : start + (isAt(rows, start, range.from) ? 1 : 0)
    const added = write.op === 'put' ? [{ name: write.key, value: write.value }] : []
    const removed = rows.splice(start, end - start, ...added)
    const growth = size(added) - size(removed)
    this.#bytes += growth
    return () => {
      // One by one: a spread of very many rows would exceed the engine's limit of arguments.
      const tail = rows.splice(start).slice(added.length)
      for (const entry of removed) rows.push(entry)
      for (const entry of tail) rows.push(entry)
      this.#bytes -= growth
    }
  }

  #table(name: string): Table {
    if (this.#closed) throw closedError()
    return this.#tables.get(knownTable(name)) as Table
  }
}

const size = (entries: readonly Entry[]): number =>
  entries.reduce((sum, { name, value }) => sum + name.length + value.length, 0)

/** The index of the first row that is not below `key`. */
function lowerBound(rows: Table, name: string): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((rows[middle] as Entry).name < name) low = middle + 1
    else high = middle
  }
  return low
}

const isAt = (rows: Table, index: number, name: string): boolean => rows[index]?.name === name

function find(rows: Table, name: string): Entry | undefined {
  const index = lowerBound(rows, name)
  return isAt(rows, index, name) ? rows[index] : undefined
}

/** The indexes from which and up to which, exclusive, rows lie in a range. */
function bounds(rows: Table, { from, to }: NameRange): [number, number] {
  const start = lowerBound(rows, from)
  return [start, Math.max(start, lowerBound(rows, to))]
}
