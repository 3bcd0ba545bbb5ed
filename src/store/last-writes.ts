/**
 * What a transaction is to write, of each row the last word alone: what an earlier batch of the same transaction wrote
 * there, nobody would ever see. Where many messages end in one turn, each of them brings the row of its epoch anew.
 */

import type { Bytes, EncodedWrite } from './batch.ts'

/** A write to one row. */
export type RowWrite<R> = Exclude<EncodedWrite<Bytes, R>, { op: 'deleteRange' }>

/** See the head of this file. */
export class LastWrites<R> {
  readonly #rows = new Map<string, RowWrite<R>>()
  readonly #nameOf: (table: string, key: Bytes) => string

  /** @param nameOf the name of a row as text, different for each */
  constructor(nameOf: (table: string, key: Bytes) => string) {
    this.#nameOf = nameOf
  }

  /** The last word on a row; undefined when there is none. */
  get(table: string, key: Bytes): RowWrite<R> | undefined {
    return this.#rows.size === 0 ? undefined : this.#rows.get(this.#nameOf(table, key))
  }

  set(write: RowWrite<R>): void {
    this.#rows.set(this.#nameOf(write.table, write.key), write)
  }

  /** Takes them all out. */
  take(): RowWrite<R>[] {
    const all = [...this.#rows.values()]
    this.#rows.clear()
    return all
  }
}
