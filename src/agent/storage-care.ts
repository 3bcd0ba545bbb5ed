/** Looks after the room for what is kept: asks that it may stay, and tells before it runs out. */

import { type Clock, repeat, type Timer } from '../common/clock.ts'
import type { KeptValues } from '../delivery/transaction.ts'
import type { StorageState, Store } from '../store/store.ts'

/** How often it is looked how much room there is, ms. */
const LOOK = 60_000
/** The part of the quota above which it is told that there is little room, and the one below which it is over. */
const LOW = 0.9
const ENOUGH = 0.85

/** What an agent keeps for its application, how much room there is, and how long it may stay. */
export interface AgentStorage extends KeptValues {
  /** How much room there is, and whether what is stored stays. */
  state(): Promise<StorageState>
  /**
   * Asks the browser that it deletes nothing of this origin by itself; whether it agreed. Chromium decides by itself,
   * Firefox asks the person: best within a click. True where nobody deletes anything.
   */
  persist(): Promise<boolean>
}

/** What looking after the store needs. */
export interface StorageCareParts {
  readonly store: Store
  readonly clock: Clock
  readonly onLow: (state: { readonly usage: number; readonly quota: number }) => void
}

/** See the head of this file. */
export class StorageCare implements Omit<AgentStorage, keyof KeptValues> {
  readonly #parts: StorageCareParts
  #timer: Timer | undefined
  #low = false

  constructor(parts: StorageCareParts) {
    this.#parts = parts
  }

  /** @param persist whether to ask that everything may stay */
  start(persist: boolean): void {
    const { store, clock } = this.#parts
    // Nothing waits for the answer: a person may take their time.
    if (persist) this.persist().catch(() => {})
    if (store.state === undefined) return
    this.#timer = repeat(
      clock,
      () => LOOK,
      () => void this.look(),
    )
    void this.look()
  }

  async state(): Promise<StorageState> {
    const { store } = this.#parts
    const unknown = { persistent: store.durability === 'strict', usage: undefined, quota: undefined }
    return (await store.state?.()) ?? unknown
  }

  async persist(): Promise<boolean> {
    const { store } = this.#parts
    return (await store.persist?.()) ?? store.durability === 'strict'
  }

  /** Tells once when there is little room. */
  async look(): Promise<void> {
    // Where nobody can tell, the next commit does.
    const { usage, quota } = await this.state().catch(() => ({ usage: undefined, quota: undefined }))
    if (usage === undefined || quota === undefined) return
    const part = usage / quota
    const low = part >= (this.#low ? ENOUGH : LOW)
    if (low && !this.#low) this.#parts.onLow({ usage, quota })
    this.#low = low
  }

  close(): void {
    this.#timer?.cancel()
  }
}
