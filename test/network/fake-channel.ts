/** A channel whose other end is the test. */

import { type AbortOptions, abortable } from '../../src/common/abort.ts'
import type { Channel, ChannelHandler, Connection, LinkTransport } from '../../src/network/carrier.ts'
import { FrameReader } from '../../src/network/frames.ts'

export class FakeChannel implements Channel {
  readonly connection: Connection
  /** Frames that were sent. */
  readonly frames: Uint8Array[] = []
  /** How many writes they came in. */
  writes = 0
  paused = 0
  closed = false
  aborted: Error | undefined
  /** What `drained` waits for. */
  full: Promise<void> = Promise.resolve()
  /** What `send` answers. */
  accepting = true
  /** What closing the channel waits for. */
  flushed: Promise<void> = Promise.resolve()
  handler: ChannelHandler | undefined
  readonly #reader = new FrameReader(
    2 ** 24,
    frame => this.frames.push(frame.slice()),
    fault => {
      throw new Error(fault)
    },
  )

  constructor(peer: string, transport: LinkTransport = 'memory') {
    this.connection = {
      id: 'c1',
      peer,
      kind: 'direct',
      transport,
      outbound: false,
      open: () => Promise.reject(new Error('not here')),
      close: async () => {},
      abort: reason => {
        this.aborted = reason
      },
    }
  }

  /** The types of the frames that were sent. */
  get types(): number[] {
    return this.frames.map(frame => frame[0] as number)
  }

  attach(handler: ChannelHandler): void {
    this.handler = handler
  }

  /** Hands over bytes from the other end. */
  receive(bytes: Uint8Array): void {
    this.handler?.data(bytes)
  }

  send(data: Uint8Array): boolean {
    if (this.closed) throw new Error('closed')
    this.writes++
    this.#reader.push(data)
    return this.accepting
  }

  async drained({ signal }: AbortOptions = {}): Promise<void> {
    await abortable(this.full, signal)
  }

  pause(): void {
    this.paused++
  }

  resume(): void {
    this.paused--
  }

  async close(): Promise<void> {
    this.closed = true
    await this.flushed
  }

  abort(reason: Error): void {
    this.aborted = reason
  }
}
