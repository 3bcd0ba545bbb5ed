/**
 * Bounds what waits in a connection on which the other side reads nothing. yamux answers pings, data and new streams all
 * the same, and its streams write on when their windows open; no layer of libp2p has a bound for that. Here streams keep
 * what they have for as long as something waits below them, so that only answers can add up there; who lets too many of
 * them add up is dropped.
 */

import type { MessageStream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'

/** What may wait in all layers of a connection, bytes: one piece of a stream, and thousands of answers. */
const MAX_WAITING = 524_288

/** What a stream hands on at once, bytes: yamux begins with such windows, and lets them grow without a bound. */
const PIECE = MAX_WAITING / 2

/** Noise and circuits keep the layer below in `stream`; nothing is below sockets. */
interface Layer extends MessageStream {
  readonly stream?: Layer
}
/** A part of what libp2p's streams write, and how much of it they got rid of. */
interface Bytes {
  readonly byteLength: number
  sublist(start: number, end: number): Bytes
}
interface Sending {
  sendData(data: Bytes): { sentBytes: number; canSendMore: boolean }
}
/** What yamux keeps to itself. */
interface Inside extends StreamMuxer {
  /** All that it writes goes through here. */
  send(data: unknown): boolean
  _newStream(...of: unknown[]): Sending
}

const waitingIn = (layer: Layer | undefined): number =>
  layer === undefined ? 0 : layer.writeBufferLength + waitingIn(layer.stream)

/** yamux, on connections that are bounded so. */
export const boundAnswers = (yamux: () => StreamMuxerFactory) => (): StreamMuxerFactory => {
  const factory = yamux()
  const create = factory.createStreamMuxer.bind(factory)
  factory.createStreamMuxer = connection => bound(create(connection) as Inside, connection)
  return factory
}

function bound(muxer: Inside, connection: Layer): StreamMuxer {
  const send = muxer.send.bind(muxer)
  muxer.send = data => {
    const more = send(data)
    // Waiting for it to be read would have two that are full wait for each other.
    if (waitingIn(connection) > MAX_WAITING) connection.abort(new Error('what the other side asked for is not read'))
    return more
  }
  const newStream = muxer._newStream.bind(muxer)
  muxer._newStream = (...of) => {
    const stream = newStream(...of)
    const sendData = stream.sendData.bind(stream)
    // What waits below is written as the connection drains, and each stream is asked again then.
    stream.sendData = data =>
      waitingIn(connection) > 0
        ? { sentBytes: 0, canSendMore: false }
        : sendData(data.byteLength > PIECE ? data.sublist(0, PIECE) : data)
    return stream
  }
  return muxer
}
