/**
 * The store: named tables of ordered keys and byte values, changed by atomic batches. A transaction is a value (what
 * must hold, what to write), not a callback, so nothing asynchronous can happen inside one: IndexedDB transactions die
 * over any awaited timer, fetch or, in Firefox, WebCrypto.
 */

import type { AbortOptions } from '../common/abort.ts'

/**
 * A part of a key. Parts order as: numbers (by value; -0 is 0, NaN is refused), then strings (by UTF-16 code
 * units, as JavaScript compares them; lone surrogates are refused), then byte arrays.
 */
export type KeyPart = number | string | Uint8Array

/** A key; shorter keys come before those they are a prefix of. See {@link MAX_KEY_BYTES}. */
export type Key = readonly KeyPart[]

/** The most bytes of a key, 9 for a number, two and its UTF-8 for a string, two for byte arrays: a guard against keys made of a stranger's input. */
export const MAX_KEY_BYTES = 4096

/** One change. */
export type Write =
  | { readonly op: 'put'; readonly table: string; readonly key: Key; readonly value: Uint8Array }
  | { readonly op: 'delete'; readonly table: string; readonly key: Key }
  | { readonly op: 'deleteRange'; readonly table: string; readonly range: KeyRange }

/** What has to be true for a batch to be written: the row holds exactly these bytes, or is absent. */
export interface Check {
  readonly table: string
  readonly key: Key
  readonly value: Uint8Array | undefined
}

/** An atomic batch: all of it or nothing. */
export interface Batch {
  readonly checks?: readonly Check[]
  readonly writes: readonly Write[]
}

/** A range of keys; without a bound it is open on that side. `prefix` selects keys that start with these parts. */
export interface KeyRange {
  readonly prefix?: Key
  readonly gt?: Key
  readonly gte?: Key
  readonly lt?: Key
  readonly lte?: Key
}

/** How a range is read. */
export interface RangeOptions extends KeyRange {
  /** Highest key first. */
  readonly reverse?: boolean
  /** At most this many rows; default: all. */
  readonly limit?: number
}

/** A row as it is read. */
export interface Row {
  readonly key: Key
  readonly value: Uint8Array
}

/** How much room there is, and whether it stays. */
export interface StorageState {
  /** Whether it outlives the process, and nothing but its owner deletes it. A browser may, where nobody asked it not to. */
  readonly persistent: boolean
  /** Bytes in use, roughly; in a browser by everything of this origin. Undefined: not known. */
  readonly usage: number | undefined
  /** Bytes that may be in use, roughly. Undefined: not known. */
  readonly quota: number | undefined
}

/**
 * See the head of this file. Keys and values are copied on the way in, before the method returns, and on the way out.
 * Every method rejects with AfpDataStoreError: INVALID_OPTION for a table that is not in the schema, a key that cannot
 * be one or a limit that is no whole number; STORE_FAILED when the platform fails; CLOSED after {@link Store.close} or
 * when the platform has closed the store.
 */
export interface Store {
  /** How a commit survives: `strict`: on the disk when it resolves; `memory`: not at all. */
  readonly durability: 'strict' | 'memory'
  /** The value of a row; undefined when there is none. Sees every commit that has resolved, as all reads do. */
  get(table: string, key: Key): Promise<Uint8Array | undefined>
  /** The rows of a range in the order of their keys, all of one moment. */
  range(table: string, options?: RangeOptions): Promise<Row[]>
  /** How many rows a range has; default: all. */
  count(table: string, range?: KeyRange): Promise<number>
  /**
   * Writes a batch: its checks are made, then its writes in their order. Batches that are committed in one turn of the
   * event loop share one transaction and one sync of the disk, in the order of their commits, and each keeps its own
   * fate. A signal calls a batch off only until its transaction begins.
   *
   * One that rejects, whatever with, has written nothing and will write nothing: it is made again, or whoever sent is told
   * that nothing was kept. A store that cannot know, as one far away whose answer was lost, has to find out before it
   * settles.
   * @throws AfpDataStoreError STORE_CONFLICT when a check does not hold; STORE_FULL when there is no room
   */
  commit(batch: Batch, options?: AbortOptions): Promise<void>
  /** How much room there is. Left out: nobody knows. */
  state?(): Promise<StorageState>
  /** Asks that what is stored may stay, where that has to be asked for; whether it may. A browser may ask the person. */
  persist?(): Promise<boolean>
  /** Finishes what was committed and closes. Idempotent. */
  close(): Promise<void>
}
