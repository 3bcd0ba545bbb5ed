/**
 * How benchmarks send: as many messages under way as a window has room for, the same for everybody who is compared. Runs
 * in tabs as well.
 */

import { systemClock } from '../../src/common/clock.ts'

/** Messages that are under way, and room for more of them. */
export class SendWindow {
  #size = 0
  #underWay = 0
  #failed: { readonly error: unknown } | undefined
  #wanted = 0
  #waiting: PromiseWithResolvers<void> | undefined

  /** Begins anew with room for so many. */
  reset(size: number): void {
    this.#size = size
    this.#underWay = 0
  }

  take(count: number): void {
    this.#underWay += count
  }

  /** So many have arrived, or are acknowledged. Late word of what was before the last {@link reset} frees nothing. */
  free(count: number): void {
    this.#underWay = Math.max(0, this.#underWay - count)
    if (this.#underWay <= this.#size - this.#wanted) this.#wake()
  }

  /** Whoever waits gets the error, now and from now on. */
  fail(error: unknown): void {
    this.#failed ??= { error }
    this.#waiting?.reject(error)
    this.#waiting = undefined
  }

  hasRoom(count: number): boolean {
    return this.#failed === undefined && this.#underWay <= this.#size - count
  }

  /** Resolves once there is room for so many. One at a time may wait. */
  async room(count: number): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed.error
    if (this.hasRoom(count)) return
    this.#wanted = count
    this.#waiting = Promise.withResolvers()
    return this.#waiting.promise
  }

  /** Resolves once nothing is under way. */
  empty(): Promise<void> {
    return this.room(this.#size)
  }

  #wake(): void {
    this.#waiting?.resolve()
    this.#waiting = undefined
  }
}

/** One way to bring messages to the other side. */
export interface Flow {
  /** Messages of one {@link send}: those that are written at once. */
  readonly batch: number
  /** Whether what is sent frees its place in the window by an acknowledgement; else by {@link Credits} of the recipient. */
  readonly acknowledged: boolean
  /** Sends a batch, and returns what to wait for before the next one, where the way is full. */
  send(content: Uint8Array): Promise<unknown> | undefined
  /** Resolves when nothing is left at this end of what was sent and acknowledged. */
  readonly settled?: () => Promise<void>
  /** Sends one and waits for what comes back; undefined where nothing does. */
  readonly roundTrip?: (content: Uint8Array) => Promise<unknown>
}

/** When to stop: after so many messages, or ms. */
export type Extent = { readonly count: number } | { readonly ms: number }

/** Sends as fast as the window allows; resolves with how many when all that will be acknowledged is, and is deleted. */
export async function pump(flow: Flow, window: SendWindow, content: Uint8Array, extent: Extent): Promise<number> {
  const end = 'ms' in extent ? performance.now() + extent.ms : Number.POSITIVE_INFINITY
  const count = 'count' in extent ? extent.count : Number.POSITIVE_INFINITY
  let sent = 0
  while (sent < count && performance.now() < end) {
    if (!window.hasRoom(flow.batch)) await window.room(flow.batch)
    window.take(flow.batch)
    sent += flow.batch
    const full = flow.send(content)
    if (full !== undefined) await full
  }
  if (flow.acknowledged) {
    await window.empty()
    await flow.settled?.()
  }
  return sent
}

/** Has so many kept, one after the other in as many lanes as a window has room for. */
export async function queue(keep: (content: Uint8Array) => Promise<unknown>, run: Queued): Promise<void> {
  const content = contentOf(run.bytes)
  let left = run.count
  const lane = async (): Promise<void> => {
    while (left-- > 0) await keep(content)
  }
  await Promise.all(Array.from({ length: run.window }, lane))
}

/** What is queued: how many messages of how many bytes, and how many of them are under way to where they are kept. */
export interface Queued {
  readonly count: number
  readonly bytes: number
  readonly window: number
}

/** Times of round trips, one after the other, ms; none where nothing comes back. */
export async function roundTrips({ roundTrip }: Flow, content: Uint8Array, extent: Spell): Promise<number[]> {
  return roundTrip === undefined ? [] : timed(extent, () => roundTrip(content))
}

/** For how long something is done over and over, ms; longer, up to ten times as long, where it was done less often than `least`. */
export interface Spell {
  readonly ms: number
  readonly least: number
}

/** Times of what is done over and over, one after the other, ms. */
export async function timed({ ms, least }: Spell, task: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  const start = performance.now()
  for (let spent = 0; spent < ms || (times.length < least && spent < 10 * ms); ) {
    await task()
    const now = performance.now() - start
    times.push(now - spent)
    spent = now
  }
  return times
}

/** What a recipient says of messages that nothing acknowledges: how many more have come, some at a time. */
export class Credits {
  readonly #tell: (count: number) => void
  #every = 1
  #untold = 0

  constructor(tell: (count: number) => void) {
    this.#tell = tell
  }

  /** Begins anew; an eighth of the window is told at a time, so that its sender never waits for the rest. */
  reset(window: number): void {
    this.#every = Math.max(1, window >> 3)
    this.#untold = 0
  }

  arrived(): void {
    if (++this.#untold < this.#every) return
    const count = this.#untold
    this.#untold = 0
    this.#tell(count)
  }
}

/** Counts what arrives, and tells when it is enough. */
export class Arrivals {
  #count = 0
  #enough: { readonly count: number; readonly reached: () => void } | undefined

  reset(): void {
    this.#count = 0
  }

  arrived(): void {
    this.#count++
    if (this.#enough !== undefined && this.#count >= this.#enough.count) this.#enough.reached()
  }

  /** Resolves as soon as so many came, and all of them are `settled`. @throws Error where others came, or none for `patience` ms */
  async end(wanted: number, settled?: () => Promise<void>, patience = 10_000): Promise<void> {
    while (this.#count < wanted) {
      const before = this.#count
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#enough = { count: wanted, reached: resolve }
      const late = systemClock.after(patience, resolve)
      await promise
      late.cancel()
      if (this.#count === before) break
    }
    this.#enough = undefined
    if (this.#count >= wanted) await settled?.()
    if (this.#count !== wanted) throw new Error(`${this.#count} of ${wanted} messages arrived`)
  }
}

/** The first byte of what is sent where nothing else tells what it is: a message, a question, how many messages have come. */
export const KIND = { message: 0, question: 1, credit: 2 } as const

/** Content of so many bytes, the same for everybody. */
export function contentOf(bytes: number, kind: number = KIND.message): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(bytes).map((_, i) => i * 31)
  content[0] = kind
  return content
}

/** A frame that tells how many have come. */
export function creditFrame(count: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(5)
  frame[0] = KIND.credit
  new DataView(frame.buffer).setUint32(1, count)
  return frame
}

/** How many a frame tells of; undefined where it tells something else. Contents are longer. */
export const creditOf = (frame: Uint8Array): number | undefined =>
  frame[0] === KIND.credit && frame.length <= 10 ? new DataView(frame.buffer, frame.byteOffset).getUint32(1) : undefined
