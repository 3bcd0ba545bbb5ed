/** A store that an application gave: an agent's until it has closed, and after that perhaps another's. */

import type { AbortOptions } from '../common/abort.ts'
import { closedError } from './batch.ts'
import type { Batch, Key, KeyRange, RangeOptions, Row, StorageState, Store } from './store.ts'

/** See the head of this file. Once it is given back each method rejects with CLOSED, whoever still calls it. */
export class LentStore implements Store {
  readonly durability: Store['durability']
  readonly state?: () => Promise<StorageState>
  readonly persist?: () => Promise<boolean>
  readonly #store: Store
  readonly #onGivenBack: () => void
  #givenBack = false

  constructor(store: Store, onGivenBack: () => void) {
    this.#store = store
    this.#onGivenBack = onGivenBack
    this.durability = store.durability
    const { state, persist } = store
    if (state !== undefined) this.state = async () => state.call(this.#open())
    if (persist !== undefined) this.persist = async () => persist.call(this.#open())
  }

  async get(table: string, key: Key): Promise<Uint8Array | undefined> {
    return this.#open().get(table, key)
  }

  async range(table: string, options?: RangeOptions): Promise<Row[]> {
    return this.#open().range(table, options)
  }

  async count(table: string, range?: KeyRange): Promise<number> {
    return this.#open().count(table, range)
  }

  commit(batch: Batch, options?: AbortOptions): Promise<void> {
    return this.#givenBack ? Promise.reject(closedError()) : this.#store.commit(batch, options)
  }

  /** Gives it back: it goes on being open for whoever has it next. */
  async close(): Promise<void> {
    if (this.#givenBack) return
    this.#givenBack = true
    this.#onGivenBack()
  }

  #open(): Store {
    if (this.#givenBack) throw closedError()
    return this.#store
  }
}
