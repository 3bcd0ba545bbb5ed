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
  /** What it is refused with. */
  readonly refused: Refused | undefined
  /** When it is written, ms. */
  readonly due: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** A disk that knows by itself what a power cut leaves of what it is writing, and writes in one go what is due at a time. */
export interface Tearable extends Store {
  /** The power goes while it writes these; resolves with how many of them are there all the same. */
  cut(batches: readonly Batch[], random: Random): Promise<number>
}

/** What became of what was under way when the power went. */
export interface Torn {
  readonly underWay: number
  /** How much of it is there, though nobody was told. */
  readonly landed: number
  /** Whether something is there, and something is not that came before it. */
  readonly overtaken: boolean
}

/** What a disk says that refuses something. */
export class Refused extends AfpDataStoreError {}

export class MortalStore implements Store {
  readonly durability = 'strict'
  readonly #disk: Store | Tearable
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
  constructor(disk: Store | Tearable, clock: Clock, random: Random, slowest = 20) {
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
   * where the disk has a cache that it writes in an order of its own, any of them whose checks hold then.
   */
  async tear(random: Random): Promise<Torn> {
    this.#dead = true
    const pending = [...this.#pending].filter(({ refused }) => !refused).map(({ batch }) => batch)
    this.#pending.clear()
    const underWay = pending.length
    const whole = random.float()
    const upTo = Math.floor(random.float() * (underWay + 1))
    if ('cut' in this.#disk) {
      // What it was writing is the first of it; the rest was in the memory of the process.
      const landed = await this.#disk.cut(pending.slice(0, upTo), random)
      return { underWay, landed, overtaken: false }
    }
    let landed = 0
    let overtaken = false
    for (const [index, batch] of pending.entries()) {
      const lands = whole < 0.4 ? false : whole < 0.75 ? index < upTo : random.float() < 0.5
      const isThere = lands && (await isWritten(this.#disk.commit(batch)))
      if (!isThere) continue
      overtaken ||= landed < index
      landed++
    }
    return { underWay, landed, overtaken }
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
    const due = this.#free
    return new Promise((resolve, reject) => {
      const pending = { batch: copy, refused: refused?.error, due, resolve, reject }
      this.#pending.add(pending)
      this.#clock.after(due - now, () => this.#upTo(pending))
    })
  }

  /** Ends what is due, and what was given before it: two that are due at once may be apart by how their time is rounded. */
  #upTo(last: Pending): void {
    // It may have gone with one before it.
    if (this.#dead || !this.#pending.has(last)) return
    for (const one of [...this.#pending]) {
      if (!this.#pending.has(one)) continue
      if (one.refused === undefined) this.#write(one)
      else {
        this.#pending.delete(one)
        one.reject(one.refused)
      }
      if (one === last) return
    }
  }

  /** Writes something, and in the same go, where the disk writes so, what else is due soon. */
  #write(first: Pending): void {
    const soon = this.#clock.monotonic() + this.#slowest
    const group =
      'cut' in this.#disk ? [...this.#pending].filter(({ refused, due }) => !refused && due <= soon) : [first]
    for (const one of group) {
      this.#pending.delete(one)
      this.#disk.commit(one.batch).then(
        () => !this.#dead && one.resolve(),
        error => !this.#dead && one.reject(error),
      )
    }
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

const isWritten = (work: Promise<void>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  )
