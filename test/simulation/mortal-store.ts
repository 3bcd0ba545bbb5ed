/**
 * A disk of a machine that may lose power: what was not yet written when it did is lost, and nobody hears of it. It may
 * also refuse what it is given, of which nothing is written then.
 */

import type { Clock } from '../../src/common/clock.ts'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import type { Random } from '../../src/common/random.ts'
import type { Batch, Store } from '../../src/store/store.ts'

/** How many of its commits take long, and how long these do at least and at most, ms: a disk that others use as well. */
const SLOW = 0.01
const SLOW_LEAST = 200
const SLOW_MOST = 1_000

/** Some of what a disk is given is refused. */
export interface Refusals {
  /** How much of it, 0 to 1. */
  readonly part: number
  readonly random: Random
  /** Which of it may be refused. Default: all. */
  readonly of?: (batch: Batch) => boolean
  /** How often that was so. */
  count: number
}

/** What was given and is not written yet. */
interface Pending {
  readonly batch: Batch
  readonly refused: boolean
}

/** What a disk says that refuses something. */
export class Refused extends AfpDataStoreError {}

export class MortalStore implements Store {
  readonly durability = 'strict'
  readonly #disk: Store
  readonly #clock: Clock
  readonly #random: Random
  readonly #slowest: number
  #free = 0
  #dead = false
  #left = Number.POSITIVE_INFINITY
  #died: () => void = () => {}
  #refusals: Refusals | undefined
  /** In the order in which it was given. */
  readonly #pending = new Set<Pending>()

  /** @param slowest how long a commit takes at most, but for those now and then that take long, ms */
  constructor(disk: Store, clock: Clock, random: Random, slowest = 20) {
    this.#disk = disk
    this.#clock = clock
    this.#random = random
    this.#slowest = slowest
  }

  /** Whether the power is gone. */
  get dead(): boolean {
    return this.#dead
  }

  /** The power is gone. */
  die(): void {
    this.#dead = true
  }

  /**
   * The power is gone, and of what was under way some is there all the same, and nobody was told: all up to one of them, or,
   * where the disk has a cache that it writes in an order of its own, any of them whose checks hold then. How many.
   */
  async tear(random: Random): Promise<number> {
    this.#dead = true
    const pending = [...this.#pending].filter(({ refused }) => !refused)
    this.#pending.clear()
    const whole = random.float()
    const upTo = Math.floor(random.float() * (pending.length + 1))
    let landed = 0
    for (const [index, { batch }] of pending.entries()) {
      const lands = whole < 0.4 ? false : whole < 0.75 ? index < upTo : random.float() < 0.5
      if (!lands) continue
      landed += await this.#disk.commit(batch).then(
        () => 1,
        () => 0,
      )
    }
    return landed
  }

  /** The power goes with the one after so many reads and commits: in the middle of what somebody does. */
  dieAfter(uses: number, died: () => void = () => {}): void {
    this.#left = uses
    this.#died = died
  }

  /** From here on it refuses some of what it is given; undefined: nothing. */
  refuse(refusals: Refusals | undefined): void {
    this.#refusals = refusals
  }

  /** What it is given from here on takes as many ms longer: nothing is written for a while, and then all of it. */
  stall(ms: number): void {
    this.#free = Math.max(this.#free, this.#clock.monotonic()) + ms
  }

  get(...args: Parameters<Store['get']>): ReturnType<Store['get']> {
    this.#use()
    return this.#alive(this.#disk.get(...args))
  }

  range(...args: Parameters<Store['range']>): ReturnType<Store['range']> {
    this.#use()
    return this.#alive(this.#disk.range(...args))
  }

  count(...args: Parameters<Store['count']>): ReturnType<Store['count']> {
    this.#use()
    return this.#alive(this.#disk.count(...args))
  }

  commit(batch: Parameters<Store['commit']>[0]): Promise<void> {
    this.#use()
    const now = this.#clock.monotonic()
    // Commits take effect in their order.
    const refused = this.#refused(batch)
    this.#free = Math.max(this.#free, now + this.#takes() + (refused?.after ?? 0))
    // Copied at the call, as stores do.
    const copy = {
      checks: (batch.checks ?? []).map(check => ({ ...check, value: check.value?.slice() })),
      writes: batch.writes.map(write => (write.op === 'put' ? { ...write, value: write.value.slice() } : write)),
    }
    const pending = { batch: copy, refused: refused !== undefined }
    this.#pending.add(pending)
    return new Promise((resolve, reject) => {
      this.#clock.after(this.#free - now, () => {
        if (this.#dead) return
        this.#pending.delete(pending)
        if (refused !== undefined) return reject(refused.error)
        this.#disk.commit(copy).then(
          () => !this.#dead && resolve(),
          error => !this.#dead && reject(error),
        )
      })
    })
  }

  async close(): Promise<void> {}

  /** What it is refused with, and how many ms later than it would have been written: a disk that fails takes its time. */
  #refused(batch: Batch): { readonly error: Refused; readonly after: number } | undefined {
    const refusals = this.#refusals
    if (refusals === undefined || refusals.of?.(batch) === false || refusals.random.float() >= refusals.part)
      return undefined
    refusals.count++
    const after = refusals.random.float() * SLOW_LEAST
    const full = refusals.random.float() < 0.5
    const error = full
      ? new Refused('STORE_FULL', 'there is no room just now')
      : new Refused('STORE_FAILED', 'the disk fails just now')
    return { error, after }
  }

  #use(): void {
    if (this.#dead || this.#left-- > 0) return
    this.#dead = true
    // Not from inside of whoever uses it.
    this.#clock.after(0, this.#died)
  }

  #takes(): number {
    const part = this.#random.float()
    if (part >= SLOW) return part * this.#slowest
    return SLOW_LEAST + (part / SLOW) * (SLOW_MOST - SLOW_LEAST)
  }

  #alive<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      work.then(
        value => !this.#dead && resolve(value),
        error => !this.#dead && reject(error),
      )
    })
  }
}
