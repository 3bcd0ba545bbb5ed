/** What waits for a channel to take it: bounded, to be taken back until it leaves, written many frames at once. */

import type { Clock, Timer } from '../common/clock.ts'
import { AfpRoutingError } from '../common/errors.ts'
import type { Channel } from './carrier.ts'
import { encodeFrames } from './frames.ts'
import { type AnyFrame, type Made, madeFrames } from './frames-to-be.ts'

/** Bytes that may wait for a slow peer, unless the application says. */
export const DEFAULT_QUEUED_BYTES = 16 * 1_048_576
/** What a frame that is held costs beside its bytes. */
export const FRAME_OVERHEAD = 128
/** Bytes of one write: the channel is asked in between whether it can take more. */
const WRITE_BYTES = 262_144

/** What a queue needs. */
export interface WriteQueueOptions {
  channel: Channel
  clock: Clock
  /** Bytes that may wait, {@link FRAME_OVERHEAD} for each frame included. */
  maxBytes: number
  /** Bytes that may be under way beyond what the other side said it has read; `Infinity` where the channel sees to it. */
  window: number
  /** The channel takes nothing any more. */
  onFailed: (error: unknown) => void
}

/** How long a frame may wait. */
export interface Patience {
  /** Takes the frame back, if it has not left. */
  readonly signal?: AbortSignal | undefined
  readonly deadline?: Deadline | undefined
}

/** When a frame that has not left is taken back. */
export interface Deadline {
  /** By the clock that nobody sets, ms. */
  readonly at: number
  /** What its sender gets then. */
  readonly reason: () => unknown
}

interface Entry {
  readonly frame: AnyFrame
  readonly deadline: Deadline | undefined
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

interface Batch {
  readonly entries: Set<Entry>
  bytes: number
}

/** See the head of this file. */
export class WriteQueue {
  readonly #options: WriteQueueOptions
  readonly #batches: Batch[] = []
  /** Bytes in {@link #batches}. */
  #bytes = 0
  /** Frames of control that found the channel full: the newest of each type. */
  readonly #controls = new Map<number, Uint8Array>()
  /** The channel said that it is full. */
  #full = false
  /** For the first that has waited for too long. */
  #timer: Timer | undefined
  #wakeAt = Number.POSITIVE_INFINITY
  #running = false
  /** Something was written in this turn of the event loop. */
  #busy = false
  readonly #closed = new AbortController()
  #written = 0
  #frames = 0
  #read = 0

  constructor(options: WriteQueueOptions) {
    this.#options = options
  }

  /** Bytes that were handed to the channel. */
  get written(): number {
    return this.#written
  }

  /** Frames of what came to {@link add} among them. */
  get frames(): number {
    return this.#frames
  }

  /**
   * Queues a frame, or what becomes one as it leaves; resolves when it is handed to the channel. When `signal` fires first,
   * or its time is over, the frame is taken back: it never leaves.
   * @throws AfpRoutingError QUEUE_FULL when too much waits already, NO_ROUTE when the channel closes first; the signal's
   *   reason, or the deadline's; what its maker throws
   */
  add(frame: AnyFrame, { signal, deadline }: Patience = {}): Promise<void> {
    const { channel, maxBytes } = this.#options
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.#closed.signal.aborted) return Promise.reject(this.#closedEarly())
    // One frame is always taken, however small the bound: it would never leave otherwise.
    if (this.#bytes > 0 && this.#bytes + costOf(frame) > maxBytes) {
      const { peer } = channel.connection
      const message = `${this.#bytes} bytes wait for ${peer} already`
      return Promise.reject(new AfpRoutingError('QUEUE_FULL', message, { recipients: [peer] }))
    }
    const batch = this.#batch()
    batch.bytes += costOf(frame)
    this.#bytes += costOf(frame)
    this.#start()
    return new Promise((resolve, reject) => {
      const entry: Entry = { frame, deadline, resolve, reject }
      batch.entries.add(signal === undefined ? entry : this.#untilCalledOff(batch, entry, signal))
      if (deadline !== undefined && deadline.at < this.#wakeAt) this.#arm(deadline.at)
    })
  }

  /** Writes a frame past what waits, even to a channel that is full: for what is said once. */
  write(frame: Uint8Array): void {
    if (!this.#closed.signal.aborted) this.#write([frame])
  }

  /** Writes a frame of control past what waits. While the channel is full the newest of each type waits, no more. */
  control(frame: Uint8Array): void {
    if (this.#closed.signal.aborted) return
    if (!this.#full) return this.#write([frame])
    this.#controls.set(frame[0] as number, frame)
  }

  /** The other side has read this many bytes. */
  wasRead(bytes: number): void {
    this.#read = bytes
    this.#start()
  }

  /** Nothing is written any more; whoever waits learns it. */
  close(cause?: unknown): void {
    if (this.#closed.signal.aborted) return
    this.#closed.abort(cause)
    this.#timer?.cancel()
    for (const { entries } of this.#batches.splice(0)) {
      const all = [...entries]
      entries.clear()
      for (const { reject } of all) reject(this.#closedEarly(cause))
    }
    this.#bytes = 0
    this.#controls.clear()
  }

  #batch(): Batch {
    const last = this.#batches.at(-1)
    if (last !== undefined && last.bytes < WRITE_BYTES) return last
    const batch: Batch = { entries: new Set(), bytes: 0 }
    this.#batches.push(batch)
    return batch
  }

  #untilCalledOff(batch: Batch, { frame, deadline, resolve, reject }: Entry, signal: AbortSignal): Entry {
    const onAbort = (): void => this.#takeBack(batch, entry, signal.reason)
    const leave = (): void => signal.removeEventListener('abort', onAbort)
    const entry: Entry = {
      frame,
      deadline,
      resolve: () => {
        leave()
        resolve()
      },
      reject: reason => {
        leave()
        reject(reason)
      },
    }
    signal.addEventListener('abort', onAbort, { once: true })
    return entry
  }

  #takeBack(batch: Batch, entry: Entry, reason: unknown): void {
    // What has been written already is the channel's, and its promise has resolved.
    if (!batch.entries.delete(entry)) return
    batch.bytes -= costOf(entry.frame)
    this.#bytes -= costOf(entry.frame)
    entry.reject(reason)
  }

  #arm(at: number): void {
    const { clock } = this.#options
    this.#timer?.cancel()
    this.#wakeAt = at
    this.#timer = clock.after(Math.max(0, at - clock.monotonic()), () => this.#expire())
  }

  /** Takes back what has waited for too long. One timer serves all, since few wait at all. */
  #expire(): void {
    const now = this.#options.clock.monotonic()
    let next = Number.POSITIVE_INFINITY
    for (const batch of this.#batches) {
      for (const entry of batch.entries) {
        const { deadline } = entry
        if (deadline === undefined) continue
        if (deadline.at <= now) this.#takeBack(batch, entry, deadline.reason())
        else next = Math.min(next, deadline.at)
      }
    }
    this.#wakeAt = Number.POSITIVE_INFINITY
    this.#timer = undefined
    if (next < Number.POSITIVE_INFINITY) this.#arm(next)
  }

  #start(): void {
    if (this.#running || !this.#pending) return
    this.#running = true
    const run = (): void => void this.#run()
    // The first of a turn goes at its next breath, since there may be no other; what follows leaves in one write.
    if (this.#busy) this.#afterTurn(run)
    else queueMicrotask(run)
  }

  /** Something was written: whatever else is in this turn of the event loop waits for its end. */
  #wrote(): void {
    if (this.#busy) return
    this.#busy = true
    this.#afterTurn(() => {
      this.#busy = false
    })
  }

  #afterTurn(run: () => void): void {
    const { channel } = this.#options
    if (channel.afterTurn === undefined) queueMicrotask(run)
    else channel.afterTurn(run)
  }

  get #pending(): boolean {
    return this.#full || (this.#batches.length > 0 && this.#written - this.#read < this.#options.window)
  }

  async #run(): Promise<void> {
    const { channel, onFailed } = this.#options
    try {
      while (this.#pending) {
        await channel.drained({ signal: this.#closed.signal })
        this.#full = false
        const controls = [...this.#controls.values()]
        this.#controls.clear()
        if (controls.length > 0) this.#write(controls)
        const leaving = this.#full || !this.#pending ? undefined : this.#writeBatch()
        if (leaving !== undefined) await leaving
      }
    } catch (error) {
      if (this.#closed.signal.aborted) return
      this.close(error)
      onFailed(error)
    } finally {
      this.#running = false
    }
  }

  /** Writes what waited longest; a promise where its frames take time to be made. Nothing takes it back meanwhile. */
  #writeBatch(): void | Promise<void> {
    const batch = this.#batches.shift()
    if (batch === undefined) return
    const entries = [...batch.entries]
    batch.entries.clear()
    this.#bytes -= batch.bytes
    // Everybody may have taken theirs back.
    if (entries.length === 0) return
    const made = madeFrames(entries.map(({ frame }) => frame))
    if (made instanceof Promise) return made.then(parts => this.#leave(entries, parts))
    this.#leave(entries, made)
  }

  /** Writes what became of all of them at once; of what became nothing each learns why. */
  #leave(entries: readonly Entry[], parts: readonly Made[]): void {
    const frames = parts.flatMap(part => part.frames)
    if (frames.length > 0 && !this.#closed.signal.aborted) {
      this.#frames += frames.length
      this.#write(frames)
      this.#wrote()
    }
    const { aborted, reason } = this.#closed.signal
    let at = 0
    for (const { count, failed } of parts) {
      for (const { resolve, reject } of entries.slice(at, at + count)) {
        if (aborted) reject(this.#closedEarly(reason))
        else if (failed !== undefined) reject(failed.reason)
        else resolve()
      }
      at += count
    }
  }

  #write(frames: readonly Uint8Array[]): void {
    const bytes = encodeFrames(frames)
    try {
      this.#written += bytes.length
      if (this.#options.channel.send(bytes)) return
      this.#full = true
      this.#start()
    } catch (error) {
      this.close(error)
      this.#options.onFailed(error)
    }
  }

  #closedEarly(cause?: unknown): AfpRoutingError {
    return closedEarly(this.#options.channel.connection.peer, cause)
  }
}

/** What whoever waits for a frame to leave gets when the connection closes first. */
export const closedEarly = (peer: string, cause?: unknown): AfpRoutingError =>
  new AfpRoutingError('NO_ROUTE', `the connection to ${peer} closed before the frame left`, {
    recipients: [peer],
    cause,
  })

const costOf = (frame: AnyFrame): number => frame.length + FRAME_OVERHEAD
