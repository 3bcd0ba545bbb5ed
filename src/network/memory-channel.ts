import { type AbortOptions, abortable } from '../common/abort.ts'
import { AfpError } from '../common/errors.ts'
import type { Channel, ChannelHandler, Connection } from './carrier.ts'
import { Lane, type Medium } from './memory-lane.ts'

/** Bytes under way at which `send` starts to answer false. */
export const HIGH_WATER = 256 * 1024

/** Bytes under way at which `drained` resolves. */
export const LOW_WATER = 128 * 1024

/** Bytes under way at which a channel whose sender does not heed `send` is dropped. */
export const MAX_BUFFERED = 4 * 1024 * 1024

/** What a channel needs of the connection it belongs to. */
export interface ChannelHost extends Connection {
  readonly place: string
  /** Carries out-of-band news to the other end of the connection. */
  signal(deliver: () => void): void
  /** Both ends are over. */
  forget(first: MemoryChannel, second: MemoryChannel): void
}

/** One end of a channel in memory. */
export class MemoryChannel implements Channel {
  readonly connection: ChannelHost
  readonly #out: Lane
  readonly #in: Lane
  /** The other end; set before anybody sees the pair. */
  #peer: MemoryChannel = this
  #handler: ChannelHandler | undefined
  /** Whether the first write has been made: it never falls to a fault. */
  #begun = false
  #paused = false
  /** Whether this side has ended. */
  #ended = false
  /** Set when nothing more will arrive or leave. */
  #closed: { error: Error | undefined } | undefined
  readonly #waiting = new Set<PromiseWithResolvers<void>>()
  readonly #left = Promise.withResolvers<void>()

  private constructor(connection: ChannelHost, out: Lane, into: Lane) {
    this.connection = connection
    this.#out = out
    this.#in = into
    out.onSpace = () => {
      if (out.buffered <= LOW_WATER) this.#settleWaiting()
    }
  }

  /** Makes both ends of a channel; the first belongs to `a`. */
  static pair(
    medium: Medium,
    path: readonly string[],
    a: ChannelHost,
    b: ChannelHost,
    name: string,
  ): readonly [MemoryChannel, MemoryChannel] {
    const there = new Lane(medium, path, name, true)
    const back = new Lane(medium, path.toReversed(), name, true)
    const first = new MemoryChannel(a, there, back)
    const second = new MemoryChannel(b, back, there)
    first.#peer = second
    second.#peer = first
    return [first, second]
  }

  attach(handler: ChannelHandler): void {
    if (this.#handler !== undefined) throw new AfpError('INVALID_OPTION', 'a channel takes one handler')
    this.#handler = handler
    const closed = this.#closed
    if (closed === undefined && !this.#paused) this.#in.release()
    if (closed !== undefined) queueMicrotask(() => handler.closed(closed.error))
  }

  send(data: Uint8Array): boolean {
    if (this.#ended || this.#closed !== undefined) throw this.#gone()
    if (this.#out.buffered + data.length > MAX_BUFFERED) {
      this.abort(new AfpError('QUEUE_FULL', 'the sender did not wait for a slower reader'))
      return false
    }
    // The sender may use its array again: what travels is a copy, as with a socket.
    const bytes = data.slice()
    const deliver = (): void => this.#peer.#receive(bytes.slice())
    if (this.#begun) this.#out.push(bytes.length, deliver)
    else this.#out.pushReliable(bytes.length, deliver)
    this.#begun = true
    return this.#out.buffered < HIGH_WATER
  }

  drained(options: AbortOptions = {}): Promise<void> {
    if (this.#ended || this.#closed !== undefined) return Promise.reject(this.#gone())
    if (this.#out.buffered <= LOW_WATER) return abortable(Promise.resolve(), options.signal)
    const waiter = Promise.withResolvers<void>()
    this.#waiting.add(waiter)
    return abortable(waiter.promise, options.signal).finally(() => this.#waiting.delete(waiter))
  }

  pause(): void {
    this.#paused = true
    this.#in.hold()
  }

  resume(): void {
    this.#paused = false
    if (this.#handler !== undefined) this.#in.release()
  }

  close(): Promise<void> {
    this.end()
    return this.#left.promise
  }

  abort(reason: Error): void {
    if (this.#closed !== undefined) return
    this.#out.kill()
    this.#in.kill()
    const peer = this.#peer
    // Past a paused reader, who has to learn of it too.
    this.connection.signal(() => peer.drop(new AfpError('NETWORK_FAILED', 'the other side dropped the channel')))
    this.finish(reason)
  }

  /** Ends this side behind what is queued, without waiting. */
  end(): void {
    if (this.#ended || this.#closed !== undefined) return
    this.#ended = true
    this.#settleWaiting(this.#gone())
    this.#out.pushReliable(0, () => {
      this.#left.resolve()
      this.#peer.#remoteEnded()
    })
  }

  /** The channel is over, and what is under way is lost. */
  drop(error: Error): void {
    this.#out.kill()
    this.#in.kill()
    this.finish(error)
  }

  /** As {@link drop}, but nobody is told: the peer that held this end has crashed. */
  vanish(): void {
    this.#handler = undefined
    this.drop(new AfpError('CLOSED', 'the peer has crashed'))
  }

  /** Nothing more concerns this end; what it sent may still be under way. */
  finish(error: Error | undefined): void {
    if (this.#closed !== undefined) return
    this.#closed = { error }
    this.#ended = true
    this.#settleWaiting(this.#gone())
    this.#left.resolve()
    const peer = this.#peer
    if (peer.#closed !== undefined) this.connection.forget(this, peer)
    this.#handler?.closed(error)
  }

  /** Passes on what a healed cut held up. */
  flush(): void {
    this.#out.flush()
  }

  #receive(bytes: Uint8Array): void {
    if (this.#closed === undefined) this.#handler?.data(bytes)
  }

  #remoteEnded(): void {
    this.end()
    this.finish(undefined)
  }

  #gone(): Error {
    return this.#closed?.error ?? new AfpError('CLOSED', 'the channel is closed')
  }

  #settleWaiting(error?: Error): void {
    for (const waiter of this.#waiting) {
      if (error === undefined) waiter.resolve()
      else waiter.reject(error)
    }
    this.#waiting.clear()
  }
}
