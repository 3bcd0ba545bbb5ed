/** What yamux's muxer and its streams keep to themselves, as far as it is used here: it gives no other way. */

import type { MessageStream, Stream, StreamMuxer } from '@libp2p/interface'

/** Noise and circuits keep the layer below in `stream`; nothing is below sockets. */
export interface Layer extends MessageStream {
  readonly stream?: Layer
}

/** A part of what libp2p's streams write, and how much of it they got rid of. */
export interface Bytes {
  readonly byteLength: number
  sublist(start: number, end: number): Bytes
}

/** What any stream of libp2p's keeps to itself. */
export interface Inbound extends Stream {
  /** Takes what came for it. */
  onData(data: Bytes): void
}

/** What a stream of yamux's keeps to itself. */
export interface YamuxStream extends Inbound {
  sendData(data: Bytes): { sentBytes: number; canSendMore: boolean }
  /** How much the other side may send beyond what was read, and how much of it is left, bytes. */
  readonly recvWindow: number
  readonly recvWindowCapacity: number
  readonly state: number
  sendWindowUpdate(): void
}

/** What yamux keeps to itself. */
export interface Yamux extends StreamMuxer {
  /** Asked one after the other when there is room to write. */
  readonly streams: Stream[]
  /** What came of frames that are not whole. */
  readonly decoder: { readonly buffer: Buffered }
  /** All that it writes goes through here. */
  send(data: unknown): boolean
  /** All that it reads goes through here; what it throws ends the connection. */
  onData(data: Bytes): void
  _newStream(...of: unknown[]): YamuxStream
}

/** Bytes in the pieces in which they came. */
interface Buffered {
  readonly byteLength: number
  subarray(): Uint8Array
  consume(bytes: number): void
  append(bytes: Uint8Array): void
}
