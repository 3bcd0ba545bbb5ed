/** Connections and channels on libp2p 3 streams. */

import type { Connection as Libp2pConnection, Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import type { AbortOptions } from '../common/abort.ts'
import { nextTurn } from '../common/slices.ts'
import { transportOf } from './addresses.ts'
import type { Channel, ChannelHandler, Connection, LinkKind, LinkTransport } from './carrier.ts'

/**
 * How much a paused stream may hold, bytes. Beyond it libp2p resets the stream. yamux stops its sender long before; data
 * channels cannot, so this has to be more than a sender has under way.
 */
const READ_BUFFER = 16 * 1_048_576

/** How long a connection may take to close, ms: the other side reads what was sent before. */
export const CLOSE_TIMEOUT = 3_000

/** How often a stream is opened again that ends before it has begun: right after an inbound connection some do. */
const OPEN_ATTEMPTS = 3

/** A libp2p connection as this protocol sees it. */
export class Libp2pLink implements Connection {
  readonly id: string
  readonly peer: string
  readonly kind: LinkKind
  readonly transport: LinkTransport
  readonly outbound: boolean
  readonly #connection: Libp2pConnection
  #closing: Promise<void> | undefined

  constructor(connection: Libp2pConnection) {
    this.#connection = connection
    this.id = connection.id
    this.peer = connection.remotePeer.toString()
    this.transport = transportOf(connection.remoteAddr.toString())
    this.kind = this.transport === 'circuit' || connection.limits != null ? 'relayed' : 'direct'
    this.outbound = connection.direction === 'outbound'
  }

  async open(protocol: string, options: AbortOptions = {}): Promise<Channel> {
    for (let attempt = 1; ; attempt++) {
      try {
        const stream = await this.#connection.newStream(protocol, {
          runOnLimitedConnection: true,
          ...(options.signal ? { signal: options.signal } : {}),
        })
        return new Libp2pChannel(this, stream)
      } catch (error) {
        const early = (error as Error).name === 'UnexpectedEOFError' || (error as Error).name === 'StreamResetError'
        if (!early || attempt >= OPEN_ATTEMPTS || this.#connection.status !== 'open') throw error
      }
    }
  }

  /** Brings what was sent to the other side, as far as that reads it in time; resolves when the connection is over. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const signal = AbortSignal.timeout(CLOSE_TIMEOUT)
    try {
      // One by one: where a stream cannot be closed, libp2p leaves the whole connection open.
      await Promise.all(this.#connection.streams.map(stream => stream.close({ signal }).catch(() => {})))
      await this.#connection.close({ signal })
    } catch (error) {
      this.#connection.abort(error as Error)
    }
  }

  abort(reason: Error): void {
    this.#connection.abort(reason)
  }
}

/** A libp2p stream as this protocol sees it. */
export class Libp2pChannel implements Channel {
  readonly connection: Connection
  readonly #stream: Stream
  #closed: { error: Error | undefined } | undefined

  constructor(connection: Connection, stream: Stream) {
    this.connection = connection
    this.#stream = stream
    stream.maxReadBufferLength = READ_BUFFER
    // It may have ended while it was being agreed on; no event tells that again.
    if (stream.status === 'closed') this.#closed = { error: undefined }
    else if (stream.status === 'reset' || stream.status === 'aborted') {
      this.#closed = { error: new Error(`the stream was ${stream.status} as it was opened`) }
    }
    stream.addEventListener('close', event => {
      this.#closed = { error: (event as StreamCloseEvent).error }
    })
  }

  attach(handler: ChannelHandler): void {
    let ended = false
    const end = (error: Error | undefined): void => {
      if (ended) return
      ended = true
      handler.closed(error)
    }
    this.#stream.addEventListener('message', event => {
      const { data } = event as StreamMessageEvent
      handler.data(data instanceof Uint8Array ? data : data.subarray())
    })
    // The other side has sent its last byte: for this protocol that is the end, there is no half-open talk.
    this.#stream.addEventListener('end', () => {
      // After a reset `close` follows, and it knows the error.
      if (this.#stream.status === 'reset' || this.#stream.status === 'aborted') return
      end(undefined)
      this.close().catch(() => {})
    })
    this.#stream.addEventListener('close', event => {
      const { error } = event as StreamCloseEvent
      // The connection was closed over a reader that is slower: `end` follows when it has read what came before.
      if (error !== undefined || this.#stream.readBufferLength === 0) end(error)
    })
    const closed = this.#closed
    if (closed === undefined) return
    if (closed.error !== undefined || this.#stream.readBufferLength === 0) queueMicrotask(() => end(closed.error))
  }

  send(data: Uint8Array): boolean {
    return this.#stream.send(data)
  }

  /** The stream's own `onDrain()` resolves at once after its first use, so the events are waited for here. */
  drained({ signal }: AbortOptions = {}): Promise<void> {
    const stream = this.#stream
    if (this.#closed !== undefined) return Promise.reject(closedError(this.#closed.error))
    if (!stream.writableNeedsDrain) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        stream.removeEventListener('drain', onDrain)
        stream.removeEventListener('close', onClose)
        signal?.removeEventListener('abort', onAbort)
      }
      // Looked at a microtask later: flushing what was queued may fill the window again.
      const onDrain = (): void =>
        queueMicrotask(() => {
          if (stream.writableNeedsDrain) return
          leave()
          resolve()
        })
      const onClose = (event: Event): void => {
        leave()
        reject(closedError((event as StreamCloseEvent).error))
      }
      const onAbort = (): void => {
        leave()
        reject(signal?.reason)
      }
      stream.addEventListener('drain', onDrain)
      stream.addEventListener('close', onClose)
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted) onAbort()
    })
  }

  afterTurn(run: () => void): void {
    nextTurn(run)
  }

  pause(): void {
    this.#flow(() => this.#stream.pause())
  }

  resume(): void {
    this.#flow(() => this.#stream.resume())
  }

  /** A stream throws when it has ended, and also when its connection closed while it was paused: after handing on what it held. */
  #flow(change: () => void): void {
    try {
      change()
    } catch {
      // Nothing more flows; `closed` tells it.
    }
  }

  async close(): Promise<void> {
    if (this.#closed !== undefined) return
    const over = Promise.withResolvers<void>()
    this.#stream.addEventListener('close', () => over.resolve())
    // The stream's own `close()` waits for ever when the stream is dropped while it waits to have written the rest.
    await Promise.race([this.#stream.close(), over.promise])
  }

  abort(reason: Error): void {
    this.#stream.abort(reason)
  }
}

const closedError = (cause: Error | undefined): Error => new Error('the connection has closed', { cause })
