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
/** Crumbs that may come at once, and in a second. */
export const MAX_CRUMBS = 2_048
const CRUMBS_PER_SECOND = 128

const DATA = 0

/** Has a connection end that goes beyond these bounds, or the stream where only one does. */
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

  const crumbs = boundCrumbs()
  const handleFrame = muxer.handleFrame.bind(muxer)
  muxer.handleFrame = frame => {
    const { type, flag, length } = frame.header
    if (type === DATA && flag === 0 && crumbs(length)) throw new Error('data comes in crumbs')
    handleFrame(frame)
  }

  const newStream = muxer._newStream.bind(muxer)
  muxer._newStream = (...of) => {
    const stream = newStream(...of)
    if (stream.direction === 'inbound') boundRequest(stream)
    return stream
  }
}

/** Counts the crumbs of a connection; its answer to one that is beyond the bound is true. */
export function boundCrumbs(): (length: number) => boolean {
  let crumbs = 0
  let since = performance.now()
  return length => {
    if (length >= CRUMB || ++crumbs <= MAX_CRUMBS) return false
    const now = performance.now()
    crumbs -= Math.min(crumbs, ((now - since) / 1_000) * CRUMBS_PER_SECOND)
    since = now
    return crumbs > MAX_CRUMBS
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
