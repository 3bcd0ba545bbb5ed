/** Gathers the batches of one turn of the event loop, so that they share a transaction and one sync of the disk. */

import { type BatchCodec, closedError, type EncodedBatch, encodeBatch } from './batch.ts'
import type { Batch } from './store.ts'

/** A batch under way. Exactly one of its functions is called once its fate is known. */
export interface Pending<K, R> {
  readonly batch: EncodedBatch<K, R>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * The waiting room before a store's transactions. What arrives while a group is being written forms the next one, so
 * the groups grow with the load and the wait stays at most two syncs.
 */
export class GroupCommit<K, R> {
  readonly #codec: BatchCodec<K, R>
  readonly #write: (group: readonly Pending<K, R>[]) => void | Promise<void>
  readonly #nextTurn: (run: () => void) => void
  #waiting: (Pending<K, R> & { readonly signal: AbortSignal | undefined })[] = []
  #running: Promise<void> | undefined
  #closed = false

  /**
   * @param codec - how the store takes what is in batches
   * @param write - writes a group and settles each of its batches; must not throw
   * @param nextTurn - calls back after the current turn of the event loop
   */
  constructor(
    codec: BatchCodec<K, R>,
    write: (group: readonly Pending<K, R>[]) => void | Promise<void>,
    nextTurn: (run: () => void) => void,
  ) {
    this.#codec = codec
    this.#write = write
    this.#nextTurn = nextTurn
  }

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#closed
  }

  /** Takes a batch in; it resolves or rejects with the fate of that batch alone. */
  async add(batch: Batch, signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed) throw closedError()
    signal?.throwIfAborted()
    const encoded = encodeBatch(batch, this.#codec)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ batch: encoded, resolve, reject, signal })
    this.#running ??= this.#run()
    return promise
  }

  /** Takes nothing more in and resolves when all that was is settled. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await new Promise<void>(resolve => this.#nextTurn(resolve))
      const group = this.#waiting.splice(0).filter(({ signal, reject }) => {
        // Before its transaction a batch can still be called off; from here on it is written or refused.
        if (signal?.aborted) reject(signal.reason)
        return !signal?.aborted
      })
      if (group.length > 0) await this.#write(group)
    }
    this.#running = undefined
  }
}
