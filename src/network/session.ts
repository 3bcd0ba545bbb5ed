/**
 * One channel between two members of a mesh: hellos first, then frames. Nothing is parsed for a peer that has not shown
 * that it belongs here.
 */

import type { Clock, Timer } from '../common/clock.ts'
import { AfpError, AfpMessageError, AfpRoutingError } from '../common/errors.ts'
import { type Card, openCard } from '../identity/card.ts'
import { decode, encode } from '../message/codec.ts'
import type { Channel } from './carrier.ts'
import { encodeFrames, FIRST_UPPER_TYPE, FrameReader, FrameType, frameOf } from './frames.ts'
import type { RefusalReason } from './network.ts'

/** The version of the wire that this code speaks. */
export const WIRE_VERSION = 1

/** The largest hello, bytes: a card and little else. */
const MAX_HELLO_BYTES = 20_480
/** The largest frame that only the network reads, once hellos are done. */
const MAX_CONTROL_BYTES = 64
/** How long the other side may take for its hello, ms. */
const HELLO_TIMEOUT = 8_000
/** How often the other side is pinged, ms. */
const PING_INTERVAL = 2_000
/** Pings that may stay unanswered. Counted in pings, not in time: a hidden tab's timers are late, and so are ours in one. */
const MAX_MISSED_PINGS = 3
/** Bytes that may wait for a slow peer. */
const MAX_QUEUED_BYTES = 4 * 1_048_576
/** What a frame that is held costs beside its bytes. */
const FRAME_OVERHEAD = 128
/** Frames being worked on at which the sender is held back, and below which it may go on. */
const INBOUND_HIGH = 256
const INBOUND_LOW = 128

/** What a session needs. */
export interface SessionOptions {
  channel: Channel
  /** Whether this side opened the channel: it says hello first. */
  initiator: boolean
  mesh: string
  card: () => Card
  clock: Clock
  maxFrameBytes: number
  onOpen: (session: Session, card: Card) => void
  onFrame: (session: Session, frame: Uint8Array) => void | Promise<void>
  onClosed: (session: Session, error: Error | undefined) => void
  onRefused: (session: Session, reason: RefusalReason, detail: string) => void
  onPong: (session: Session) => void
  onBye: (session: Session) => void
}

/** See the head of this file. */
export class Session {
  readonly channel: Channel
  readonly peer: string
  /** Round trip of the last ping, ms. */
  rtt: number | undefined
  /** The other side refused this one, for the reason it gave. */
  refusedBy: string | undefined
  readonly #options: SessionOptions
  readonly #reader: FrameReader
  #state: 'hello' | 'open' | 'closed' = 'hello'
  #timer: Timer
  #missed = 0
  #pingSentAt = 0
  #outbox: Uint8Array[] = []
  #outboxBytes = 0
  #flush: Promise<void> | undefined
  #working = 0
  #paused = false
  /** What came behind the hello; undefined unless a hello is being checked. */
  #early: Uint8Array[] | undefined
  #earlyBytes = 0

  constructor(options: SessionOptions) {
    this.#options = options
    this.channel = options.channel
    this.peer = options.channel.connection.peer
    this.#reader = new FrameReader(
      MAX_HELLO_BYTES,
      frame => this.#received(frame),
      fault => this.#refuse(fault, 'the length of a frame'),
    )
    this.#timer = options.clock.after(HELLO_TIMEOUT, () => this.#refuse('no-hello', `none within ${HELLO_TIMEOUT} ms`))
    this.channel.attach({
      data: chunk => {
        // libp2p hands the same buffer to nobody else, but frames outlive the chunk: they are views into it.
        this.#reader.push(chunk)
      },
      closed: error => this.#close(error),
    })
    if (options.initiator) this.#sayHello()
  }

  get open(): boolean {
    return this.#state === 'open'
  }

  /**
   * Queues a frame; resolves once it is handed to the channel. Frames of one turn of the event loop leave in one write.
   * @throws AfpRoutingError QUEUE_FULL when the peer is too slow, NO_ROUTE when the channel closes first
   */
  send(frame: Uint8Array): Promise<void> {
    if (this.#state !== 'open') return Promise.reject(noRoute(this.peer))
    if (this.#outboxBytes > MAX_QUEUED_BYTES) {
      return Promise.reject(
        new AfpRoutingError('QUEUE_FULL', `${this.#outboxBytes} bytes wait for ${this.peer} already`, {
          recipients: [this.peer],
        }),
      )
    }
    this.#outbox.push(frame)
    this.#outboxBytes += frame.length
    this.#flush ??= Promise.resolve().then(() => this.#write())
    return this.#flush
  }

  /** Tells the other side that this one leaves; in the same turn, for a tab that is being closed. */
  bye(): void {
    if (this.#state === 'open') this.#tryWrite(frameOf(FrameType.bye))
  }

  /** Closes the channel. */
  async close(): Promise<void> {
    const { channel } = this
    this.#close(undefined)
    await channel.close().catch(() => {})
  }

  async #write(): Promise<void> {
    try {
      // What was queued while the channel was full leaves with the rest.
      await this.channel.drained()
    } catch (error) {
      this.#flush = undefined
      throw noRoute(this.peer, error)
    }
    const frames = this.#outbox
    this.#outbox = []
    this.#outboxBytes = 0
    this.#flush = undefined
    if (this.#state === 'closed') throw noRoute(this.peer)
    this.#writeNow(...frames)
  }

  #writeNow(...frames: Uint8Array[]): void {
    try {
      this.channel.send(encodeFrames(frames))
    } catch (error) {
      this.#close(error as Error)
      throw noRoute(this.peer, error)
    }
  }

  #sayHello(): void {
    const { mesh, card } = this.#options
    const hello = frameOf(FrameType.hello, encode([WIRE_VERSION, mesh, card().bytes, null]))
    try {
      this.#writeNow(hello)
    } catch {
      // The channel closed before it was used; `closed` tells the rest.
    }
  }

  #received(frame: Uint8Array): void {
    if (this.#state === 'closed') return
    const type = frame[0] as number
    const body = frame.subarray(1)
    if (this.#state === 'hello') {
      if (type === FrameType.refused) return this.#wasRefused(body)
      if (this.#early !== undefined) return this.#holdBack(frame)
      // Checking the signature takes a while, and what follows a hello must wait for it.
      this.channel.pause()
      this.#early = []
      this.#readHello(type, body)
        .then(() => this.channel.resume())
        .catch(() => {})
      return
    }
    this.#missed = 0
    if (type >= FIRST_UPPER_TYPE) return this.#deliver(frame)
    if (frame.length > MAX_CONTROL_BYTES) return this.#refuse('too-large', `a frame of type ${type}`)
    if (type === FrameType.ping) this.#tryWrite(frameOf(FrameType.pong, body))
    else if (type === FrameType.pong) this.#ponged()
    else if (type === FrameType.bye) this.#options.onBye(this)
    else if (type !== FrameType.refused) this.#refuse('malformed', `a frame of type ${type}`)
  }

  /** A frame that came in one chunk behind the hello waits until that is checked. */
  #holdBack(frame: Uint8Array): void {
    this.#early?.push(frame)
    this.#earlyBytes += frame.length + FRAME_OVERHEAD
    if (this.#earlyBytes > MAX_QUEUED_BYTES) this.#refuse('overflow', 'frames before the hello was answered')
  }

  async #readHello(type: number, body: Uint8Array): Promise<void> {
    if (type !== FrameType.hello) return this.#refuse('no-hello', `the first frame has type ${type}`)
    const hello = this.#decodeHello(body)
    if (hello === undefined) return
    // From here on frames of the full size may follow in the same chunk.
    this.#reader.maxBytes = this.#options.maxFrameBytes
    let card: Card
    try {
      card = await openCard(hello)
    } catch (error) {
      const reason =
        error instanceof AfpError && error.details.reason === 'bad-signature' ? 'bad-signature' : 'bad-card'
      return this.#refuse(reason, (error as Error).message)
    }
    if (this.#state !== 'hello') return
    if (card.id !== this.peer) return this.#refuse('bad-card', 'the card is of another agent')
    if (card.mesh !== this.#options.mesh) return this.#refuse('wrong-mesh', 'the card is for another mesh')
    if (!this.#options.initiator) this.#sayHello()
    this.#state = 'open'
    this.#timer.cancel()
    this.#options.onOpen(this, card)
    this.#ping()
    const early = this.#early ?? []
    this.#early = undefined
    for (const frame of early) this.#received(frame)
  }

  /** The card inside a hello of this mesh and version, not yet checked. */
  #decodeHello(body: Uint8Array): Uint8Array | undefined {
    let hello: unknown
    try {
      hello = decode(body)
    } catch (error) {
      const tooDeep = error instanceof AfpMessageError && error.details.reason === 'too-deep'
      this.#refuse(tooDeep ? 'too-deep' : 'malformed', 'the hello')
      return undefined
    }
    if (!Array.isArray(hello) || hello.length < 2) return this.#refuse('malformed', 'the hello')
    const [version, mesh, card] = hello
    if (version !== WIRE_VERSION) return this.#refuse('wrong-version', `version ${String(version).slice(0, 20)}`)
    if (mesh !== this.#options.mesh) return this.#refuse('wrong-mesh', 'the hello is for another mesh')
    if (hello.length !== 4 || !(card instanceof Uint8Array)) return this.#refuse('malformed', 'the hello')
    return card
  }

  #deliver(frame: Uint8Array): void {
    const work = this.#options.onFrame(this, frame)
    if (work === undefined) return
    if (++this.#working >= INBOUND_HIGH && !this.#paused) {
      this.#paused = true
      this.channel.pause()
    }
    const done = (): void => {
      if (--this.#working <= INBOUND_LOW && this.#paused) {
        this.#paused = false
        if (this.#state === 'open') this.channel.resume()
      }
    }
    work.then(done, done)
  }

  #ping(): void {
    const { clock } = this.#options
    if (this.#missed >= MAX_MISSED_PINGS) {
      // Dead in both directions, whatever the transport says: a data channel can look open without a peer behind it.
      this.channel.connection.abort(new Error(`${this.#missed} pings without an answer`))
      this.#close(new Error('no answer to pings'))
      return
    }
    this.#missed++
    this.#pingSentAt = clock.monotonic()
    this.#tryWrite(frameOf(FrameType.ping))
    this.#timer = clock.after(PING_INTERVAL, () => this.#ping())
  }

  #ponged(): void {
    this.rtt = this.#options.clock.monotonic() - this.#pingSentAt
    this.#options.onPong(this)
  }

  #wasRefused(body: Uint8Array): void {
    let reason: unknown
    try {
      reason = decode(body)
    } catch {
      reason = 'malformed'
    }
    this.refusedBy = typeof reason === 'string' ? reason.slice(0, 32) : 'malformed'
    this.#close(new AfpError('UNAUTHORIZED', `${this.peer} refused the hello: ${this.refusedBy}`))
    this.channel.close().catch(() => {})
  }

  #refuse(reason: RefusalReason, detail: string): undefined {
    if (this.#state === 'closed') return
    this.#tryWrite(frameOf(FrameType.refused, encode(reason)))
    this.#reader.stop()
    this.#options.onRefused(this, reason, detail)
    this.#close(new AfpError('MALFORMED', `${reason}: ${detail}`))
    this.channel.close().catch(() => {})
  }

  #tryWrite(frame: Uint8Array): void {
    try {
      this.#writeNow(frame)
    } catch {
      // Closed in between; `closed` tells the rest.
    }
  }

  #close(error: Error | undefined): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#timer.cancel()
    this.#reader.stop()
    this.#options.onClosed(this, error)
  }
}

const noRoute = (peer: string, cause?: unknown): AfpRoutingError =>
  new AfpRoutingError('NO_ROUTE', `the connection to ${peer} closed before the frame left`, {
    recipients: [peer],
    cause,
  })
