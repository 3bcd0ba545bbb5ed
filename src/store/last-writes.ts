/**
 * What is written to rows, of each row the last word alone: what an earlier batch of the same transaction wrote there,
 * nobody would ever see. Where many messages end in one turn, each of them brings the row of its epoch anew.
 */

import type { Bytes } from './batch.ts'

/** A write to one row. */
export class RowWrite {
  /** Whether another has come in its place. */
  superseded = false
  readonly table: string
  /** The row's encoded key as text, each byte a character: names order as the bytes do. */
  readonly name: string
  /** Undefined: the row is deleted. */
  readonly value: Bytes | undefined

  constructor(table: string, name: string, value: Bytes | undefined) {
    this.table = table
    this.name = name
    this.value = value
  }
}

/** See the head of this file. */
export class LastWrites {
  readonly #tables = new Map<string, Map<string, RowWrite>>()

  /** The last word on a row; undefined when there is none. */
  get(table: string, name: string): RowWrite | undefined {
    return this.#tables.get(table)?.get(name)
  }

  /** A write is the last word on its row from now on. */
  set(write: RowWrite): void {
    let rows = this.#tables.get(write.table)
    if (rows === undefined) {
      rows = new Map()
      this.#tables.set(write.table, rows)
    }
    const before = rows.get(write.name)
    if (before !== undefined) before.superseded = true
    rows.set(write.name, write)
  }

  /** Takes a write out, unless another has come in its place. */
  drop(write: RowWrite): void {
    if (!write.superseded) this.#tables.get(write.table)?.delete(write.name)
  }

  /** The last words on rows of a table. */
  of(table: string): Iterable<RowWrite> {
    return this.#tables.get(table)?.values() ?? []
  }

  /** Takes them all out. */
  take(): RowWrite[] {
    const all: RowWrite[] = []
    for (const rows of this.#tables.values()) for (const write of rows.values()) all.push(write)
    this.#tables.clear()
    return all
  }
}
