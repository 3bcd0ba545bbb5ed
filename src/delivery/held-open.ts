/**
 * Keeps which circuit breakers are forced open, over restarts: somebody meant it, and what is held back must not leave by
 * itself. What failures have opened is not kept: it is tried anew.
 */

import { AfpDataStoreError } from '../common/errors.ts'
import { encode } from '../message/codec.ts'
import type { Store } from '../store/store.ts'
import type { CircuitBreakers } from './breakers.ts'
import { type NextTryParts, nextTry } from './next-try.ts'

/** How many are kept. */
const MAX_HELD = 1_024
/** Their rows in `meta`: [this, name]. */
const ROW = 'held-open'
const HELD = encode(true)

/** What keeping them needs. */
export interface HeldOpenParts extends NextTryParts {
  readonly breakers: CircuitBreakers
  readonly store: Store
}

/** See the head of this file. */
export class HeldOpen {
  readonly #parts: HeldOpenParts
  /** Those that are to have a row. */
  readonly #names = new Set<string>()
  /** Those of which the disk may say something else. */
  readonly #changed = new Set<string>()
  #saving: Promise<void> = Promise.resolve()
  #pausing = false
  readonly #detach = new AbortController()

  private constructor(parts: HeldOpenParts) {
    this.#parts = parts
  }

  /** Opens those of earlier runs. */
  static async open(parts: HeldOpenParts): Promise<HeldOpen> {
    const { breakers, store } = parts
    const held = new HeldOpen(parts)
    for (const { key } of await store.range('meta', { prefix: [ROW] })) {
      const name = key[1]
      // A key that is damaged names none.
      if (typeof name !== 'string') continue
      held.#names.add(name)
      breakers.restore(name)
    }
    const { signal } = held.#detach
    breakers.addEventListener('change', ({ detail }) => held.#note(detail.name, detail.forced), { signal })
    return held
  }

  /** What changes from now on is not kept; resolves when the rest is written, or cannot be. */
  close(): Promise<void> {
    this.#detach.abort()
    return this.#save()
  }

  #note(name: string, forced: boolean): void {
    const names = this.#names
    if (forced === names.has(name)) return
    if (forced && names.size >= MAX_HELD) {
      const why = `${MAX_HELD} circuit breakers are forced open: this one is until the end of this run`
      return this.#parts.onError(new AfpDataStoreError('STORE_FULL', why, { reference: name }))
    }
    if (forced) names.add(name)
    else names.delete(name)
    this.#changed.add(name)
    void this.#save()
  }

  /** What could not be written is tried again, also with the next change, and at the end. */
  #save(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      const changed = [...this.#changed]
      this.#changed.clear()
      await Promise.all(changed.map(name => this.#write(name)))
    })
    return this.#saving
  }

  async #write(name: string): Promise<void> {
    const { store } = this.#parts
    const row = { table: 'meta', key: [ROW, name] } as const
    const write = this.#names.has(name)
      ? ({ ...row, op: 'put', value: HELD } as const)
      : ({ ...row, op: 'delete' } as const)
    try {
      await store.commit({ writes: [write] })
    } catch (error) {
      this.#changed.add(name)
      void this.#tryAgain(error)
    }
  }

  /** After one pause for all that failed before it ended. */
  async #tryAgain(error: unknown): Promise<void> {
    if (this.#pausing || this.#detach.signal.aborted) return this.#parts.onError(error)
    this.#pausing = true
    await nextTry(this.#parts, error, this.#detach.signal)
    this.#pausing = false
    if (!this.#detach.signal.aborted) await this.#save()
  }
}
