/**
 * Bounds what a connection makes a node hold before anything of it is whole: frames of yamux, which waits for four GiB
 * without a look at the stream they are for; requests on streams of libp2p's own protocols, which take four MiB each
 * before they look at them; and data in crumbs, each of which costs much more than its bytes.
 */

import type { Inbound, Yamux } from './yamux.ts'

/** The longest frame: the window that streams begin with. Everybody known sends 64 KiB at the most. */
export const MAX_FRAME = 262_144

/** Pieces in which a frame may lie that is not whole, before they are put together: each costs some hundred bytes. */
const MAX_PIECES = 256

/** What may come on a stream before it is answered, bytes, while nobody has taken it or libp2p itself has. */
export const MAX_UNANSWERED = 16_384

/** Data of fewer bytes is a crumb. Nothing in AFP or gossip is that small, but for signs of life. */
const CRUMB = 16
/** Crumbs that may come on a stream at once, and in a second; and the bytes of other data that make up for one. */
const MAX_CRUMBS = 512
const CRUMBS_PER_SECOND = 64
const BYTES_PER_CRUMB = 1_024

/** Has a connection end whose frames go beyond these bounds, and the streams that do. */
export function boundInput(muxer: Yamux): void {
  const { buffer } = muxer.decoder
  const onData = muxer.onData.bind(muxer)
  let pieces = 0
  muxer.onData = data => {
    const before = buffer.byteLength
    onData(data)
    const { byteLength } = buffer
    if (byteLength > MAX_FRAME) throw new Error('a frame is too long')
    // Some of it was for a frame that is whole now.
    pieces = byteLength === before + data.byteLength ? pieces + 1 : 1
    if (pieces <= MAX_PIECES) return
    const whole = buffer.subarray()
    buffer.consume(byteLength)
    buffer.append(whole)
    pieces = 1
  }

  const newStream = muxer._newStream.bind(muxer)
  muxer._newStream = (...of) => {
    const stream = newStream(...of)
    boundCrumbs(stream)
    if (stream.direction === 'inbound') boundRequest(stream)
    return stream
  }
}

/**
 * Ends a stream on which nearly all data comes in crumbs. Only that one: what it carries, as a circuit of a relay's does,
 * may be a stranger's words, and the connection somebody else's. Where windows end honest data leaves crumbs too.
 */
export function boundCrumbs(stream: Inbound): void {
  const onData = stream.onData.bind(stream)
  const isTooMuch = countCrumbs()
  stream.onData = data => {
    if (isTooMuch(data.byteLength)) return stream.abort(new Error('data comes in crumbs'))
    onData(data)
  }
}

/** Is told how many bytes come at a time; whether nearly all of it is crumbs. */
export function countCrumbs(): (byteLength: number) => boolean {
  let left = MAX_CRUMBS
  let since = performance.now()
  return byteLength => {
    if (byteLength >= CRUMB) left = Math.min(MAX_CRUMBS, left + byteLength / BYTES_PER_CRUMB)
    else if (--left < 0) {
      const now = performance.now()
      left = Math.min(MAX_CRUMBS, left + ((now - since) / 1_000) * CRUMBS_PER_SECOND)
      since = now
    }
    return left < 0
  }
}

/** Streams of AFP and gossip have bounds of their own; until it is known what a stream is for, it is not one of them. */
export function boundRequest(stream: Inbound): void {
  let unanswered = 0
  const isOwn = (): boolean => /^(\/libp2p\/|\/ipfs\/|$)/.test(stream.protocol)
  const onData = stream.onData.bind(stream)
  const send = stream.send.bind(stream)
  const free = (): void => {
    stream.onData = onData
    stream.send = send
  }
  stream.onData = data => {
    unanswered += data.byteLength
    if (!isOwn()) free()
    else if (unanswered > MAX_UNANSWERED) return stream.abort(new Error('too much came before an answer'))
    onData(data)
  }
  stream.send = data => {
    // What is said while it is agreed on what it is for is no answer yet.
    if (stream.protocol !== '') free()
    return send(data)
  }
}
