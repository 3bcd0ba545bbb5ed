/**
 * One channel between two members of a mesh: hellos first, then frames. Nothing is parsed for a peer that has not shown
 * that it belongs here.
 */

import type { Clock, Timer } from '../common/clock.ts'
import { AfpError, AfpRoutingError } from '../common/errors.ts'
import type { Card } from '../identity/card.ts'
import { encode, tryDecode } from '../message/codec.ts'
import type { Channel } from './carrier.ts'
import { FIRST_UPPER_TYPE, FrameReader, FrameType, frameOf } from './frames.ts'
import { checkHelloCard, DEFAULT_FRAME_BYTES, decodeHello, encodeHello, type Hello, MAX_HELLO_BYTES } from './hello.ts'
import type { AnyFrame, RefusalReason } from './network.ts'
import type { Refusal } from './refusal.ts'
import { closedEarly, DEFAULT_QUEUED_BYTES, FRAME_OVERHEAD, type Patience, WriteQueue } from './write-queue.ts'

/** The largest frame that only the network reads, once hellos are done. */
const MAX_CONTROL_BYTES = 64
/** How long the other side may take for its hello, ms. */
const HELLO_TIMEOUT = 8_000
/** How often the other side is pinged, ms. */
const PING_INTERVAL = 2_000
/**
 * Pings that may go by without a sign that the other side reads: a pong, a report of progress, or a frame of an upper
 * floor, behind which a pong may be waiting. Its own pings are none: whoever reads nothing can still send them. Counted
 * in pings, not in time: a hidden tab's timers are late, and so are ours in one.
 */
const MAX_MISSED_PINGS = 3
/** The same while the other side says that its application holds it up: two minutes without any progress. */
const MAX_HELD_PINGS = 60
/** Bytes read after which the other side is told, well below {@link DATA_CHANNEL_WINDOW}. */
const REPORT_BYTES = 1_048_576
/** With each ping it is told of fewer, but not of what pings alone bring. */
const MIN_REPORT_BYTES = 1_024
/** What may be under way unread on a data channel, bytes: unlike other transports it takes no notice of a slow reader. */
const DATA_CHANNEL_WINDOW = 4 * 1_048_576
/** Bytes that are held until the hello before them is checked. */
const MAX_EARLY_BYTES = 4 * 1_048_576
/** How long the other side may take to read what is left when this one closes, ms. */
const CLOSE_TIMEOUT = 5_000
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
  /** Bytes that may wait for a slow peer; default {@link DEFAULT_QUEUED_BYTES}. */
  maxQueuedBytes?: number | undefined
  onOpen: (session: Session, card: Card) => void
  onFrame: (session: Session, frame: Uint8Array) => void | Promise<void>
  /**
   * Nothing leaves any more. Frames that came before may still follow where the application was slower than the other
   * side's goodbye, up to {@link SessionOptions.onEnded}.
   */
  onClosed: (session: Session, error: Error | undefined) => void
  /** Nothing comes any more either. */
  onEnded?: (session: Session) => void
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
  /** The run of the agent at the other side; empty before its hello. */
  instance = ''
  /** The other side refused this one, for the reason it gave. */
  refusedBy: string | undefined
  /** The largest frame that the other side takes, bytes, as its hello says. */
  #largest = DEFAULT_FRAME_BYTES
  readonly #options: SessionOptions
  readonly #reader: FrameReader
  readonly #queue: WriteQueue
  #state: 'hello' | 'open' | 'ending' | 'closed' = 'hello'
  #timer: Timer
  /** Pings since the other side last showed that it reads. */
  #missed = 0
  /** The number of the newest ping, its time, and the newest that was answered. */
  #pings = 0
  #pingSentAt = 0
  #ponged = 0
  /** What the other side said of its progress. */
  #theirs = { read: 0, worked: 0, held: false }
  /** Bytes read, frames worked off, and what the other side was told of the former. */
  #read = 0
  #worked = 0
  #reported = 0
  #working = 0
  /** As many frames are being worked on as may be. */
  #busy = false
  /** Whether the channel is paused. */
  #holding = false
  /** What came behind the hello; undefined unless a hello is being checked. */
  #early: Uint8Array[] | undefined
  #earlyBytes = 0
  /** Settles when the hello has been checked, and what came behind it has been passed on. */
  #checking: Promise<void> | undefined

  constructor(options: SessionOptions) {
    const { channel, clock, maxQueuedBytes = DEFAULT_QUEUED_BYTES } = options
    this.#options = options
    this.channel = channel
    this.peer = channel.connection.peer
    this.#reader = new FrameReader(
      MAX_HELLO_BYTES,
      frame => this.#received(frame),
      fault => this.#refuse(fault, 'the length of a frame'),
    )
    this.#queue = new WriteQueue({
      channel,
      clock,
      maxBytes: maxQueuedBytes,
      window: channel.connection.transport === 'webrtc' ? DATA_CHANNEL_WINDOW : Number.POSITIVE_INFINITY,
      onFailed: error => this.#writeFailed(error as Error),
    })
    this.#timer = clock.after(HELLO_TIMEOUT, () => this.#refuse('no-hello', `none within ${HELLO_TIMEOUT} ms`))
    this.channel.attach({
      data: chunk => {
        this.#read += chunk.length
        // libp2p hands the same buffer to nobody else, but frames outlive the chunk: they are views into it.
        this.#reader.push(chunk)
        if (this.#state === 'open' && this.#read - this.#reported >= REPORT_BYTES) this.#report()
      },
      closed: error => {
        // A goodbye, say, that came in time counts, however long the hello before it takes to check.
        if (!this.#early?.length) return this.#close(error)
        this.#queue.close(error)
        void this.#checking?.then(() => this.#close(error))
      },
    })
    if (options.initiator) this.#sayHello()
  }

  get open(): boolean {
    return this.#state === 'open'
  }

  /** Whether nothing comes or leaves any more. */
  get ended(): boolean {
    return this.#state === 'closed'
  }

  /** Whether the other side has shown that it belongs here. */
  get met(): boolean {
    return this.#state !== 'hello'
  }

  /**
   * Queues a frame; resolves once it is handed to the channel. Frames of one turn of the event loop leave in one write.
   * When its patience ends first the frame is taken back and never leaves; once it is handed over nothing calls it off.
   * @throws AfpRoutingError QUEUE_FULL when the peer is too slow, MESSAGE_TOO_LARGE when it takes no such frames, NO_ROUTE
   *   when the channel closes first; the signal's reason
   */
  send(frame: AnyFrame, patience?: Patience): Promise<void> {
    const type = frame instanceof Uint8Array ? (frame[0] as number) : FIRST_UPPER_TYPE
    if (type < FIRST_UPPER_TYPE) return Promise.reject(new RangeError(`type ${type} is the network's own`))
    if (this.#state !== 'open') return Promise.reject(closedEarly(this.peer))
    // It would end the channel, and everything else that is under way with it.
    if (frame.length > this.#largest) return Promise.reject(this.#tooLarge(frame))
    return this.#queue.add(frame, patience)
  }

  /** Tells the other side that this one leaves; in the same turn, for a tab that is being closed. */
  bye(): void {
    if (this.#state === 'open') this.#queue.write(frameOf(FrameType.bye))
  }

  /** Closes the channel. Whoever does not read what is left within five seconds loses it. */
  async close(): Promise<void> {
    this.#close(undefined)
    await this.#hangUp()
  }

  /** Ends it at once, with whatever is under way. */
  drop(reason = new AfpError('CLOSED', 'this agent has left')): void {
    this.#close(reason)
    this.channel.abort(reason)
  }

  /** The connection has closed: nothing leaves any more. What came before is still read; the channel tells the end of it. */
  disconnected(): void {
    if (this.#state === 'open') this.#end(new Error('the connection has closed'))
  }

  /** The other side leaves: what were written now would be lost on it. What it still sends is read. */
  left(): void {
    if (this.#state !== 'open') return
    this.#end(new Error('the other side leaves'))
    void this.#hangUp()
  }

  async #hangUp(): Promise<void> {
    const { channel } = this
    const timer = this.#options.clock.after(CLOSE_TIMEOUT, () => channel.abort(new Error('what was left is not read')))
    await channel.close().catch(() => {})
    timer.cancel()
  }

  #sayHello(): void {
    this.#queue.write(encodeHello(this.#options.mesh, this.#options.card(), this.#options.maxFrameBytes))
  }

  #received(frame: Uint8Array): void {
    if (this.#state === 'closed') return
    const type = frame[0] as number
    const body = frame.subarray(1)
    if (this.#state === 'hello') {
      if (type === FrameType.refused) return this.#wasRefused(body)
      if (this.#early !== undefined) return this.#holdBack(frame)
      // Checking the signature takes a while, and what follows a hello must wait for it.
      this.#early = []
      this.#flow()
      this.#checking = this.#readHello(type, body)
      return
    }
    if (type >= FIRST_UPPER_TYPE) {
      this.#missed = 0
      return this.#deliver(frame)
    }
    if (frame.length > MAX_CONTROL_BYTES) return this.#refuse('too-large', `a frame of type ${type}`)
    if (type === FrameType.ping) this.#queue.control(frameOf(FrameType.pong, body))
    else if (type === FrameType.pong) this.#pongCame(body)
    else if (type === FrameType.reading) this.#readingCame(body)
    else if (type === FrameType.bye) this.#options.onBye(this)
    else if (type !== FrameType.refused) this.#refuse('malformed', `a frame of type ${type}`)
  }

  /** A frame that came in one chunk behind the hello waits until that is checked. */
  #holdBack(frame: Uint8Array): void {
    this.#early?.push(frame)
    this.#earlyBytes += frame.length + FRAME_OVERHEAD
    if (this.#earlyBytes > MAX_EARLY_BYTES) this.#refuse('overflow', 'frames before the hello')
  }

  async #readHello(type: number, body: Uint8Array): Promise<void> {
    const { mesh, maxFrameBytes, initiator, onOpen } = this.#options
    let card: Card
    let hello: Hello
    try {
      hello = decodeHello(type, body, mesh)
      // From here on frames of the full size may follow in the same chunk.
      this.#reader.maxBytes = maxFrameBytes
      card = await checkHelloCard(hello.card, this.peer, mesh)
    } catch (error) {
      return this.#refuse((error as Refusal).reason, (error as Error).message)
    }
    if (this.#state !== 'hello') return
    if (!initiator) this.#sayHello()
    this.#largest = hello.frameBytes
    this.instance = card.instance
    this.#state = 'open'
    this.#timer.cancel()
    onOpen(this, card)
    const early = this.#early ?? []
    this.#early = undefined
    for (const frame of early) this.#received(frame)
    this.#flow()
    if (this.open) this.#ping()
  }

  #deliver(frame: Uint8Array): void {
    const work = this.#options.onFrame(this, frame)
    if (work === undefined) {
      this.#worked++
      return
    }
    if (++this.#working >= INBOUND_HIGH) this.#setBusy(true)
    const done = (): void => {
      this.#worked++
      if (--this.#working <= INBOUND_LOW) this.#setBusy(false)
    }
    work.then(done, done)
  }

  #setBusy(busy: boolean): void {
    if (busy === this.#busy) return
    this.#busy = busy
    this.#flow()
    if (this.open) this.#report()
  }

  /** Pauses the channel while a hello is checked or the application is busy. */
  #flow(): void {
    const hold = this.#busy || this.#early !== undefined
    if (hold === this.#holding || this.#state === 'closed') return
    this.#holding = hold
    if (hold) this.channel.pause()
    else this.channel.resume()
    // Pongs wait unread while the channel is paused, and when it goes on there may be much before them.
    this.#missed = 0
  }

  #tooLarge({ length }: AnyFrame): AfpRoutingError {
    const why = `${this.peer} takes frames of ${this.#largest} bytes at most, and this one has ${length}`
    return new AfpRoutingError('MESSAGE_TOO_LARGE', why, { recipients: [this.peer] })
  }

  /** Tells the other side how far this one is, and whether its application holds it up. */
  #report(): void {
    this.#reported = this.#read
    this.#queue.control(frameOf(FrameType.reading, encode([this.#read, this.#worked, this.#holding])))
  }

  #ping(): void {
    const { clock } = this.#options
    if (this.#missed >= (this.#theirs.held ? MAX_HELD_PINGS : MAX_MISSED_PINGS)) {
      // Dead, whatever the transport says: a data channel can look open without a peer behind it.
      const { connection } = this.channel
      connection.abort(new Error(`${this.#missed} pings without a sign of life`))
      this.#close(new Error('no answer to pings'))
      return
    }
    if (!this.#holding) this.#missed++
    if (this.#holding || this.#read - this.#reported >= MIN_REPORT_BYTES) this.#report()
    this.#pingSentAt = clock.monotonic()
    this.#queue.control(frameOf(FrameType.ping, encode(++this.#pings)))
    this.#timer = clock.after(PING_INTERVAL, () => this.#ping())
  }

  #pongCame(body: Uint8Array): void {
    const number = tryDecode(body)
    // Only what answers a ping shows that pings are read.
    if (typeof number !== 'number' || !(number > this.#ponged && number <= this.#pings)) return
    this.#ponged = number
    this.#missed = 0
    if (number !== this.#pings) return
    this.rtt = this.#options.clock.monotonic() - this.#pingSentAt
    this.#options.onPong(this)
  }

  #readingCame(body: Uint8Array): void {
    const report = tryDecode(body)
    const [read, worked, held] = Array.isArray(report) ? report : []
    const { read: before, worked: workedBefore } = this.#theirs
    const { written, frames } = this.#queue
    if (!within(read, before, written) || !within(worked, workedBefore, frames) || typeof held !== 'boolean') {
      return this.#refuse('malformed', 'a report of what was read')
    }
    if (read > before || worked > workedBefore) this.#missed = 0
    this.#theirs = { read, worked, held }
    this.#queue.wasRead(read)
  }

  #wasRefused(body: Uint8Array): void {
    const reason = tryDecode(body)
    this.refusedBy = typeof reason === 'string' ? reason.slice(0, 32) : 'malformed'
    this.#close(new AfpError('UNAUTHORIZED', `${this.peer} refused the hello: ${this.refusedBy}`))
    void this.#hangUp()
  }

  #refuse(reason: RefusalReason, detail: string): undefined {
    if (this.#state === 'closed') return
    this.#queue.write(frameOf(FrameType.refused, encode(reason)))
    this.#reader.stop()
    this.#options.onRefused(this, reason, detail)
    this.#close(new AfpError('MALFORMED', `${reason}: ${detail}`))
    void this.#hangUp()
  }

  #writeFailed(error: Error): void {
    // What came before may still lie unread where the channel is paused.
    if (this.#holding && this.#state === 'open') this.#end(error)
    else this.#close(error)
  }

  #end(error: Error): void {
    this.#state = 'ending'
    this.#timer.cancel()
    this.#queue.close(error)
    this.#options.onClosed(this, error)
  }

  #close(error: Error | undefined): void {
    if (this.#state === 'closed') return
    const told = this.#state === 'ending'
    this.#state = 'closed'
    this.#timer.cancel()
    this.#reader.stop()
    this.#queue.close(error)
    // What still comes is thrown away; a channel that stays paused would never end.
    if (this.#holding) this.channel.resume()
    if (!told) this.#options.onClosed(this, error)
    this.#options.onEnded?.(this)
  }
}

/** Whether a value is a whole number from `low` to `high`. */
const within = (value: unknown, low: number, high: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= low && (value as number) <= high
