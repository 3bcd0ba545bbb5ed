/**
 * Bounds what waits in a connection on which the other side reads nothing. yamux answers pings, data and new streams all
 * the same, and its streams write on when their windows open; no layer of libp2p has a bound for that. Here streams keep
 * what they have for as long as something waits below them, so that only answers can add up there; who lets too many of
 * them add up is dropped.
 */

import type { Layer, Yamux, YamuxStream } from './yamux.ts'

/** What may wait in all layers of a connection, bytes: one piece of a stream, and thousands of answers. */
const MAX_WAITING = 524_288

/** What a stream hands on at once, bytes: yamux begins with such windows, and lets them grow without a bound. */
const PIECE = MAX_WAITING / 2

const waitingIn = (layer: Layer | undefined): number =>
  layer === undefined ? 0 : layer.writeBufferLength + waitingIn(layer.stream)

/** Has a connection end when too many answers wait in it, and its streams write in turns. */
export function boundAnswers(muxer: Yamux, connection: Layer): void {
  const send = muxer.send.bind(muxer)
  muxer.send = data => {
    const more = send(data)
    // Waiting for it to be read would have two that are full wait for each other.
    if (waitingIn(connection) > MAX_WAITING) connection.abort(new Error('what the other side asked for is not read'))
    return more
  }
  /** Who wrote since there was last room. */
  const wrote = new Set<YamuxStream>()
  const newStream = muxer._newStream.bind(muxer)
  muxer._newStream = (...of) => {
    const stream = newStream(...of)
    const sendData = stream.sendData.bind(stream)
    // What waits below is written as the connection drains, and each stream is asked again then.
    stream.sendData = data => {
      if (waitingIn(connection) > 0) return { sentBytes: 0, canSendMore: false }
      wrote.add(stream)
      return sendData(data.byteLength > PIECE ? data.sublist(0, PIECE) : data)
    }
    return stream
  }
  // Added after yamux's own, so when it has asked them all. It asks the oldest first: one that always has something to
  // write would keep all others from it, links through a relay among them.
  connection.addEventListener('drain', () => {
    const { streams } = muxer
    for (const stream of wrote) {
      const at = streams.indexOf(stream)
      if (at >= 0) streams.push(...streams.splice(at, 1))
    }
    wrote.clear()
  })
}
