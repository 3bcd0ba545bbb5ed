/**
 * Has streams of yamux give back what was read once it is half of their window. @libp2p/yamux 8.0 says so after each piece of
 * data that comes: a frame, a seal and a write for every one of them, a third of what a small message cost.
 */

import type { Yamux } from './yamux.ts'

/** The state in which a stream has nothing to say but how much was read. */
const ESTABLISHED = 3

/** See the head of this file. */
export function saveWindowUpdates(muxer: Yamux): void {
  const newStream = muxer._newStream.bind(muxer)
  muxer._newStream = (...of) => {
    const stream = newStream(...of)
    const sendWindowUpdate = stream.sendWindowUpdate.bind(stream)
    stream.sendWindowUpdate = () => {
      const { recvWindow, recvWindowCapacity, state } = stream
      if (state === ESTABLISHED && 2 * recvWindowCapacity > recvWindow) return
      sendWindowUpdate()
    }
    return stream
  }
}
